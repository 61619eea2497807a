"""The Claude backend over a program that speaks as Claude Code does, and keeps what it was told."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest

from harness.backends.claude.backend import ClaudeBackend
from tests.fakes.processes import fake
from tests.harness.backends.conftest import MakeSeat
from tests.harness.backends.playing import Opened, Played


@dataclass
class Claude(Opened[ClaudeBackend]):
    """See `Opened`."""

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
        seat = seat_for(**{"backend": "claude", "command": fake("claude"), **settings})
        backend = ClaudeBackend(seat)
        async with backend.open():
            yield Claude(backend, seat)

    return opened


@pytest.fixture
async def claude(open_claude: OpenClaude) -> AsyncGenerator[Claude]:
    """Open a backend with ordinary settings."""
    async with open_claude() as opened:
        yield opened
