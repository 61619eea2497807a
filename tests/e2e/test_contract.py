"""What a fleet promises of an agent, whichever real program it is: broker, harness, program; the model is scripted."""

import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from tests.e2e.kinds import KINDS, Kind
from tests.e2e.real_fleet import PATIENCE_S, RealFleet, children_of, gone, once, real_fleet, results, stuck
from tests.fakes.models.brains import Drain, Script
from tests.fakes.models.talk import Failing, Heard, Reply

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(240)]

WALLS = [pytest.param(kind, failing, id=f"{kind}-{failing}") for kind in KINDS for failing in kind.walls]
PASSES = [pytest.param(kind, failing, id=f"{kind}-{failing}") for kind in KINDS for failing in kind.passes]


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each program in turn."""
    return request.param


@pytest.fixture
async def fleet(home: Path, kind: Kind) -> AsyncGenerator[RealFleet]:
    """A fleet without agents."""
    async with real_fleet(home, kind) as opened:
        yield opened


async def test_mail_is_handled_in_one_session_of_one_process(fleet: RealFleet) -> None:
    """[P02] [H02] [H19] [H38] From the operator and back; the second turn is told its mail only."""
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


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name != "opencode"], ids=str, indirect=True)
async def test_a_process_for_each_turn_where_it_is_not_warm(fleet: RealFleet) -> None:
    """[H38] [H19] The session is the same."""
    talk = await fleet.add("alice", Drain(), warm=False)
    await fleet.host()
    for body in ("one", "two", "three"):
        await fleet.handled(await fleet.fleet.send("alice", body))
        fleet.let_a_minute_pass("alice")
    assert fleet.starts() == 3
    answers = [heard.answers for heard in talk.heard if heard.fresh]
    assert 0 == answers[0] < answers[1] < answers[2]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.announces], ids=str, indirect=True)
async def test_mail_that_comes_meanwhile_is_announced_and_drained(fleet: RealFleet) -> None:
    """[P03] [H03] At a tool boundary: how much, not what; taken and answered in the same turn."""
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
    told = [heard.news for heard in talk.heard if "come for you meanwhile" in heard.news]
    assert "1 message has come for you meanwhile" in told[0]
    assert "the second" not in told[0]


def announced(heard: Heard) -> Reply:
    """Use a tool until mail is announced, take it, and come to an end."""
    if any(result.tool.name == "recv_batch" for result in heard.results):
        return Reply("I have both.")
    if "come for you meanwhile" in heard.news:
        return Reply.calling("recv_batch")
    return Reply.calling("whoami")


@pytest.mark.parametrize(("words", "ran"), [("allow", True), ("deny", False)])
async def test_a_permission_is_asked_and_the_turn_goes_on(fleet: RealFleet, words: str, ran: bool) -> None:
    """[P06] [P02] The operator sees who waits for what, under which id; answers; the model goes on with it."""
    asking = fleet.kind.asking
    talk = await fleet.add(
        "alice", Script(asking.run(asking.command), then=lambda heard: Reply(f"got {results(heard)}"))
    )
    await fleet.host()
    message = await fleet.fleet.send("alice", "calculate")
    ask = await fleet.asked("alice")
    assert tuple(ask.question.splitlines()[: len(asking.asked)]) == asking.asked
    (shown,) = [agent for agent in await fleet.status() if agent["name"] == "alice"]
    assert shown["state"] == "waiting_permission"
    assert shown["reason"].startswith(f"{ask.id}: ")
    await fleet.answer(ask, words)
    await fleet.handled(message)
    assert any(asking.gives in results(heard) for heard in talk.heard) is ran
    assert any(asking.denied in heard.news for heard in talk.heard) is not ran


async def test_always_is_asked_once_even_over_a_restart(fleet: RealFleet) -> None:
    """[P06] [P02] For the session: in the same process, in the next one, behind a new harness."""
    asking = fleet.kind.asking

    def brain(heard: Heard) -> Reply:
        return asking.run(asking.command) if heard.fresh else Reply(f"got {results(heard)}")

    talk = await fleet.add("alice", brain)
    await fleet.host()
    message = await fleet.fleet.send("alice", "calculate")
    ask = await fleet.asked("alice")
    assert asking.always in ask.question
    await fleet.answer(ask, "always")
    await fleet.handled(message)
    await fleet.handled(await fleet.fleet.send("alice", "again"))
    await fleet.harness.stop()
    fleet.let_a_minute_pass("alice")
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "and again"))
    assert [asking.gives in results(heard) for heard in talk.heard if heard.results] == [True] * 3


async def test_a_killed_program_gets_its_mail_again_and_remembers(fleet: RealFleet) -> None:
    """[H21] kill -9 in its first turn, with a tool behind it; the banner says so, the session goes on."""
    talk = await fleet.add("alice", Script(Reply.calling("whoami"), stuck, then=Drain()))
    await fleet.host()
    message = await fleet.fleet.send("alice", "count to three")
    with anyio.fail_after(PATIENCE_S):
        await talk.next()
        await talk.next()
    await fleet.remembers("alice")
    await gone(await fleet.kill("alice"))
    story = await fleet.handled(message)
    assert (story.attempt, story.failures) == (2, 1)
    await fleet.operator_has("done: count to three")
    again = talk.heard[2]
    assert "(redelivered, attempt 2" in again.prompt
    assert "You are alice" in again.prompt
    if not fleet.kind.by_the_minute:
        assert again.answers > 0, "the session was resumed"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_harness_that_goes_leaves_no_program_and_no_mail(fleet: RealFleet, how: signal.Signals) -> None:
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
    fleet.let_a_minute_pass("alice")
    await fleet.host()
    assert (await fleet.handled(message)).failures == 0
    await gone(pid)
    assert "You are alice" in talk.heard[2].prompt
    assert talk.heard[2].answers > 0


async def test_a_warm_program_ends_with_a_harness_that_was_killed(fleet: RealFleet) -> None:
    """Ours: idle, nothing notes it in a file; it ends because its stdin does."""
    await fleet.add("alice", Drain())
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "hello"))
    pids = children_of(fleet.harness.process.pid)
    assert len(pids) == 1
    await fleet.harness.kill()
    await gone(pids[0])


@pytest.mark.parametrize(("kind", "failing"), WALLS, indirect=["kind"])
async def test_a_wall_parks_the_agent_and_blames_no_mail(fleet: RealFleet, failing: Failing) -> None:
    """[P08] [H36] Said in the program's own words; nothing runs against it."""
    outcome, words = fleet.kind.walls[failing]
    talk = await fleet.add("alice", lambda heard: Reply.failing(failing))
    await fleet.host()
    message = await fleet.fleet.send("alice", "hello")
    parked = await fleet.becomes("alice", lambda agent: agent.state == "parked" and agent.last_turn)
    assert parked.last_turn is not None
    assert parked.last_turn.outcome == outcome
    assert words in parked.reason
    assert fleet.kind.name != "claude" or '"type"' not in parked.reason
    story = await fleet.fleet.delivery(message)
    assert (story.state, story.failures) == ("queued", 0)
    assert len(talk.heard) <= fleet.kind.tries


@pytest.mark.parametrize(("kind", "failing"), PASSES, indirect=["kind"])
async def test_what_passes_is_tried_again_by_itself(fleet: RealFleet, failing: Failing) -> None:
    """[P08] [H36] The mail is handled when the API is there again."""
    talk = await fleet.add("alice", lambda heard: Reply.failing(failing))
    await fleet.host()
    message = await fleet.fleet.send("alice", "hello")
    await fleet.becomes("alice", lambda agent: agent.state == "parked")
    talk.brain = Drain()
    assert (await fleet.handled(message)).failures == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.silent_s], ids=str, indirect=True)
async def test_a_silent_model_is_interrupted_and_the_mail_comes_again(fleet: RealFleet) -> None:
    """[H20] [H38] Told so where it takes it in; then by the program's own interrupt."""
    kind = fleet.kind
    steps = [Reply.calling("whoami"), *[stuck] * kind.silences]
    await fleet.add("alice", Script(*steps, then=Drain()), silence_s=kind.silent_s)
    await fleet.host()
    story = await fleet.handled(await fleet.fleet.send("alice", "hello"))
    assert (story.attempt, story.failures) == (2, 1)
    assert [record["outcome"] for record in fleet.fleet.logged("harness", "turn_ended")] == ["hung", "completed"]
