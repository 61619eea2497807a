"""What all agents of one harness process share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from anyio.streams.memory import MemoryObjectReceiveStream

from harness.accounts import Accounts
from harness.backends.choose import backend_for
from harness.backends.protocol import Backend
from harness.backends.seat import Seat
from harness.checkpoints import Checkpoint, go_on
from harness.freezing import Freezing
from harness.warmth import Warmth, usual_most
from mcp_tools.bearers import Bearers
from wire.clock import Clock, SystemClock
from wire.fleet import Push
from wire.home import Home
from wire.model import Request, Result

R = TypeVar("R", bound=Result)


class Client(Protocol):
    """The harness' end of the link; `wire.client.BrokerClient` is one."""

    async def call(self, request: Request, result: type[R], *, as_: str | None = None, timeout_s: float = 30.0) -> R:
        """Ask the broker."""
        ...

    def pushes(self) -> MemoryObjectReceiveStream[Push]:
        """Give a stream of what the broker says unasked, from now on."""
        ...


@dataclass(frozen=True, slots=True)
class House:
    """One per harness process."""

    home: Home
    client: Client
    instance: str
    """Random, in memory only: under this name the broker knows whose turns are ours."""
    mcp_url: Callable[[], str]
    freezing: Freezing
    takeover: bool = False
    """Whoever started us has reaped the harness before us."""
    bearers: Bearers = field(default_factory=Bearers)
    clock: Clock = field(default_factory=SystemClock)
    accounts: Accounts = field(default_factory=Accounts)
    warmth: Warmth = field(default_factory=lambda: Warmth(usual_most()))
    checkpoint: Checkpoint = go_on
    choose: Callable[[Seat], Backend | None] = backend_for
    """Gives the program of an agent; None: nothing is run for it."""
