"""What a test with real programs has: a home for them, a model, our tools."""

import os
import signal
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from mcp_tools import http
from mcp_tools.bearers import Bearers
from tests.e2e.headless import Door
from tests.e2e.programs import NAMES, Program, need
from tests.fakes.desk import FakeDesk
from tests.fakes.models.server import ModelServer
from wire.inbox import InboxSend, InboxSent


@dataclass(frozen=True)
class Served:
    """Our tools for one agent, with a desk that keeps what it does."""

    desk: FakeDesk
    door: Door


@pytest.fixture
def home() -> Generator[Path]:
    """A folder that is taken away again. Not below /tmp: Codex refuses a home there, and a socket's path is short."""
    with tempfile.TemporaryDirectory(prefix="qp-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
        _end_programs_in(Path(folder))


def _end_programs_in(folder: Path) -> None:
    """A Codex at a terminal puts a copy of itself into its folder, which works on when its window is closed."""
    for program in Path("/proc").glob("[0-9]*/exe"):
        with suppress(OSError):
            if program.readlink().is_relative_to(folder):
                os.kill(int(program.parent.name), signal.SIGKILL)


@pytest.fixture
async def models() -> AsyncGenerator[ModelServer]:
    """A model for each conversation; a program that called anybody else fails the test."""
    async with ModelServer() as server:
        yield server
        assert not server.strays


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    """Our tools over HTTP; `send` is accepted as m7."""
    desk, bearers, stop = FakeDesk(), Bearers(), anyio.Event()
    desk.answers[InboxSend] = InboxSent(id="m7", to="bob")
    async with anyio.create_task_group() as group:
        port: int = await group.start(http.serve, http.build_app(bearers), stop)
        yield Served(desk, Door(f"http://127.0.0.1:{port}{http.PATH}", bearers.issue(desk)))
        stop.set()


@pytest.fixture(params=NAMES)
def program(request: pytest.FixtureRequest) -> Program:
    """Each program in turn; one that is missing is skipped by name."""
    return need(request.param)
