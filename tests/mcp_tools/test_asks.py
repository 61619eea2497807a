"""The tools of asks, in both protocol eras: what a model may say, and what it reads."""

from typing import Any, TypeVar

from mcp import Client

from mcp_tools.handover import Place
from mcp_tools.rendering import MAX_REPLY_BYTES
from mcp_tools.server import build_server
from tests.fakes.desk import FakeDesk, letter
from tests.mcp_tools.conftest import Era
from tests.mcp_tools.reading import text_of
from wire.asks import Ask, AsksAnswer, AsksAnswered, AsksAsk, AsksAsked, AsksCancel, AsksCancelled, AsksList, AsksListed
from wire.errors import Closed, Unknown
from wire.inbox import About
from wire.model import Request, Result

R = TypeVar("R", bound=Result)
NOW_MS = 1_800_000_000_000


def one(number: int, question: str = "Which pump?", **fields: object) -> Ask:
    """Make an open ask of alice to bob."""
    given = {"id": f"a{number}", "kind": "question", "asker": "alice", "target": "bob", "state": "open"}
    return Ask.model_validate(
        {**given, "question": question, "asked_at_ms": NOW_MS, "deadline_at_ms": NOW_MS + 86_400_000, **fields}
    )


class TwoLists(FakeDesk):
    """A desk whose agent asked something and was asked something."""

    def __init__(self, mine: list[Ask], to_me: list[Ask]) -> None:
        super().__init__()
        self._lists = {False: mine, True: to_me}

    async def call(self, request: Request, result: type[R], *, timeout_s: float = 30.0) -> R:
        """See `Desk`."""
        if isinstance(request, AsksList):
            self.answers[AsksList] = AsksListed(asks=self._lists[request.to_me])
        return await super().call(request, result, timeout_s=timeout_s)


async def listed(desk: FakeDesk, era: Era) -> list[str]:
    """Call list_my_asks; gives its lines."""
    place = Place(desk)
    async with Client(build_server("agent", lambda _: place), mode=era) as client:
        return text_of(await client.call_tool("list_my_asks", {})).splitlines()


async def test_ask_returns_the_id_and_says_not_to_wait(client: Client, desk: FakeDesk) -> None:
    """[H08] DESIGN 9: at once; to the operator unless somebody is named."""
    desk.answers[AsksAsk] = AsksAsked(id="a3", to="operator", deadline_at_ms=NOW_MS)
    text = text_of(await client.call_tool("ask", {"question": "Which pump?"}))
    assert text == "a3 to operator: open until 2027-01-15T08:00Z. Do not wait: the answer comes as mail."
    (request,) = desk.requests
    assert isinstance(request, AsksAsk)
    assert (request.kind, request.to, request.question) == ("question", "operator", "Which pump?")
    assert (request.options, request.multi, request.ttl_s) == (None, False, None)


async def test_ask_takes_all_that_it_says_it_takes(client: Client, desk: FakeDesk) -> None:
    """DESIGN 9: exactly these arguments; warnings are spelled out."""
    desk.answers[AsksAsk] = AsksAsked(id="a3", to="bob", deadline_at_ms=NOW_MS, state="held", warnings=["too many"])
    arguments = {"question": "q", "to": "bob", "options": ["a", "b"], "multi": True, "ttl_seconds": "60"}
    text = text_of(await client.call_tool("ask", arguments))
    assert text.splitlines() == [
        "a3 to bob: held by the storm guard. Do not wait: the answer comes as mail.", "warning: too many"
    ]  # fmt: skip
    (request,) = desk.requests
    assert isinstance(request, AsksAsk)
    assert (request.to, request.options, request.multi, request.ttl_s) == ("bob", ["a", "b"], True, 60.0)


async def test_bad_arguments_of_ask_get_a_sentence(client: Client, desk: FakeDesk) -> None:
    """Issue 3, misuse: no library's words, nothing asked."""
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "'question' is missing"),
        ({"question": ""}, "'question' is refused: string should have at least 1 character"),
        ({"question": "q", "ttl_seconds": 0}, "'ttl_seconds' is refused: input should be greater than 0"),
        ({"question": "q", "options": []}, "'options' is refused: list should have at least 1 item"),
        ({"question": "q", "kind": "permission"}, "'kind' is not an argument of this tool"),
    ]
    for arguments, sentence in wrong:
        result = await client.call_tool("ask", arguments)
        assert result.is_error
        assert text_of(result).startswith(f"invalid: {sentence}")
    assert not desk.requests


async def test_answer_says_who_gets_it(client: Client, desk: FakeDesk) -> None:
    """[H08]: the mail that tells whoever asked; a permission has none."""
    desk.answers[AsksAnswer] = AsksAnswered(id="a3", asker="bob", message="m7", warnings=["not one of the options"])
    text = text_of(await client.call_tool("answer", {"id": "a3", "answer": "left"}))
    assert text.splitlines() == ["a3 is answered; bob gets it as m7", "warning: not one of the options"]
    (request,) = desk.requests
    assert isinstance(request, AsksAnswer)
    assert (request.ask, request.answer) == ("a3", "left")
    desk.answers[AsksAnswer] = AsksAnswered(id="a3", asker="bob")
    assert text_of(await client.call_tool("answer", {"id": "a3", "answer": "deny"})) == "a3 is answered; bob has it"


async def test_a_refused_answer_says_how_the_ask_ended(client: Client, desk: FakeDesk) -> None:
    """[H08] Issue 3, misuse: a second answer."""
    desk.answers[AsksAnswer] = Closed("a3 was already answered by carol; the first answer counts")
    result = await client.call_tool("answer", {"id": "a3", "answer": "left"})
    assert result.is_error
    assert text_of(result) == "closed: a3 was already answered by carol; the first answer counts"


async def test_list_my_asks_shows_both_sides(era: Era) -> None:
    """[H09]: id, target, question, since when; and what waits for an answer of one's own."""
    desk = TwoLists([one(1), one(2, "", target="operator", broken=True)], [one(4, "a\nb\u202e", asker="carol")])
    assert await listed(desk, era) == [
        "You asked:",
        "a1 to bob, asked 2027-01-15T08:00Z, until 2027-01-16T08:00Z: Which pump?",
        "a2 to operator, asked 2027-01-15T08:00Z, until 2027-01-16T08:00Z: (broken: it cannot be read)",
        "You were asked (use answer):",
        "a4 from carol, asked 2027-01-15T08:00Z, until 2027-01-16T08:00Z: a b\\u{202e}",
    ]


async def test_list_my_asks_is_empty_or_cut_at_the_bound_of_a_reply(era: Era) -> None:
    """DESIGN 9: at most 24 KiB."""
    assert await listed(TwoLists([], []), era) == ["You asked: nothing that is open"]
    lines = await listed(TwoLists([one(number, "ü" * 500) for number in range(1, 200)], []), era)
    assert len("\n".join(lines).encode()) <= MAX_REPLY_BYTES
    assert lines[-1].endswith(" more)")


async def test_cancel_ask_is_for_ones_own(client: Client, desk: FakeDesk) -> None:
    """[H09]: what is foreign is unknown."""
    desk.answers[AsksCancel] = AsksCancelled(id="a3")
    assert text_of(await client.call_tool("cancel_ask", {"id": "a3"})) == "a3 is withdrawn"
    desk.answers[AsksCancel] = Unknown("no ask 'a9' that you may use; check the id")
    result = await client.call_tool("cancel_ask", {"id": "a9"})
    assert text_of(result) == "unknown: no ask 'a9' that you may use; check the id"


async def test_a_question_that_is_received_shows_its_id(client: Client, desk: FakeDesk) -> None:
    """DESIGN 5 Asks: what `answer` is to be called with."""
    about = About(ask="a3", part="question", ask_kind="question", options=["left"], deadline_at_ms=NOW_MS)
    desk.put(letter(1, "Which pump?", about=about))
    text = text_of(await client.call_tool("recv", {}))
    assert ' ask="a3" until="2027-01-15T08:00Z">\nWhich pump?\n(answer with one of: left)\n' in text
