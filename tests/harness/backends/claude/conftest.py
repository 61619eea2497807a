"""The Claude backend over a program that speaks as Claude Code does, and keeps what it was told."""

import json
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from harness.backends.claude.backend import ClaudeBackend
from harness.backends.protocol import Permit, TurnRequest, deny
from tests.harness.backends.conftest import MakeSeat
from tests.harness.backends.playing import Played

PROGRAM = Path(__file__).parents[3] / "fakes" / "claude.py"


@dataclass
class Claude:
    """One backend that is open, and the folder of its program."""

    backend: ClaudeBackend

    @property
    def folder(self) -> Path:
        """Where the program runs."""
        return self.backend.seat.cwd

    async def play(self, *steps: str, permit: Permit = deny) -> Played:
        """Run a turn to its end."""
        played = Played()
        with anyio.fail_after(15):
            async with self.backend.run(TurnRequest("t1", "\n".join(steps), permit)) as program:
                async for event in program.events():
                    played.events.append(event)
        return played

    def kept(self, name: str) -> list[dict[str, Any]]:
        """Give what the program noted: `starts` or `heard`."""
        path = self.folder / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    @property
    def pids(self) -> list[int]:
        """The processes there were, in their order."""
        return [start["pid"] for start in self.kept("starts")]

    def flag(self, name: str, start: int = -1) -> str | None:
        """Give what followed a flag of a start."""
        argv = self.kept("starts")[start]["argv"]
        return argv[argv.index(name) + 1] if name in argv else None


def said(played: Played) -> list[str]:
    """Give what the fake model said, in its order."""
    lines = [json.loads(line) for line in played.text().splitlines() if line.startswith('{"session_id"')]
    blocks = [block for line in lines if line["type"] == "assistant" for block in line["message"]["content"]]
    return [block["text"] for block in blocks if block["type"] == "text"]


OpenClaude = Callable[..., AbstractAsyncContextManager[Claude]]


@pytest.fixture
def open_claude(seat_for: MakeSeat) -> OpenClaude:
    """Open a backend with the given settings."""

    @asynccontextmanager
    async def opened(**settings: object) -> AsyncGenerator[Claude]:
        command = [sys.executable, "-I", "-S", str(PROGRAM)]
        seat = seat_for(**{"backend": "claude", "command": command, **settings})
        backend = ClaudeBackend(seat)
        async with backend.open():
            yield Claude(backend)

    return opened


@pytest.fixture
async def claude(open_claude: OpenClaude) -> AsyncGenerator[Claude]:
    """Open a backend with ordinary settings."""
    async with open_claude() as opened:
        yield opened
