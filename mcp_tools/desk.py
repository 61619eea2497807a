"""The seam: what the tools need of whoever connects them to the broker.

`harness/desk.py` implements it for hosted agents, `mcp_tools.attended` for a plain client. It knows no MCP.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self, TypeVar

from mcp_tools.claims import Claims
from wire.asks import OpenAsk
from wire.inbox import Mail
from wire.jobs import Job
from wire.model import Request, Result
from wire.settings import Role

R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Received:
    """What one recv brought."""

    mail: list[Mail]
    waiting: int
    """Mail that still waits behind it."""
    turn: str | None
    """The turn that holds the mail; None where nothing was taken."""
    peek: bool
    """True: shown only, it stays where it was."""
    note: str | None
    """A sentence for the model, such as: nothing more in this turn; end it, you will be woken."""
    open_asks: list[OpenAsk] = field(default_factory=list[OpenAsk])
    """What the agent was asked before and has not answered, where this mail began a turn."""

    def noting(self, more: Sequence[str]) -> Self:
        """Give the same with further sentences for the model."""
        return replace(self, note="; ".join([*([self.note] if self.note else []), *more])) if more else self


class Desk(Protocol):
    """One agent's way to the broker. Whose it is comes from a credential, never from an argument."""

    @property
    def agent(self) -> str:
        """The name of the agent."""
        ...

    @property
    def role(self) -> Role:
        """Which surface it sees."""
        ...

    async def call(self, request: Request, result: type[R], *, timeout_s: float = 30.0) -> R:
        """Make a request as this agent.

        Raises:
            QueenpostError: as the broker refused it.
        """
        ...

    @property
    def claims(self) -> Claims:
        """The jobs that it works on."""
        ...

    async def claim_job(self) -> Job | None:
        """Claim the oldest job that nobody was given; None where none is left.

        Raises:
            QueenpostError: as the broker refused it.
        """
        ...

    async def recv(self, *, maximum: int, wait_s: float, done: str | None) -> Received:
        """Take up to `maximum` messages, waiting `wait_s` for the first. Cancelled: nothing stays taken.

        Raises:
            QueenpostError: as the broker refused it.
        """
        ...

    async def give_back(self, received: Received) -> None:
        """Return mail whose result was cancelled or could not be written. Never raises an error."""
        ...

    async def written(self, received: Received) -> None:
        """Note that the result with this mail was written completely. Never raises an error."""
        ...
