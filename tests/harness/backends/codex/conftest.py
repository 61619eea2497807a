"""The Codex backends over a program that speaks as Codex does, and keeps what it was told."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from harness.backends.choose import backend_for
from harness.backends.protocol import Backend
from tests.fakes.processes import fake
from tests.harness.backends.conftest import MakeSeat
from tests.harness.backends.playing import Opened, Played

ACCEPTED = {"decision": "accept"}
DECLINED = {"decision": "decline"}


@dataclass
class Codex(Opened[Backend]):
    """See `Opened`. It is one of two backends."""

    def asked(self, method: str) -> list[dict[str, Any]]:
        """Give what it was asked for, of all its starts."""
        return [line["params"] for line in self.kept("heard") if line.get("method") == method]

    @property
    def threads(self) -> list[str]:
        """The threads that there are."""
        return [path.name for path in (self.seat.cwd / "threads").iterdir()]


def said(played: Played) -> list[str]:
    """Give what the fake model said, in its order."""
    marks = ('{"method":"item/completed"', '{"type": "item.completed"')
    lines = [json.loads(line) for line in played.text().splitlines() if line.startswith(marks)]
    ended = [line.get("params", line)["item"] for line in lines]
    return [item["text"] for item in ended if item["type"] in ("agentMessage", "agent_message")]


def answers(played: Played) -> dict[str, Any]:
    """Give what the program was answered to its requests, by their ids."""
    pairs = (words.partition(" ") for words in said(played))
    return {name: json.loads(answer) for name, _, answer in pairs}


OpenCodex = Callable[..., AbstractAsyncContextManager[Codex]]


@pytest.fixture
def open_codex(seat_for: MakeSeat) -> OpenCodex:
    """Open a backend with the given settings."""

    @asynccontextmanager
    async def opened(**settings: object) -> AsyncGenerator[Codex]:
        seat = seat_for(**{"backend": "codex", "command": fake("codex"), **settings})
        backend = backend_for(seat)
        assert backend is not None
        async with backend.open():
            yield Codex(backend, seat)

    return opened


@pytest.fixture
async def codex(open_codex: OpenCodex) -> AsyncGenerator[Codex]:
    """Open a backend with ordinary settings."""
    async with open_codex() as opened:
        yield opened
