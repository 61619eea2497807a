"""A terminal with a real broker and a real MQTT broker behind it: jobs from the outside, as a program sees them."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from click.testing import CliRunner, Result

from broker.bridge import mosquitto
from console.cli import main
from tests.fakes.broker import BrokerProcess
from tests.fakes.jobbing import jobbing


@dataclass
class JobTerminal:
    """Types commands for one fleet. Each runs in a thread: a command has an event loop of its own."""

    fleet: BrokerProcess

    @property
    def way(self) -> list[str]:
        """Say which fleet is meant."""
        return ["--home", str(self.fleet.home.root)]

    async def type(self, *words: str, stdin: str | bytes | None = None) -> Result:
        """Run `queenpost WORDS` on the fleet and give all that came of it."""
        arguments = [*self.way, *words]
        return await anyio.to_thread.run_sync(lambda: CliRunner().invoke(main, arguments, input=stdin))

    async def done(self, *words: str) -> str:
        """Run a command that has to succeed; gives what it prints."""
        result = await self.type(*words)
        assert result.exit_code == 0, result.output
        return result.stdout

    async def json(self, *words: str) -> Any:
        """The same, reading the one JSON value that it prints."""
        return json.loads(await self.done(*words, "--json"))

    async def claimed(self, *words: str) -> str:
        """Register a job and claim it; gives its id."""
        job = (await self.done("job", "register", "count the pumps")).strip()
        await self.done("job", "claim", job, *words)
        return job


@asynccontextmanager
async def job_terminal() -> AsyncGenerator[JobTerminal]:
    """Run a fleet with the MQTT broker that there is."""
    async with jobbing("amqtt" if mosquitto.find({}) is None else "mosquitto") as fleet:
        yield JobTerminal(fleet)
