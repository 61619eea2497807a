"""ask, asks, answer: what is asked of the broker, what people see, what scripts may rely on."""

from typing import Any

import pytest
from inline_snapshot import snapshot

from tests.console.conftest import NOW_MS, Terminal
from wire.asks import Ask, AsksAnswered, AsksAsked, AsksCancelled, AsksListed
from wire.errors import Closed, Unknown

DAY_MS = 86_400_000


def one(number: int, question: str = "Which pump?", **fields: object) -> Ask:
    """Make an open ask of alice to the operator."""
    given = {"id": f"a{number}", "kind": "question", "asker": "alice", "target": "operator", "state": "open"}
    return Ask.model_validate(
        {**given, "question": question, "asked_at_ms": NOW_MS, "deadline_at_ms": NOW_MS + DAY_MS, **fields}
    )


async def test_ask_prints_the_id_and_until_when(terminal: Terminal) -> None:
    """[H08] DESIGN 10: to anybody; options, several of them, and how long it stays open."""
    terminal.broker.answers["asks.ask"] = lambda _: AsksAsked(
        id="a3", to="bob", deadline_at_ms=NOW_MS, warnings=["bob is stopped"]
    )
    words = ["ask", "bob", "Which pump?", "--option", "left", "--option", "right one", "--multi", "--ttl", "60"]
    assert await terminal.json(*words, "--key", "k") == snapshot(
        {
            "id": "a3",
            "to": "bob",
            "state": "open",
            "deadline_at": "2027-01-15T08:00:00.000Z",
            "warnings": ["bob is stopped"],
        }
    )
    request = await terminal.broker.next("asks.ask")
    assert (request["to"], request["question"], request["key"]) == ("bob", "Which pump?", "k")
    assert (request["options"], request["multi"], request["ttl_s"]) == (["left", "right one"], True, 60.0)
    assert request.get("kind", "question") == "question"
    shown = await terminal.type("ask", "bob", "-", "--absolute", stdin="from\nstdin")
    assert shown.stdout == "a3 to bob: open, closes 2027-01-15T08:00:00.000Z\n"
    assert "warning: bob is stopped" in shown.stderr
    request = await terminal.broker.next("asks.ask")
    assert (request["question"], request.get("options"), request.get("ttl_s")) == ("from\nstdin", None, None)


async def test_an_agent_asks_by_its_own_token(terminal: Terminal) -> None:
    """DESIGN 4: with --as it is that agent."""
    terminal.broker.answers["asks.ask"] = lambda _: AsksAsked(id="a3", to="operator", deadline_at_ms=NOW_MS)
    assert (await terminal.type("--as", "bob", "ask", "operator", "May I?")).exit_code == 0


@pytest.mark.parametrize("words", [("ask", "bob"), ("ask", "bob", "q", "--ttl", "0"), ("answer", "a3"), ("answer",)])
async def test_what_is_missing_or_no_number_is_usage(terminal: Terminal, words: tuple[str, ...]) -> None:
    """Ours: exit code 2."""
    assert (await terminal.type(*words)).exit_code == 2


async def test_an_empty_question_or_answer_is_refused_here(terminal: Terminal) -> None:
    """Ours."""
    assert (await terminal.type("ask", "bob", "")).exit_code == 1
    assert "is empty" in (await terminal.type("answer", "a3", "")).stderr


async def test_asks_lists_its_stable_shape(terminal: Terminal) -> None:
    """DESIGN 10: exactly these fields."""
    terminal.broker.answers["asks.list"] = lambda _: AsksListed(
        asks=[one(3, options=["left", "right"]), one(4, state="answered", answer="left", answered_by="bob")]
    )
    shown = await terminal.json("asks", "--all", "--agent", "alice", "--to-me")
    assert shown[0] == snapshot(
        {
            "id": "a3",
            "kind": "question",
            "asker": "alice",
            "target": "operator",
            "question": "Which pump?",
            "options": ["left", "right"],
            "state": "open",
            "asked_at": "2027-01-15T08:00:00.000Z",
            "deadline_at": "2027-01-16T08:00:00.000Z",
            "answer": None,
        }
    )
    assert (shown[1]["state"], shown[1]["answer"]) == ("answered", "left")
    request = await terminal.broker.next("asks.list")
    assert (request["all"], request["agent"], request["to_me"]) == (True, "alice", True)


async def test_a_person_sees_what_to_do(terminal: Terminal) -> None:
    """Ours: options, the end, a broken row, and the command that answers; nothing commands the terminal."""
    terminal.broker.answers["asks.list"] = lambda _: AsksListed(
        asks=[
            one(1, "", broken=True),
            one(2, "Mend\nit?\x1b[31m", options=["now", "not now"]),
            one(3, "Bash: rm -r x", kind="permission", asker="bob"),
            one(4, target="bob", state="answered", answer="left", answered_by="bob"),
            one(5, target="bob", state="expired"),
        ]
    )
    result = await terminal.type("asks", "--absolute")
    lines = result.stdout.splitlines()
    assert lines[1].endswith("[broken: does not match its checksum; withdraw it with --cancel]")
    assert "open, closes 2027-01-16T08:00:00.000Z" in lines[2]
    assert lines[2].endswith(r"Mend it?\u{1b}[31m [now | not now]")
    assert "permission, closes" in lines[3]
    assert "answered by bob" in lines[4]
    assert lines[4].endswith("Which pump? → left")
    assert "expired" in lines[5]
    assert "`queenpost answer a2 now`" in result.stderr


async def test_the_hint_fits_who_looks(terminal: Terminal) -> None:
    """Ours: a permission has three words, an agent its own name; without anything to answer there is none."""
    lists: list[list[Ask]] = [
        [one(3, kind="permission")], [one(3, target="bob", options=["a b"])], [one(3, target="carol")], []
    ]  # fmt: skip
    terminal.broker.answers["asks.list"] = lambda _: AsksListed(asks=lists.pop(0))
    assert "`queenpost answer a3 allow|always|deny`" in (await terminal.type("asks")).stderr
    assert "`queenpost --as bob answer a3 'a b'`" in (await terminal.type("asks", "--as", "bob")).stderr
    assert "answer" not in (await terminal.type("asks")).stderr
    assert (await terminal.type("asks")).stdout == "no asks\n"


async def test_pages_are_put_together(terminal: Terminal) -> None:
    """DESIGN 4: a page may be short of its limit."""

    def page(request: dict[str, Any]) -> AsksListed:
        first = int((request.get("after") or "a0")[1:]) + 1
        return AsksListed(asks=[one(number) for number in range(first, first + min(2, request["limit"]))], more=True)

    terminal.broker.answers["asks.list"] = page
    assert [ask["id"] for ask in await terminal.json("asks", "--limit", "5")] == ["a1", "a2", "a3", "a4", "a5"]
    assert "--limit 50 shows it" in (await terminal.type("asks", "--limit", "5")).stderr


async def test_asks_are_withdrawn_by_id(terminal: Terminal) -> None:
    """[H09]: several at once; what is foreign or gone is refused."""
    terminal.broker.answers["asks.cancel"] = lambda request: AsksCancelled(id=request["ask"])
    assert await terminal.json("asks", "--cancel", "a1", "a2") == {"ids": ["a1", "a2"]}
    assert (await terminal.type("asks", "--cancel", "a1")).stdout == "withdrawn: a1\n"
    terminal.broker.answers["asks.cancel"] = lambda _: Unknown("no ask 'a9' that you may use; check the id")
    result = await terminal.type("asks", "--cancel", "a9")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no ask 'a9'" in result.stderr


async def test_answer_says_who_gets_it(terminal: Terminal) -> None:
    """[H08] DESIGN 10: a text, or one of the three words; stdin too."""
    terminal.broker.answers["asks.answer"] = lambda request: AsksAnswered(
        id=request["ask"], asker="alice", message="m7", warnings=["not one of the options: up; they are: left"]
    )
    assert await terminal.json("answer", "a3", "up") == snapshot(
        {
            "id": "a3",
            "asker": "alice",
            "message": "m7",
            "warnings": ["not one of the options: up; they are: left"],
        }
    )
    assert (await terminal.broker.next("asks.answer"))["answer"] == "up"
    shown = await terminal.type("answer", "a3", "-", stdin="left")
    assert shown.stdout == "a3 is answered to alice, who gets it as m7\n"
    assert "warning: not one of the options" in shown.stderr
    assert (await terminal.broker.next("asks.answer"))["answer"] == "left"
    terminal.broker.answers["asks.answer"] = lambda _: AsksAnswered(id="a3", asker="alice")
    assert (await terminal.type("answer", "a3", "allow")).stdout == "a3 is answered to alice\n"


async def test_a_second_answer_is_refused(terminal: Terminal) -> None:
    """[H08] Issue 3, misuse: exit 1 and how it ended."""
    terminal.broker.answers["asks.answer"] = lambda _: Closed("a3 was already answered by bob; the first answer counts")
    result = await terminal.type("answer", "a3", "left")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "already answered by bob" in result.stderr


async def test_an_agent_that_asked_nothing_is_shown_the_way_to_what_it_was_asked(terminal: Terminal) -> None:
    """Ours: 'no asks' alone would be taken for 'nobody wants anything of me'."""
    terminal.broker.answers["asks.list"] = lambda _: AsksListed(asks=[])
    shown = await terminal.type("asks", "--as", "bob")
    assert shown.stdout == "no asks\n"
    assert "asks --as bob --to-me" in shown.stderr
    assert "--to-me" not in (await terminal.type("asks", "--as", "bob", "--to-me")).stderr
