"""`queenpost agent attach` with the real Claude Code at a real terminal; only the model behind it is scripted."""

import os
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from tests.e2e.kinds import CLAUDE
from tests.e2e.real_fleet import RealFleet, real_fleet
from tests.e2e.surroundings import surround
from tests.fakes.models.talk import Heard, Reply
from tests.fakes.person import Person, person, queenpost

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]

TERMINAL = {"TERM": "xterm-256color"}
_MOVES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b.")
"""What a program writes beside its words."""


@pytest.fixture
async def fleet(home: Path) -> AsyncGenerator[RealFleet]:
    """A fleet without agents."""
    async with real_fleet(home, CLAUDE) as opened:
        yield opened


def count(heard: Heard) -> Reply:
    """Say how long the history is."""
    return Reply(f"behind{heard.answers}answers")


async def shown(someone: Person, words: str) -> None:
    """Wait until something stands on the terminal, wherever the cursor went between its letters."""
    with anyio.move_on_after(60):
        while words not in _MOVES.sub("", someone.screen):  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.05)
        return
    raise AssertionError(f"{words!r} is not on the terminal, but: {_MOVES.sub('', someone.screen)[-3000:]}")


async def test_what_is_typed_into_claude_is_remembered_by_its_next_turn(fleet: RealFleet) -> None:
    """Issue 4.9: attach, type, leave; nothing is asked on the way; the next mail is handled in the same session."""
    talk = fleet.models.open("alice", count)
    around = surround("claude", fleet.home / "alice", talk)
    del around["CLAUDE_CONFIG_DIR"]  # a folder of its own, in which nobody was at a terminal yet
    around["CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL"] = "1"  # of plugins, from elsewhere
    await fleet.fleet.add("alice", backend="claude", command=list(fleet.program.command), env=around)
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "remember apples"))

    home = fleet.fleet.home.root
    async with person(
        queenpost("agent", "attach", "alice", "--home", str(home)), {**os.environ, **TERMINAL}, home
    ) as me:
        await shown(me, "behind0answers")  # the history, and then the line to type in
        await shown(me, "❯")
        await fleet.becomes("alice", lambda agent: agent.state == "parked" and "at a terminal" in agent.reason)
        me.type("pears")
        await shown(me, "pears")
        me.type("\r")
        await shown(me, "behind1answers")
        queued = await fleet.fleet.send("alice", "and plums")
        assert (await fleet.fleet.delivery(queued)).state == "queued"
        me.type("\x03")
        await shown(me, "Ctrl-C")
        me.type("\x03")
        assert await me.sees_the_end() == 0

    await fleet.handled(queued)
    assert [(heard.answers, heard.fresh) for heard in talk.heard] == [(0, True), (1, True), (2, True)]
    assert talk.heard[1].prompt == "pears"
    assert "and plums" in talk.heard[2].prompt
    assert talk.heard[1].servers == {"queenpost"}, "with its tools"
