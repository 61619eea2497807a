"""One connection to the broker as its client sees it: hello and welcome, calls with a deadline, pushes.

It ends with its connection: connecting again and repeating calls is the business of `wire.client`.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Self, TypeVar

import anyio
from pydantic import ValidationError

from wire.calls import Calls, op_name
from wire.codec import MAX_FRAME_BYTES, Garbled, Reply, decode_from_broker, encode
from wire.errors import Invalid, QueenpostError, Unavailable
from wire.fleet import PROTOCOL, FleetPing, Hello, Push, Welcome
from wire.logs import get_logger
from wire.model import Request, Result
from wire.pulse import DEAD_AFTER_S, Pulse
from wire.transport import Receiver, Transport

R = TypeVar("R", bound=Result)
Connect = Callable[[Receiver], Awaitable[Transport]]
"""Opens a connection that delivers to the receiver."""

TIMEOUT_S = 30.0
"""How long a call waits for its answer, unless told."""
WELCOME_S = 5.0

log = get_logger("link")


class Link:
    """A welcomed connection. Also the receiver of its transport."""

    welcome: Welcome
    """What the broker said of itself and of us."""

    def __init__(self, on_push: Callable[[Push], None]) -> None:
        self.lost = anyio.Event()
        """Set once the connection has ended, for whatever reason."""
        self._on_push = on_push
        self._transport: Transport
        self._greeted = anyio.Event()
        self._first: Welcome | Reply | Garbled | Push | None = None
        self._calls = Calls(self._write)
        self._pulse: Pulse | None = None

    @classmethod
    async def open(cls, connect: Connect, token: Callable[[], str], kind: str, on_push: Callable[[Push], None]) -> Self:
        """Connect, say hello and wait for the welcome.

        The token is read after connecting: where no broker ever ran, "nobody listens" says more than
        "there is no token".

        Raises:
            Denied: the token is wrong, or the socket belongs to another user.
            Unavailable: nobody listens, or no welcome came in time.
            Invalid: the other side is no broker, or speaks another protocol.
        """
        link = cls(on_push)
        link._transport = transport = await connect(link)
        try:
            transport.write(encode(_hello(token(), kind, remote=transport.remote)))
            with deadline(WELCOME_S, "hello"):
                await link._greeted.wait()
            link.welcome = _welcome(link._first)
            if transport.remote:
                link._watch()
        except BaseException:
            link.abort()
            raise
        return link

    def _write(self, frame: bytes) -> None:
        self._transport.write(frame)

    def _watch(self) -> None:
        self._pulse = Pulse(self._transport, ping=lambda: self._calls.mention(FleetPing()), dead=self._is_dead)
        self._pulse.start()

    def _is_dead(self) -> None:
        log.warning("link_dead", heard_nothing_s=DEAD_AFTER_S)
        self.abort()

    def close(self) -> None:
        """End the connection after what was written; `lost` tells when it has ended."""
        self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    async def call(
        self,
        request: Request,
        result: type[R],
        *,
        as_: str | None = None,
        timeout_s: float = TIMEOUT_S,
        on_late: Callable[[R], None] | None = None,
    ) -> R:
        """Ask the broker, on this connection only; else as `wire.client.BrokerClient.call`.

        Raises:
            LinkLost: the connection ended before the answer.
            QueenpostError: what the broker answered.
        """
        patience = patience_s(request, timeout_s)
        try:
            return await self.exchange(request, result, as_=as_, on_late=on_late, patience_s=patience)
        except TimeoutError:
            raise no_answer(op_name(request), patience) from None

    def exchange(
        self,
        request: Request,
        result: type[R],
        *,
        as_: str | None = None,
        on_late: Callable[[R], None] | None = None,
        patience_s: float,
    ) -> Awaitable[R]:
        """Call, for a caller with a patience of its own.

        Raises:
            TimeoutError: it is at its end.
        """
        return self._calls.exchange(request, result, as_=as_, on_late=on_late, patience_s=patience_s)

    def on_line(self, line: bytes) -> None:
        """See `wire.transport.Receiver`."""
        frame = decode_from_broker(line)
        if not self._greeted.is_set():
            self._first = frame
            self._greeted.set()
        elif isinstance(frame, Reply):
            self._calls.answer(frame)
        elif isinstance(frame, Push):
            self._on_push(frame)
        elif isinstance(frame, Garbled):
            # A newer broker may say things that this client does not know.
            log.info("frame_ignored", why=frame.why)

    def on_overflow(self) -> None:
        """See `wire.transport.Receiver`."""
        log.error("frame_too_long", max_frame_bytes=MAX_FRAME_BYTES)

    def on_closed(self, exc: Exception | None) -> None:
        """See `wire.transport.Receiver`."""
        log.debug("connection_ended", why=str(exc or ""))
        if self._pulse is not None:
            self._pulse.stop()
        self.lost.set()
        self._greeted.set()
        self._calls.lose()


@contextmanager
def deadline(seconds: float, what: str) -> Generator[None]:
    """Turn the end of patience into an `Unavailable` that says for what."""
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError:
        raise no_answer(what, seconds) from None


def no_answer(what: str, seconds: float) -> Unavailable:
    """Make the error that says for what and how long was waited in vain."""
    return Unavailable(f"the broker did not answer {what} within {seconds:g} s; trying again is safe")


def wait_s_of(request: Request) -> float:
    """Give how long the broker may park a request before it answers."""
    return vars(request).get("wait_s", 0.0)


def patience_s(request: Request, timeout_s: float) -> float:
    """Give how long its caller waits: what it parks and the time for an answer on top."""
    return wait_s_of(request) + timeout_s


def _hello(token: str, kind: str, *, remote: bool) -> Hello:
    try:
        return Hello(protocol=PROTOCOL, token=token, kind=kind, remote=remote or None)
    except ValidationError:
        # Without the cause: it quotes the token.
        raise Invalid("the token is none of a fleet: too long, or not text; check its file") from None


def _welcome(first: Welcome | Reply | Garbled | Push | None) -> Welcome:
    match first:
        case Welcome(protocol=protocol):
            if protocol != PROTOCOL:
                older = "this program" if protocol > PROTOCOL else "the broker"
                raise Invalid(f"the broker speaks protocol {protocol}, this program {PROTOCOL}; upgrade {older}")
            return first
        case Reply(error=QueenpostError() as error):
            raise error
        case None:
            raise Unavailable("the broker closed the connection before its welcome; its log says why")
        case _:
            raise Invalid("whoever listens there is no queenpost broker")
