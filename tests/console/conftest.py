"""A terminal with a scripted broker behind it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import pytest
from click.testing import CliRunner, Result

from console.cli import main
from tests.fakes.link import FakeBroker
from wire.home import Home
from wire.private_files import write_secret

NOW_MS = 1_800_000_000_000


@dataclass
class Terminal:
    """Types commands for one fleet. Each runs in a thread: a command has an event loop of its own."""

    home: Home
    broker: FakeBroker

    async def type(self, *words: str, stdin: str | bytes | None = None) -> Result:
        """Run `queenpost WORDS` on the fleet and give all that came of it."""
        arguments = ["--home", str(self.home.root), *words]
        return await anyio.to_thread.run_sync(lambda: CliRunner().invoke(main, arguments, input=stdin))

    async def json(self, *words: str) -> Any:
        """Run a command that has to succeed, and read the one JSON value that it prints."""
        result = await self.type(*words, "--json")
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        return json.loads(result.stdout)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a home with the secrets that a broker would have written; its path is short enough for a socket."""
    home = Home(tmp_path_factory.mktemp("q"))
    home.create()
    write_secret(home.operator_secret, "the-token-of-the-operator")
    write_secret(home.agent_secret("bob"), "the-token-of-bob")
    return home


@pytest.fixture
async def terminal(home: Home) -> AsyncIterator[Terminal]:
    """Give a terminal and a broker that answers what the test scripts."""
    async with FakeBroker(home.socket) as broker:
        yield Terminal(home, broker)
