"""What a publisher asks the fleet's broker: where the MQTT broker is, and what was recorded of what it sent.

From another machine it hands its events in there as well, to be carried on.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from wire.jobs import JobsCarried, JobsCarry, JobsFates, JobsRecorded, JobsTransport, JobsTransported, Mark
from wire.model import Request, Result
from wire.mqtt_peer import Transport
from wire.private_files import read_secret

STARTS_WITHIN_S = 40.0
"""The first who asks waits until the fleet's own MQTT broker has started."""

R = TypeVar("R", bound=Result)


class Ask(Protocol):
    """Hands a request in at the broker."""

    async def __call__(self, request: Request, result: type[R], *, timeout_s: float = ...) -> R:
        """Give the answer; raises what the broker answered."""
        ...


@dataclass(frozen=True, slots=True)
class Records:
    """Asked over connections of others; all raise what the broker, or the way to it, refuses."""

    ask: Ask
    user: Literal["harness", "publisher"]
    """Who one is at the MQTT broker."""
    ask_as: Ask | None = None
    """Asks in the name of whose events these are, where `ask` does not."""

    async def tell(self) -> JobsTransported:
        """Learn where events are published; the fleet's own MQTT broker is started for it."""
        return await self.ask(JobsTransport(user=self.user), JobsTransported, timeout_s=STARTS_WITHIN_S)

    async def carry(self, topic: str, payload: bytes, retain: bool) -> None:
        """Have an event published from another machine than the fleet's; returns when the MQTT broker has it."""
        await self.ask(JobsCarry(topic=topic, payload=payload.decode("ascii"), retain=retain), JobsCarried)

    async def confirm(self, marks: list[Mark]) -> JobsFates:
        """Learn the fate of each of these events."""
        return await (self.ask_as or self.ask)(JobsRecorded(marks=marks), JobsFates)


def transport_of(told: JobsTransported) -> Transport:
    """Give the connection that the broker told of.

    Raises:
        Denied: its password cannot be read.
    """
    password = read_secret(Path(told.password_file)) if told.password_file else None
    return Transport(told.url, told.user, password, told.ca_file, told.cert_file, told.key_file)
