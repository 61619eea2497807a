"""What becomes of a session that holds more than its model can read, by the real programs' own means to shorten it."""

import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Literal

import anyio
import pytest

from tests.e2e.kinds import CLAUDE, CODEX, GEMINI, OPENCODE, Kind
from tests.e2e.real_fleet import PATIENCE_S, RealFleet, children_of, gone, real_fleet
from tests.fakes.models.brains import Drain, Script
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.talk import Heard, Reply

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(240)]

FULL = Reply.failing("context")
COMPACTING = (CLAUDE, CODEX, OPENCODE)
OVERFLOWS = {"claude": 1, "codex": 1, "opencode": 2, "gemini": 1}
"""How often a turn is told so until it ends. opencode compacts once by itself; Claude Code would too, and is kept from
it, so that it is our asking that is seen."""


@pytest.fixture
async def fleet(home: Path, kind: Kind) -> AsyncGenerator[RealFleet]:
    """A fleet without agents."""
    async with real_fleet(home, kind) as opened:
        yield opened


async def host(fleet: RealFleet, *rest: Reply, then: Drain | None = None) -> Conversation:
    """Host alice, whose model works through one letter and does as it is told behind it."""
    first = Drain()
    steps = [first, first, *rest]
    talk = await fleet.add("alice", Script(*steps, then=then or Drain()), env={"DISABLE_AUTO_COMPACT": "1"})
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "marigold"))
    assert len(talk.heard) == 2
    return talk


def outcomes(fleet: RealFleet) -> list[str]:
    """How the turns ended, in their order."""
    return [record["outcome"] for record in fleet.fleet.logged("harness", "turn_ended")]


def sessions_begun(talk: Conversation) -> list[Heard]:
    """The first requests in a session that knows nothing, not even a summary."""
    return [heard for heard in talk.heard if heard.fresh and heard.answers == 0]


@pytest.mark.parametrize("kind", COMPACTING, ids=str)
async def test_the_program_is_asked_to_compact_and_the_mail_is_tried_again(fleet: RealFleet) -> None:
    """[H38] In the same session, with a checkpoint; nothing counts against the mail."""
    overflows = OVERFLOWS[fleet.kind.name]
    talk = await host(fleet, *[FULL] * overflows)
    message = await fleet.fleet.send("alice", "the second")
    story = await fleet.handled(message)
    assert (story.attempt, story.failures) == (2, 0)
    assert outcomes(fleet) == ["completed", "context_full", "completed"]
    assert talk.count("summary") >= overflows, "ours, behind those of its own"
    assert len(fleet.fleet.logged("harness", "session_compacted")) == 1
    assert fleet.fleet.logged("harness", "session_left") == []
    again = talk.heard[2 + overflows]
    assert "What was said before, in short." in str(again.body)
    assert "You are alice" in again.prompt
    assert "Checkpoint: in turn" in again.prompt
    await fleet.operator_has("done: the second")


@pytest.mark.parametrize("kind", COMPACTING, ids=str)
async def test_what_is_too_long_again_begins_anew_and_asks_no_more(fleet: RealFleet) -> None:
    """[H38] Compaction that helps nothing is not tried again; still nothing counts."""
    overflows = OVERFLOWS[fleet.kind.name]
    talk = await host(fleet, *[FULL] * (2 * overflows))
    story = await fleet.handled(await fleet.fleet.send("alice", "the second"))
    assert (story.attempt, story.failures) == (3, 0)
    assert outcomes(fleet) == ["completed", "context_full", "context_full", "completed"]
    assert len(fleet.fleet.logged("harness", "session_compacted")) == 1
    assert len(fleet.fleet.logged("harness", "session_left")) == 1
    anew = talk.heard[2 + 2 * overflows]
    assert anew.answers == 0
    assert "marigold" not in str(anew.body)
    assert "Checkpoint: in turn" in anew.prompt


@pytest.mark.parametrize("kind", COMPACTING, ids=str)
async def test_what_cannot_be_compacted_begins_anew(fleet: RealFleet) -> None:
    """[H38] The program says that it could not; its model never saw the mail."""
    overflows = OVERFLOWS[fleet.kind.name]
    talk = await host(fleet, *[FULL] * overflows)
    talk.aside = Script(*[Reply("A summary.")] * (overflows - 1), then=FULL)
    story = await fleet.handled(await fleet.fleet.send("alice", "the second"))
    assert (story.attempt, story.failures) == (3, 0)
    assert outcomes(fleet) == ["completed", "context_full", "context_full", "completed"]
    assert fleet.fleet.logged("harness", "session_compacted") == []
    assert len(fleet.fleet.logged("harness", "session_left")) == 1


@pytest.mark.parametrize("kind", [GEMINI], ids=str)
async def test_who_has_no_such_means_begins_anew(fleet: RealFleet) -> None:
    """[H38] With the next turn; nothing counts here either."""
    talk = await host(fleet, FULL)
    story = await fleet.handled(await fleet.fleet.send("alice", "the second"))
    assert (story.attempt, story.failures) == (2, 0)
    assert outcomes(fleet) == ["completed", "context_full", "completed"]
    assert talk.count("summary") == 0
    assert len(sessions_begun(talk)) == 2


class Stalls:
    """Sums up what was said; once it is asked for by us, behind a turn that found no room, nothing comes."""

    def __init__(self, fleet: RealFleet) -> None:
        self._fleet = fleet
        self.reached = anyio.Event()

    def __call__(self, heard: Heard) -> Reply:
        """Answer what is not part of a turn."""
        if heard.purpose != "summary":
            return Reply("A title")
        if self.reached.is_set() or "context_full" not in outcomes(self._fleet):
            return Reply("<summary>What was said before, in short.</summary>")
        self.reached.set()
        return Reply("I sum").once(anyio.Event())


@pytest.mark.parametrize("victim", ["program", "harness"])
@pytest.mark.parametrize("kind", COMPACTING, ids=str)
async def test_a_death_in_the_middle_of_it_loses_nothing(
    fleet: RealFleet, victim: Literal["program", "harness"]
) -> None:
    """[H38] [Z1] kill -9 while the history is made shorter: the mail is handled, once; nothing counts against it."""
    overflows = OVERFLOWS[fleet.kind.name]
    talk = await host(fleet, *[FULL] * overflows)
    talk.aside = stalls = Stalls(fleet)
    message = await fleet.fleet.send("alice", "the second")
    with anyio.fail_after(PATIENCE_S):
        await stalls.reached.wait()
    (program,) = children_of(fleet.harness.process.pid)
    if victim == "program":
        os.killpg(program, signal.SIGKILL)
        await gone(program)
    else:
        os.kill(fleet.harness.process.pid, signal.SIGKILL)
        with anyio.fail_after(PATIENCE_S):
            await fleet.harness.ends()
        await fleet.host()
    story = await fleet.handled(message)
    assert story.failures == 0
    await fleet.becomes("alice", lambda agent: agent.state == "idle")
    answers = [item.in_reply_to for item in await fleet.fleet.mailbox() if item.sender == "alice"]
    assert answers.count(message) == 1
    assert (await fleet.fleet.account()).lost == 0
    assert (outcomes(fleet)[:2], outcomes(fleet)[-1]) == (["completed", "context_full"], "completed")
