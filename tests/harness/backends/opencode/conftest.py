"""The opencode backend over a program that speaks the API of its server, and keeps what it was told."""

import json
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from harness.backends.opencode.backend import OpencodeBackend
from harness.backends.protocol import Permit, TurnRequest, deny
from harness.warmth import Place
from tests.harness.backends.conftest import MakeSeat
from tests.harness.backends.playing import Played

PROGRAM = Path(__file__).parents[3] / "fakes" / "opencode.py"


@dataclass
class Opencode:
    """One backend that is open, and the folder of its program."""

    backend: OpencodeBackend

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

    def calls(self, method: str, ending: str) -> list[dict[str, Any]]:
        """Give the bodies of some requests."""
        return [
            call["body"] for call in self.kept("heard") if call["method"] == method and call["path"].endswith(ending)
        ]

    def sessions(self) -> list[str]:
        """Give in which session each prompt was said."""
        return [call["path"].split("/")[2] for call in self.kept("heard") if call["path"].endswith("/message")]


def said(played: Played) -> list[str]:
    """Give what the fake model said, in its order."""
    lines = [json.loads(line) for line in played.text().splitlines() if line.startswith("{")]
    parts = [line["properties"]["part"] for line in lines if line["type"] == "message.part.updated"]
    return [part["text"] for part in parts if part["type"] == "text"]


OpenOpencode = Callable[..., AbstractAsyncContextManager[Opencode]]


@pytest.fixture
def open_opencode(seat_for: MakeSeat) -> OpenOpencode:
    """Open a backend with the given settings."""

    @asynccontextmanager
    async def opened(place: Place | None = None, **settings: object) -> AsyncGenerator[Opencode]:
        command = [sys.executable, "-I", "-S", str(PROGRAM)]
        seat = seat_for(**{"backend": "opencode", "command": command, **settings})
        backend = OpencodeBackend(seat if place is None else replace(seat, place=place))
        async with backend.open():
            yield Opencode(backend)

    return opened


@pytest.fixture
async def opencode(open_opencode: OpenOpencode) -> AsyncGenerator[Opencode]:
    """Open a backend with ordinary settings."""
    async with open_opencode() as opened:
        yield opened
