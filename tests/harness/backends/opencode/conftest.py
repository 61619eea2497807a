"""The opencode backend over a program that speaks the API of its server, and keeps what it was told."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from harness.backends.opencode.backend import OpencodeBackend
from harness.warmth import Place
from tests.fakes.processes import fake
from tests.harness.backends.conftest import MakeSeat
from tests.harness.backends.playing import Opened, Played


@dataclass
class Opencode(Opened[OpencodeBackend]):
    """See `Opened`."""

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
        seat = seat_for(**{"backend": "opencode", "command": fake("opencode"), **settings})
        backend = OpencodeBackend(seat if place is None else replace(seat, place=place))
        async with backend.open():
            yield Opencode(backend, seat)

    return opened


@pytest.fixture
async def opencode(open_opencode: OpenOpencode) -> AsyncGenerator[Opencode]:
    """Open a backend with ordinary settings."""
    async with open_opencode() as opened:
        yield opened
