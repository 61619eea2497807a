"""What becomes of a session that holds more than its model can read, whichever program it belongs to.

A kind brings a program that speaks as the real one does, and the words that make its context full.
"""

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from harness.backends.choose import backend_for
from harness.backends.protocol import Backend, Began, Ended, TurnRequest
from tests.architecture.tree import ROOT
from tests.contracts.test_backends import seat
from tests.harness.backends.playing import Played
from wire.settings import AgentSettings

pytestmark = pytest.mark.timeout(120)

FAKES = ROOT / "tests" / "fakes"
PATIENCE_S = 40
GOOD = "say hello"
OVERFLOW = 'error {"name": "ContextOverflowError", "data": {"message": "too long"}}'


@dataclass(frozen=True)
class Kind:
    """One backend with its fake program, and what to tell it."""

    name: str
    full: str
    backend: str = ""
    settings: dict[str, object] = field(default_factory=dict[str, object])

    def __str__(self) -> str:
        """Name the tests."""
        return self.name


COMPACTING = (
    Kind("claude", 'fail {"terminal_reason": "prompt_too_long"}'),
    Kind("codex", 'fail {"message": "no room", "codexErrorInfo": "contextWindowExceeded"}'),
    Kind("opencode", f"say hm\n{OVERFLOW}\n{OVERFLOW}\nstuck"),
)
EXEC = 'fail {"message": "Codex ran out of room in the model\'s context window."}'
OTHERS = (
    Kind("gemini", "say hm\nstop max_tokens"),
    Kind("codex-exec", EXEC, "codex", {"warm": False, "permissions": "bypass"}),
)

compacting = pytest.mark.parametrize("kind", COMPACTING, ids=str)


class Agent:
    """One agent over its harnesses, each of which makes its backend anew."""

    def __init__(self, tmp_path: Path, kind: Kind) -> None:
        self.kind = kind
        self._name = kind.backend or kind.name
        self._command = [sys.executable, "-I", "-S", str(FAKES / f"{self._name}.py")]
        self._seat = seat(tmp_path, self._settings(""))

    def _settings(self, compaction: str) -> AgentSettings:
        env = {"FAKE_COMPACT": compaction}
        given = {"backend": self._name, "command": self._command, "env": env, **self.kind.settings}
        return AgentSettings.model_validate(given)

    @asynccontextmanager
    async def open(self, compaction: str = "") -> AsyncGenerator[Backend]:
        """Be its backend; `compaction` says what comes of one."""
        backend = backend_for(replace(self._seat, settings=self._settings(compaction)))
        assert backend is not None
        async with backend.open():
            yield backend

    @property
    def session(self) -> str | None:
        """The one that its next turn goes on with."""
        path = self._seat.workspace.session_file
        return json.loads(path.read_text(encoding="utf-8"))["id"] if path.exists() else None

    @property
    def compacted(self) -> list[str]:
        """The sessions whose program was asked to make them shorter, in their order."""
        path = self._seat.cwd / "compacted.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    async def fill(self, backend: Backend) -> str:
        """Play a turn that is well and one that finds the context full; gives their session."""
        assert ending(await play(backend, GOOD)) == "completed"
        session = self.session
        assert session is not None
        assert ending(await play(backend, self.kind.full)) == "context_full"
        return session


@pytest.fixture
def agent(tmp_path: Path, kind: Kind) -> Agent:
    """Without a session."""
    return Agent(tmp_path, kind)


async def play(backend: Backend, prompt: str) -> Played:
    """Play a turn."""
    played = Played()
    with anyio.fail_after(PATIENCE_S):
        async with backend.run(TurnRequest("t1", prompt)) as program:
            async for event in program.events():
                played.events.append(event)
    return played


def ending(played: Played) -> str:
    """Give how it ended, which it did once."""
    assert [type(event) for event in played.events].count(Ended) == 1
    return played.ended.outcome


async def left(backend: Backend, agent: Agent, times: int) -> None:
    """Play a turn, and leave it once its program was asked to make its history shorter for so many times."""
    with anyio.fail_after(PATIENCE_S):
        async with backend.run(TurnRequest("t1", GOOD)):
            while len(agent.compacted) < times:
                await anyio.lowlevel.checkpoint()  # nothing announces it


@compacting
async def test_the_history_is_made_shorter_and_the_session_goes_on(agent: Agent) -> None:
    """[H38] Before the next prompt, in the same turn: once, by the program's own means; then all is as it was."""
    async with agent.open() as backend:
        session = await agent.fill(backend)
        assert not backend.remembers, "its model has to be told again who it is"
        again = await play(backend, GOOD)
        assert ending(again) == "completed"
        assert [type(event) for event in again.events].count(Began) == 1, "a summary is no answer to mail"
        assert (agent.session, agent.compacted) == (session, [session])
        assert backend.remembers
        assert ending(await play(backend, GOOD)) == "completed"
        await agent.fill(backend)
        assert ending(await play(backend, GOOD)) == "completed"
        assert agent.compacted == [session] * 2, "long behind it there may be another"


@compacting
async def test_what_is_too_long_again_is_left_behind(agent: Agent) -> None:
    """[H38] Compaction did not help: a new session, and the old one is not asked again."""
    async with agent.open() as backend:
        session = await agent.fill(backend)
        assert ending(await play(backend, agent.kind.full)) == "context_full"
        assert agent.session is None
        assert ending(await play(backend, GOOD)) == "completed"
        assert agent.session not in (None, session)
        assert agent.compacted == [session]


@compacting
async def test_what_cannot_be_made_shorter_is_left_behind(agent: Agent) -> None:
    """[H38] The model never saw the mail."""
    async with agent.open("fail") as backend:
        session = await agent.fill(backend)
        failed = await play(backend, GOOD)
        assert (ending(failed), failed.began) == ("context_full", False)
        assert failed.ended.reason.startswith("its history could not be made shorter (")
        assert ending(await play(backend, GOOD)) == "completed"
        assert agent.session not in (None, session)
        assert agent.compacted == [session]


@compacting
async def test_a_wall_says_nothing_of_the_history(agent: Agent) -> None:
    """[P08] It is a wall like any other; behind it the same session is asked again, by another harness too."""
    async with agent.open("wall") as backend:
        session = await agent.fill(backend)
        for _ in range(3):
            refused = await play(backend, GOOD)
            assert (ending(refused), refused.began) == ("rate_limited", False)
    async with agent.open() as backend:
        assert ending(await play(backend, GOOD)) == "completed"
    assert (agent.session, agent.compacted) == (session, [session] * 4)


@compacting
async def test_broken_off_it_is_asked_once_more(agent: Agent) -> None:
    """Ours: by a freeze, a restart, a death of the harness; a program that hangs in it is not asked for ever."""
    async with agent.open("hang") as backend:
        session = await agent.fill(backend)
        await left(backend, agent, 1)
    async with agent.open("hang") as backend:
        await left(backend, agent, 2)
    assert agent.session == session
    async with agent.open("hang") as backend:
        assert ending(await play(backend, GOOD)) == "completed"
    assert agent.session not in (None, session)
    assert agent.compacted == [session] * 2


@pytest.mark.parametrize("kind", OTHERS, ids=str)
async def test_who_has_no_such_means_begins_anew(agent: Agent) -> None:
    """[H38] Nothing is asked of the old session."""
    async with agent.open() as backend:
        session = await agent.fill(backend)
        assert ending(await play(backend, GOOD)) == "completed"
        assert agent.session not in (None, session)
        assert agent.compacted == []
