"""What real Gemini CLIs do beside the contract that all programs keep; only the model behind them is scripted."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.e2e.kinds import CALCULATE, GEMINI, shell
from tests.e2e.real_fleet import RealFleet, real_fleet, results
from tests.fakes.models.brains import Drain, Script
from tests.fakes.models.talk import Reply

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
async def fleet(home: Path) -> AsyncGenerator[RealFleet]:
    """A fleet without agents."""
    async with real_fleet(home, GEMINI) as opened:
        yield opened


async def test_what_is_not_allowed_is_denied_without_a_question(fleet: RealFleet) -> None:
    """[P06] `deny`, and what the list allows in the program's own grammar: each part of a command has to be."""
    commands = ["touch made", f"touch also && {CALCULATE}", CALCULATE]
    talk = await fleet.add(
        "alice",
        Script(*map(shell, commands), Reply("so be it")),
        permissions="deny",
        allowed_tools=["run_shell_command(touch)"],
    )
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "try"))
    state = fleet.fleet.home.agent_state("alice")
    assert ((state / "made").exists(), (state / "also").exists()) == (True, False)
    assert not any("42" in results(heard) for heard in talk.heard)


@pytest.mark.parametrize(("permissions", "ran"), [("edits", False), ("bypass", True)])
async def test_its_modes(fleet: RealFleet, permissions: str, ran: bool) -> None:
    """[H38] Edits in its folder go through, and a command is asked for; or nothing is checked."""
    steps = [Reply.calling("write_file", server=None, file_path="a.txt", content="hello"), shell(CALCULATE)]
    talk = await fleet.add("alice", Script(*steps, Reply("done")), permissions=permissions)
    await fleet.host()
    message = await fleet.fleet.send("alice", "write")
    if not ran:
        await fleet.answer(await fleet.asked("alice"), "deny")
    await fleet.handled(message)
    assert (fleet.fleet.home.agent_state("alice") / "a.txt").read_text(encoding="utf-8") == "hello"
    assert ("42" in results(talk.heard[-1])) is ran


async def test_a_login_of_the_user_is_used_and_nothing_of_it_changed(fleet: RealFleet, home: Path) -> None:
    """Ours: inherited: its settings stay as they are, and its own MCP servers are not started."""
    talk = await fleet.add("alice", Drain())
    around = home / "alice"
    settings = around / ".gemini/settings.json"
    ours = settings.read_text(encoding="utf-8")
    with_server = ours[:-1] + ', "mcpServers": {"mine": {"command": "touch", "args": ["' + str(around) + '/started"]}}}'
    settings.write_text(with_server, encoding="utf-8")
    await fleet.fleet.add(
        "bob",
        backend="gemini",
        command=list(fleet.program.command),
        **GEMINI.settings,
        env={"HOME": str(around), "GOOGLE_GEMINI_BASE_URL": talk.url, "GEMINI_CLI_HOME": str(around)},
        env_file=str(key_file(home)),
    )
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("bob", "hello"))
    assert settings.read_text(encoding="utf-8") == with_server
    assert not (around / "started").exists()
    assert talk.heard[0].servers == {"queenpost"}


def key_file(home: Path) -> Path:
    """Write a key where only the harness reads it."""
    path = home / "alice.env"
    path.write_text("GEMINI_API_KEY=AIza-fake-000000\n", encoding="utf-8")
    return path
