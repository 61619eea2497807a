"""The Codex backends over a program that speaks as Codex does, and keeps what it was told."""

import json
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from harness.backends.choose import backend_for
from harness.backends.protocol import Backend, Permit, TurnRequest, deny
from harness.backends.seat import Seat
from tests.harness.backends.conftest import MakeSeat
from tests.harness.backends.playing import Played

PROGRAM = Path(__file__).parents[3] / "fakes" / "codex.py"
ACCEPTED = {"decision": "accept"}
DECLINED = {"decision": "decline"}


@dataclass
class Codex:
    """One backend that is open, and the folder of its program."""

    backend: Backend
    seat: Seat

    async def play(self, *steps: str, permit: Permit = deny) -> Played:
        """Run a turn to its end."""
        played = Played()
        with anyio.fail_after(15):
            async with self.backend.run(TurnRequest("t1", "\n".join(steps), permit)) as program:
                async for event in program.events():
                    played.events.append(event)
        return played

    def kept(self, name: str) -> list[Any]:
        """Give what the program noted: `starts`, `heard` or `steered`."""
        path = self.seat.cwd / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def asked(self, method: str) -> list[dict[str, Any]]:
        """Give what it was asked for, of all its starts."""
        return [line["params"] for line in self.kept("heard") if line.get("method") == method]

    @property
    def pids(self) -> list[int]:
        """The processes there were, in their order."""
        return [start["pid"] for start in self.kept("starts")]

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


def ending(played: Played) -> tuple[str, str]:
    """Give outcome and reason."""
    return played.ended.outcome, played.ended.reason


OpenCodex = Callable[..., AbstractAsyncContextManager[Codex]]


@pytest.fixture
def open_codex(seat_for: MakeSeat) -> OpenCodex:
    """Open a backend with the given settings."""

    @asynccontextmanager
    async def opened(**settings: object) -> AsyncGenerator[Codex]:
        command = [sys.executable, "-I", "-S", str(PROGRAM)]
        seat = seat_for(**{"backend": "codex", "command": command, **settings})
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
