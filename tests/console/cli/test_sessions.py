"""`queenpost claude` and `codex`, as far as they get without a program: who may be what, and what is said otherwise."""

import os
from contextlib import ExitStack
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from click.testing import CliRunner

from console.cli import main
from console.session import place
from tests.console.conftest import Home, Terminal
from tests.fakes.person import Person, person, queenpost
from wire.agents import AgentsAdded, AgentsShown, AgentSummary
from wire.client import BrokerClient
from wire.errors import Conflict, Invalid, QueenpostError, Unknown
from wire.settings import AgentSettings

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("program", ["claude", "codex"])
async def test_without_a_terminal_it_says_what_else_to_do(terminal: Terminal, program: str) -> None:
    """Issue 4.10, misuse: nothing is started, and nobody is asked."""
    result = await terminal.type(program)
    assert result.exit_code == 1
    assert f"there is no terminal: {'Claude Code' if program == 'claude' else 'Codex'}" in result.stderr
    assert f'backend = "{program}"' in result.stderr
    assert not terminal.broker.hellos


async def test_a_broker_elsewhere_is_refused(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 4.10, misuse: hooks and tools speak to the broker of this machine."""
    monkeypatch.setenv("QUEENPOST_BROKER", "ssh://mars")
    result = await anyio.to_thread.run_sync(lambda: CliRunner().invoke(main, ["claude"]))
    assert result.exit_code == 1
    assert "on the machine of its broker" in result.stderr


async def says(folder: Path, *words: str, **around: str) -> tuple[int, str]:
    """Type a command in a terminal; gives the exit code and all that was said."""
    environment = {**os.environ, "PATH": "/usr/bin:/bin", **around}
    async with person(queenpost(*words), environment, folder) as someone:
        code = await someone.sees_the_end()
        await settled(someone)
        return code, someone.screen


async def settled(someone: Person) -> None:
    """Wait for the line that ends each refusal."""
    await someone.sees("\r\n")


@pytest.mark.parametrize(
    ("words", "around", "answer"),
    [
        (["claude"], {}, "'claude' is not on your PATH; install Claude Code"),
        (["codex"], {"QUEENPOST_CODEX": "/no/codex"}, "/no/codex is no program that can be run"),
        (["claude", "--program", "/bin/true", "--", "-p"], {}, "-p cannot be given here"),
        (["claude", "--program", "/bin/true", "--name", "Not A Name"], {}, "no name for an agent"),
        (["claude", "--program", "/bin/true", "--name", "operator"], {}, "operator"),
    ],
)
@pytest.mark.timeout(60)
async def test_what_is_wrong_is_said_before_the_program_has_the_terminal(
    home: Home, tmp_path: Path, words: list[str], around: dict[str, str], answer: str
) -> None:
    """Issue 4.10, misuse: a program that is missing, words that conflict, a name that nobody can have."""
    line = [words[0], "--home", str(home.root), *words[1:]]
    try:
        code, screen = await says(tmp_path, *line, **around)
    finally:
        await anyio.run_process(queenpost("--home", str(home.root), "down"), check=False)
    assert code == 1
    assert answer in screen


@pytest.mark.timeout(60)
async def test_a_broker_that_cannot_start_is_said_with_its_reason(home: Home, tmp_path: Path) -> None:
    """Issue 4.10, misuse: the settings file is broken."""
    config = tmp_path / "queenpost.toml"
    config.write_text("[agents.alice]\nbackend = 7\n")
    words = ["claude", "--home", str(home.root), "--config", str(config), "--program", "/bin/true"]
    code, screen = await says(tmp_path, *words)
    assert code == 1
    assert "backend" in screen


def agent(name: str, *, backend: str = "none", attached: bool = False) -> AgentsShown:
    """What the broker says of an agent."""
    state = "idle" if attached else "away"
    summary = AgentSummary(name=name, role="agent", backend=backend, origin="database", state=state, attached=attached)
    return AgentsShown(agent=summary, settings=AgentSettings(), token_path="/t", token_expected=True)


def registered(terminal: Terminal, *agents: AgentsShown) -> None:
    """Let these agents be there, and any other one be made."""
    known = {one.agent.name: one for one in agents}

    def show(frame: dict[str, object]) -> AgentsShown | QueenpostError:
        return known.get(str(frame["agent"])) or Unknown("no such agent")

    terminal.broker.answers["agents.show"] = show
    terminal.broker.answers["agents.add"] = lambda frame: AgentsAdded(agent=frame["agent"], token_path="/t")


def operator(terminal: Terminal) -> BrokerClient:
    """Connect as a session does."""
    return BrokerClient(terminal.home.socket, lambda: "the-token-of-the-operator", "session", reconnect=False)


async def test_the_first_free_name_is_taken(terminal: Terminal) -> None:
    """Issue 4.10: not one that is hosted, attended to or opened; one that was left may have mail."""
    registered(
        terminal, agent("claude-1", backend="scripted"), agent("claude-2", attached=True), agent("claude-3"),
        agent("claude-4"),
    )  # fmt: skip
    async with operator(terminal) as client:
        for taken, program, free in (
            (["claude-3"], "claude", "claude-4"),
            ([], "claude", "claude-3"),
            ([], "codex", "codex-1"),
        ):
            with ExitStack() as stack:
                for name in taken:
                    stack.enter_context(place.alone(terminal.home, name))
                assert await place.free_name(client, terminal.home, program, stack) == free


async def test_sessions_that_are_opened_at_once_get_names_of_their_own(terminal: Terminal) -> None:
    """Ours: nobody has to choose one because somebody else opened a window in the same moment."""
    registered(terminal)
    names: list[str] = []

    async with operator(terminal) as client:
        with ExitStack() as stack:

            async def open_one() -> None:
                names.append(await place.free_name(client, terminal.home, "claude", stack))

            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(open_one)
            assert sorted(names) == [f"claude-{number}" for number in range(1, 6)]
            with pytest.raises(Conflict, match="claude-5 is taken"), place.alone(terminal.home, "claude-5"):
                raise AssertionError
        with place.alone(terminal.home, "claude-5"):
            assert names


async def test_a_name_that_somebody_works_for_is_refused(terminal: Terminal) -> None:
    """[H21] Issue 4.10: by the harness, by another client, by another session."""
    registered(terminal, agent("bob", backend="claude"), agent("carol", attached=True), agent("dave"))
    async with operator(terminal) as client:
        with pytest.raises(
            Conflict, match="bob is taken by the harness, with backend claude; choose another name with --name"
        ):
            await place.take(client, "bob")
        with pytest.raises(Conflict, match="carol is taken by another session"):
            await place.take(client, "carol")
        await place.take(client, "dave")
    assert [frame["op"] for frame in terminal.broker.seen()] == ["agents.show"] * 3
    with (
        place.alone(terminal.home, "dave"),
        pytest.raises(Conflict, match=f"the session of process {os.getpid()}"),
        place.alone(terminal.home, "dave"),
    ):
        raise AssertionError


async def test_an_agent_that_is_missing_is_made(terminal: Terminal) -> None:
    """Issue 4.10: with no backend, so that no harness takes its mail."""
    registered(terminal)
    async with operator(terminal) as client:
        await place.take(client, "erin")
    added = await terminal.broker.next("agents.add")
    assert added["agent"] == "erin"
    assert added.get("settings", {}).get("backend", "none") == "none"


def test_a_name_that_leads_out_of_the_home_is_refused(home: Home) -> None:
    """Ours."""
    with pytest.raises(Invalid), place.alone(home, "../x"):
        raise AssertionError
