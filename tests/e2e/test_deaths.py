"""kill -9 of the harness and of a real program at each step of the loop, once each; the store is asked what became."""

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from harness.checkpoints import STEPS
from tests.e2e.kinds import KINDS, Kind
from tests.e2e.real_fleet import PATIENCE_S, RealFleet, children_of, gone, real_fleet
from tests.fakes.models.brains import Drain
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.mail import Letter, read_mail
from tests.fakes.models.talk import Heard, Reply
from tests.scenarios.truth import Store, told
from wire.inbox import DeliveryStory

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(400)]

FAILURES = {"called": {0, 1}, "begun": {0, 1}}
"""What may be counted against mail whose program died at a step; 0 elsewhere.

Some say late that the model has begun: then a call of a tool came before, or even the end of the turn. An attempt more
that does not count is not looked at: a program that died while it was idle may be found dead by the next turn.
"""


@pytest.fixture(params=KINDS, ids=str)
async def fleet(home: Path, request: pytest.FixtureRequest) -> AsyncGenerator[RealFleet]:
    """A fleet without agents, of each program in turn."""
    kind: Kind = request.param
    async with real_fleet(home, kind) as opened:
        yield opened


class Heeds(Drain):
    """A model that reads what it is told: what was already sent for a message is not sent again.

    Nor twice in one answer: a session that was cut off may hold the prompt of the turn before, unanswered.
    """

    def __call__(self, heard: Heard) -> Reply:
        """Answer what is not answered."""
        done = {letter.id for letter in read_mail(heard.news).letters if told(heard.news, letter.id)[1]}

        def answer(letter: Letter) -> str | None:
            if letter.kind == "system" or letter.id in done:
                return None
            done.add(letter.id)
            return f"done: {letter.body}"

        return Drain(answer)(heard)


async def test_a_harness_that_dies_at_any_step_loses_nothing(fleet: RealFleet) -> None:
    """[H21] [Z1] Issue 4: the next one handles the mail and tells what was sent; no program is left over."""
    talk = await fleet.add("alice", Heeds())
    await fleet.host()
    sent = [await fleet.fleet.send("alice", "before it all")]
    await fleet.handled(sent[0])
    for step in STEPS:
        fleet.fleet.arm(step, "harness")
        sent.append(await fleet.fleet.send("alice", f"harness {step}"))
        with anyio.fail_after(PATIENCE_S):
            await fleet.fleet.killed()
            await fleet.harness.ends()
        fleet.let_a_minute_pass("alice")
        await fleet.host()
        story = await fleet.handled(sent[-1])
        assert story.failures == 0, step
        assert story.restarts == int(step != "closed"), step
        check_prompt(fleet, talk, story, sent[-1])
        assert step not in {"called", "ran", "settled"} or already_sent(fleet, sent[-1]), step
        assert len(children_of(fleet.harness.process.pid)) <= 1
    await check_all(fleet, sent)


async def test_a_program_that_dies_at_any_step_loses_nothing(fleet: RealFleet) -> None:
    """[H21] [Z1] Issue 4: at work it is one more attempt, idle it is none of the mail's business."""
    talk = await fleet.add("alice", Heeds())
    await fleet.host()
    sent = [await fleet.fleet.send("alice", "before it all")]
    await fleet.handled(sent[0])
    for step in STEPS:
        fleet.fleet.arm(step, "program if-any")
        sent.append(await fleet.fleet.send("alice", f"program {step}"))
        with anyio.fail_after(PATIENCE_S):
            pids = await fleet.fleet.killed()
        assert len(pids) == 1, step
        await gone(pids[0])
        fleet.let_a_minute_pass("alice")
        story = await fleet.handled(sent[-1])
        assert story.attempt > 1 or step not in {"started", "called"}, step
        assert story.failures in FAILURES.get(step, {0}), step
        check_prompt(fleet, talk, story, sent[-1])
        assert step != "called" or already_sent(fleet, sent[-1])
    await check_all(fleet, sent)


def check_prompt(fleet: RealFleet, talk: Conversation, story: DeliveryStory, message: str) -> None:
    """The prompt under which it was handled says its attempt, and all that the store knows to be sent."""
    prompt = [heard.prompt for heard in talk.heard if f' id="{message}"' in heard.prompt][-1]
    assert told(prompt, message) == (story.attempt, already_sent(fleet, message))


def already_sent(fleet: RealFleet, message: str) -> set[str]:
    """Give what attempts before the last one sent, by the store."""
    return Store(fleet.fleet.home.database).already_sent(message, "alice")


async def check_all(fleet: RealFleet, sent: list[str]) -> None:
    """All of it is handled in finished turns, and answered once."""
    await fleet.becomes("alice", lambda agent: agent.state == "idle")
    answers = [item.in_reply_to for item in await fleet.fleet.mailbox() if item.sender == "alice"]
    assert sorted(filter(None, answers)) == sorted(sent)
    assert Store(fleet.fleet.home.database).wrong(sent) == []
    assert (await fleet.fleet.account()).lost == 0
