"""Notes are made shorter by the real programs, in a session beside the agent's own; only the model is scripted."""

from pathlib import Path

import pytest

from tests.e2e.kinds import KINDS, Kind
from tests.e2e.real_fleet import real_fleet
from tests.fakes.models.talk import Heard, Reply

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(240)]

LONG = "what I did\n" * 300


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_the_program_hands_the_shorter_text_in_and_its_own_session_goes_on(home: Path, kind: Kind) -> None:
    """[H33] The tool is there without a question, and nothing of the second session is in the first."""
    calls: list[str] = []

    def model(heard: Heard) -> Reply:
        if "save_notes" not in heard.prompt:
            return Reply("I see")
        calls.append(heard.prompt)
        return Reply.calling("save_notes", text="# Notes\nmuch") if len(calls) == 1 else Reply("saved")

    async with real_fleet(home, kind) as fleet:
        talk = await fleet.add("alice", model, notes_max_bytes=1024)
        await fleet.host()
        notes = fleet.fleet.home.agent_state("alice") / "notes.md"
        notes.write_text(LONG)
        await fleet.handled(await fleet.fleet.send("alice", "hello"))
        await fleet.becomes("alice", lambda agent: agent.state == "idle" and notes.read_text() != LONG)
        assert notes.read_text() == "# Notes\nmuch\n"
        assert LONG.strip() in calls[0]
        await fleet.handled(await fleet.fleet.send("alice", "and now?"))
        last = [heard for heard in talk.heard if "and now?" in heard.prompt]
        assert "was shortened from 3.2 to 0 KiB" in last[0].prompt
        assert "save_notes" not in await fleet.fleet.transcripts("alice")
