"""Real opencodes in a fleet: broker, harness, program; only the model behind them is scripted."""

import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from tests.e2e.claude_fleet import PATIENCE_S, gone, once
from tests.e2e.opencode_cases import bash
from tests.e2e.opencode_fleet import Opencodes, opencodes
from tests.fakes.models.brains import Drain, Script
from tests.fakes.models.talk import Failing, Heard, Reply

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
async def fleet(home: Path) -> AsyncGenerator[Opencodes]:
    """A fleet without agents."""
    async with opencodes(home) as opened:
        yield opened


def stuck(heard: Heard) -> Reply:
    """Never answer."""
    return Reply("I am about to").once(anyio.Event())


def results(heard: Heard) -> str:
    """Give what the tools gave."""
    return " ".join(result.text for result in heard.results)


async def test_mail_is_handled_in_one_session_of_one_server(fleet: Opencodes) -> None:
    """[H02] [H19] From the operator and back; the second turn is told its mail only, by the server of the first."""
    talk = await fleet.add("alice", Drain())
    await fleet.host()
    assert (await fleet.handled(await fleet.fleet.send("alice", "hello"))).attempt == 1
    await fleet.handled(await fleet.fleet.send("alice", "again"))
    await fleet.operator_has("done: hello")
    await fleet.operator_has("done: again")
    first, second = talk.heard[0], talk.heard[-1]
    assert "You are alice" in first.prompt
    assert second.prompt.startswith("You have 1 message.")
    assert second.answers > 0
    assert fleet.starts() == 1
    agent = await fleet.fleet.agent("alice")
    assert (agent.state, agent.last_turn and agent.last_turn.outcome) == ("idle", "completed")


async def test_mail_that_comes_meanwhile_is_announced_and_drained(fleet: Opencodes) -> None:
    """[H03] At its next step: how much, not what; taken and answered in the same turn."""
    held = anyio.Event()
    talk = await fleet.add("alice", once(Reply.calling("whoami").once(held), Drain()))
    await fleet.host()
    first = await fleet.fleet.send("alice", "the first")
    with anyio.fail_after(PATIENCE_S):
        await talk.next()
    second = await fleet.fleet.send("alice", "the second")
    talk.brain = announced
    held.set()
    stories = [await fleet.handled(first), await fleet.handled(second)]
    assert len({story.turn for story in stories}) == 1
    assert any("1 message has come for you meanwhile" in heard.news for heard in talk.heard)


def announced(heard: Heard) -> Reply:
    """Use a tool until mail is announced, take it, and come to an end."""
    if "come for you meanwhile" in heard.news:
        return Reply.calling("recv_batch")
    if any(result.tool.name == "recv_batch" for result in heard.results):
        return Reply("I have both.")
    return Reply.calling("whoami")


@pytest.mark.parametrize(("words", "ran"), [("allow", True), ("deny", False)])
async def test_a_permission_is_asked_and_the_turn_goes_on(fleet: Opencodes, words: str, ran: bool) -> None:
    """[P02] The operator sees who waits for what; answers; the model goes on with it, either way."""
    talk = await fleet.add("alice", Script(bash("expr 6 '*' 7"), lambda heard: Reply(results(heard))))
    await fleet.host()
    message = await fleet.fleet.send("alice", "calculate")
    ask = await fleet.asked("alice")
    assert ask.question.splitlines() == [
        "May I use bash?",
        "expr 6 '*' 7",
        "`always` would allow, for this session: bash(expr *)",
    ]
    await fleet.answer(ask, words)
    await fleet.handled(message)
    assert ("42" in results(talk.heard[-1])) is ran
    assert ("denied by" in results(talk.heard[-1])) is not ran


async def test_always_is_asked_once_even_over_a_restart(fleet: Opencodes) -> None:
    """[P02] For the session: by the same server, and by the next one behind a new harness."""

    def brain(heard: Heard) -> Reply:
        return bash("expr 6 '*' 7") if heard.fresh else Reply(results(heard))

    talk = await fleet.add("alice", brain)
    await fleet.host()
    message = await fleet.fleet.send("alice", "calculate")
    await fleet.answer(await fleet.asked("alice"), "always")
    await fleet.handled(message)
    await fleet.harness.stop()
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "and again"))
    assert [results(heard).strip() for heard in talk.heard if heard.results] == ["42"] * 2


async def test_what_is_not_allowed_is_denied_without_a_question(fleet: Opencodes) -> None:
    """[P02] `deny`, and what the list allows in the program's own grammar."""
    replies = [bash("touch made"), bash("expr 6 '*' 7")]
    talk = await fleet.add(
        "alice",
        Script(*replies, lambda heard: Reply(results(heard))),
        permissions="deny",
        allowed_tools=["bash(touch *)"],
    )
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "try"))
    assert (fleet.fleet.home.agent_state("alice") / "made").exists()
    assert "42" not in results(talk.heard[-1])


async def test_a_killed_server_gets_its_mail_again_and_remembers(fleet: Opencodes) -> None:
    """[H21] kill -9 in its first turn, with a tool behind it; the banner says so, the session goes on."""
    talk = await fleet.add("alice", Script(Reply.calling("whoami"), stuck, then=Drain()))
    await fleet.host()
    message = await fleet.fleet.send("alice", "count to three")
    with anyio.fail_after(PATIENCE_S):
        await talk.next()
        await talk.next()
    await gone(await fleet.kill("alice"))
    story = await fleet.handled(message)
    assert (story.attempt, story.failures) == (2, 1)
    await fleet.operator_has("done: count to three")
    again = talk.heard[2]
    assert "(redelivered, attempt 2" in again.prompt
    assert "You are alice" in again.prompt
    assert again.answers > 0, "the session was resumed"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_harness_that_goes_leaves_no_program_and_no_mail(fleet: Opencodes, how: signal.Signals) -> None:
    """[H21] In the middle of a turn; the next one goes on with the session, and restates who the agent is."""
    talk = await fleet.add("alice", Script(Reply("hello"), stuck, then=Drain()))
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "first"))
    message = await fleet.fleet.send("alice", "second")
    pid = await fleet.pid("alice")
    with anyio.fail_after(PATIENCE_S):
        await talk.next()
        await talk.next()
    fleet.harness.process.send_signal(how)
    await fleet.harness.ends()
    await fleet.host()
    assert (await fleet.handled(message)).failures == 0
    await gone(pid)
    assert "You are alice" in talk.heard[2].prompt
    assert talk.heard[2].answers > 0


async def test_an_idle_server_ends_with_a_harness_that_was_killed(fleet: Opencodes) -> None:
    """Ours: nothing notes it in a file; it and what its shell left behind end because its stdin does."""
    left = bash("sleep 3000 > /dev/null 2>&1 & echo $!")
    talk = await fleet.add("alice", Script(left, lambda heard: Reply(results(heard))), permissions="bypass")
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "hello"))
    child = int(results(talk.heard[-1]))
    pids = children_of(fleet.harness.process.pid)
    assert len(pids) == 1
    await fleet.harness.kill()
    await gone(pids[0])
    await gone(child)


def children_of(pid: int) -> list[int]:
    """Give the processes that a process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]


@pytest.mark.parametrize(
    ("kind", "outcome", "words"),
    [
        ("rate_limit", "rate_limited", "Rate limit reached"),
        ("bad_key", "auth", "Incorrect API key"),
        ("credit", "credit", "exceeded your current quota"),
        ("no_model", "bad_model", "does not exist"),
    ],
)
async def test_a_wall_parks_the_agent_and_blames_no_mail(
    fleet: Opencodes, kind: Failing, outcome: str, words: str
) -> None:
    """[H36] Said in the program's own words; its endless retries are ended."""
    talk = await fleet.add("alice", lambda heard: Reply.failing(kind))
    await fleet.host()
    message = await fleet.fleet.send("alice", "hello")
    parked = await fleet.becomes("alice", lambda agent: agent.state == "parked" and agent.last_turn)
    assert parked.last_turn is not None
    assert parked.last_turn.outcome == outcome
    assert words in parked.reason
    story = await fleet.fleet.delivery(message)
    assert (story.state, story.failures) == ("queued", 0)
    assert len(talk.heard) <= 6
