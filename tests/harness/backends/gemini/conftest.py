"""The Gemini backend over a program that speaks as Gemini CLI does, and keeps what it was told."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio
import pytest

from harness.backends.gemini.backend import GeminiBackend
from harness.backends.seat import attached_already
from tests.fakes.processes import fake
from tests.harness.backends.conftest import MakeSeat
from tests.harness.backends.playing import Opened, Played


@dataclass
class Gemini(Opened[GeminiBackend]):
    """See `Opened`."""

    def heard(self, method: str) -> list[dict[str, Any]]:
        """Give what came with a method."""
        return [line["params"] for line in self.kept("heard") if line.get("method") == method]

    @property
    def argv(self) -> list[str]:
        """The command line of the newest process."""
        return self.kept("starts")[-1]["argv"]

    @property
    def sessions(self) -> list[str]:
        """The session of each prompt."""
        return [prompt["sessionId"] for prompt in self.heard("session/prompt")]


def said(played: Played) -> list[str]:
    """Give what the fake model said, in its order."""
    lines = [json.loads(line) for line in played.text().splitlines() if line.startswith('{"jsonrpc"')]
    updates = [line["params"]["update"] for line in lines if line.get("method") == "session/update"]
    return [one["content"]["text"] for one in updates if one["sessionUpdate"] == "agent_message_chunk"]


OpenGemini = Callable[..., AbstractAsyncContextManager[Gemini]]


@pytest.fixture
def open_gemini(seat_for: MakeSeat) -> OpenGemini:
    """Open a backend with the given settings."""

    @asynccontextmanager
    async def opened(
        attached: Callable[[], anyio.Event] = attached_already, **settings: object
    ) -> AsyncGenerator[Gemini]:
        seat = seat_for(**{"backend": "gemini", "command": fake("gemini"), **settings})
        backend = GeminiBackend(replace(seat, attached=attached))
        async with backend.open():
            yield Gemini(backend, seat)

    return opened


@pytest.fixture
async def gemini(open_gemini: OpenGemini) -> AsyncGenerator[Gemini]:
    """Open a backend with ordinary settings."""
    async with open_gemini() as opened:
        yield opened
