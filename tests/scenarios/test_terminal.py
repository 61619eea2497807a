"""An agent at a terminal, with the real broker and harness: mail is typed, its tools are ours, questions are asked."""

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from tests.fakes.processes import fake
from tests.harness.backends.pty.conftest import BOX
from tests.scenarios.programs import Fleet, fleet_in, is_gone
from wire.asks import AsksAnswer, AsksAnswered, AsksList, AsksListed
from wire.client import new_key

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

PATIENT = 50


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    """A broker, and alice at her terminal."""
    async with fleet_in(tmp_path) as fleet:
        await fleet.add("alice", backend="pty", command=fake("terminal"), pty={**BOX, "attach_s": 0.0})
        yield fleet


async def test_mail_is_typed_and_handled_by_one_program(fleet: Fleet) -> None:
    """[P02] [H38] Its own tool calls prove that it worked; the second mail goes to the same process."""
    with anyio.fail_after(PATIENT):
        harness = await fleet.start_harness()
        assert await harness.becomes_ready(), harness.said.read_text()
        for words in ("say the first", "say the second"):
            await fleet.handled(await fleet.send("alice", words))
        starts = (fleet.home.agent_state("alice") / "starts.jsonl").read_text().splitlines()
        shown = await fleet.transcripts("alice")
    assert len(starts) == 1
    assert "the first" in shown
    assert "the second" in shown
    assert "\x1b" not in shown


async def test_a_question_on_the_screen_is_an_ask(fleet: Fleet) -> None:
    """[P06] The operator sees it, answers it, and the turn goes on."""
    with anyio.fail_after(PATIENT):
        harness = await fleet.start_harness()
        assert await harness.becomes_ready(), harness.said.read_text()
        message = await fleet.send("alice", "may rm -r build")
        await fleet.until(lambda: fleet.agent("alice"), lambda agent: agent.state == "waiting_permission")
        (ask,) = (await fleet.operator.call(AsksList(agent="alice"), AsksListed)).asks
        assert ask.question.splitlines()[:2] == ["May I use Shell?", "rm -r build"]
        await fleet.operator.call(AsksAnswer(key=new_key(), ask=ask.id, answer="allow"), AsksAnswered)
        await fleet.handled(message)
        assert "answered '1'" in await fleet.transcripts("alice")


async def test_mail_of_a_harness_that_was_killed_comes_again(fleet: Fleet) -> None:
    """[H21] Its program ends with the terminal, and another one gets the mail."""
    with anyio.fail_after(PATIENT):
        harness = await fleet.start_harness()
        assert await harness.becomes_ready(), harness.said.read_text()
        message = await fleet.send("alice", "may make")
        await fleet.until(lambda: fleet.agent("alice"), lambda agent: agent.state == "waiting_permission")
        first = (await fleet.running("alice"))["pid"]
        await harness.kill()
        harness = await fleet.start_harness("--takeover")
        assert await harness.becomes_ready(), harness.said.read_text()
        await fleet.until(lambda: fleet.agent("alice"), lambda agent: agent.state == "waiting_permission")
        ask = (await fleet.operator.call(AsksList(agent="alice"), AsksListed)).asks[-1]
        await fleet.operator.call(AsksAnswer(key=new_key(), ask=ask.id, answer="deny"), AsksAnswered)
        story = await fleet.handled(message)
    assert is_gone(first)
    assert story.attempt == 2
