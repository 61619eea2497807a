"""A broker and a harness that hosts agents, and the operator who watches them."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from benchmarks.programs import processor_s, program
from wire.agents import AgentsList, AgentsListed, AgentSummary
from wire.client import BrokerClient, new_key
from wire.home import CONFIG_NAME, Home
from wire.inbox import InboxExplain, InboxExplained, InboxSend, InboxSent
from wire.private_files import read_secret

LOOK_EVERY_S = 0.02
WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Hosted:
    """The programs of one home, all of them ready."""

    home: Home
    broker: int
    harness: int
    """Process ids."""
    operator: BrokerClient

    async def send(self, to: str, body: str) -> str:
        """Send as the operator; accepted once it returns."""
        return (await self.operator.call(InboxSend(key=new_key(), to=to, body=body), InboxSent)).id

    async def handled(self, message: str) -> InboxExplained:
        """Wait until a message is handled; gives its story."""
        with anyio.fail_after(WITHIN_S):
            while True:
                story = await self.operator.call(InboxExplain(message=message), InboxExplained)
                if story.deliveries[0].state == "handled":
                    return story
                await anyio.sleep(LOOK_EVERY_S)

    async def turns_for(self, agent: str, burst: int) -> int:
        """Send so many messages at once; gives how many turns handled them."""
        sent: list[str] = []

        async def send(number: int) -> None:
            sent.append(await self.send(agent, f"message {number} of {burst}"))

        async with anyio.create_task_group() as group:
            for number in range(burst):
                group.start_soon(send, number)
        return len({(await self.handled(message)).deliveries[0].turn for message in sent})

    async def agents_are(self, true: Callable[[AgentSummary], bool]) -> None:
        """Wait until something is true of every agent."""
        with anyio.fail_after(WITHIN_S):
            while True:
                listed = await self.operator.call(AgentsList(), AgentsListed)
                if all(map(true, listed.agents)):
                    return
                await anyio.sleep(LOOK_EVERY_S)

    def transcripts(self) -> list[Path]:
        """Give the transcripts of all turns: there is one for each time that a program was put to work."""
        return list((self.home.root / "agents").glob("*/harness/transcripts/*.log"))

    def processor_s(self) -> float | None:
        """Give the processor time of both programs so far; None where the system does not say."""
        used = [processor_s(pid) for pid in (self.broker, self.harness)]
        return None if None in used else sum(one or 0.0 for one in used)


def settings_of(agents: Mapping[str, Sequence[str]]) -> str:
    """Write the `queenpost.toml` of agents, each with the lines of its table."""
    limits = "[limits]\nsend_burst = 1000000\nsend_per_minute = 10000000.0\n"
    return limits + "".join(f"\n[agents.{name}]\n" + "".join(f"{line}\n" for line in agents[name]) for name in agents)


@asynccontextmanager
async def hosted(root: Path, settings: str) -> AsyncGenerator[Hosted]:
    """Run broker and harness in a new home while the block lasts, from the harness' ready line on."""
    home = Home(root)
    home.create()
    (root / CONFIG_NAME).write_text(settings, encoding="utf-8")
    arguments = ("--home", str(root))
    async with (
        program("broker", *arguments, errors=root / "broker.log") as broker,
        program("harness", *arguments, errors=root / "harness.log") as harness,
        BrokerClient(home.socket, lambda: read_secret(home.operator_secret).strip(), "bench") as operator,
    ):
        yield Hosted(home, broker.pid, harness.pid, operator)
