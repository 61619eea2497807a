"""A seat for an agent whose program is Python."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.backends.command import CommandBackend
from harness.backends.seat import Seat
from harness.workspace import Workspace
from wire.home import Home
from wire.settings import AgentSettings

MakeSeat = Callable[..., Seat]
MakeCommand = Callable[..., CommandBackend]


@pytest.fixture
def seat_for(home: Home) -> MakeSeat:
    """Make a seat with the given settings."""

    def make(**settings: object) -> Seat:
        workspace = Workspace(home, "alice")
        workspace.make()
        made = AgentSettings.model_validate(settings)
        return Seat(workspace, made, "http://127.0.0.1:1/mcp", "the-bearer", grace_s=0.3)

    return make


@pytest.fixture
def python(seat_for: MakeSeat, tmp_path: Path) -> MakeCommand:
    """Make a command backend that runs a piece of Python."""

    def make(code: str, **settings: object) -> CommandBackend:
        path = tmp_path / "program.py"
        path.write_text(code, encoding="utf-8")
        return CommandBackend(seat_for(backend="command", command=[sys.executable, "-I", "-S", str(path)], **settings))

    return make
