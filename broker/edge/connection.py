"""One connection: hello, bounds, requests in flight, what was attached on it. It decides nothing about mail."""

from typing import Any, Protocol

import anyio

from broker.edge.hub import Hub
from broker.services.callers import Caller
from broker.services.credentials import Shown, digest_of
from broker.store.jobs import Ticket
from wire.codec import MAX_FRAME_BYTES, decode_hello, encode, encode_error
from wire.errors import Denied, Invalid, Limited, QueenpostError
from wire.fleet import PROTOCOL, Hello, Principal, Push, Welcome
from wire.logs import get_logger
from wire.pulse import DEAD_AFTER_S, Pulse
from wire.transport import MAX_QUEUED_BYTES, Transport

HELLO_WITHIN_S = 5.0
MAX_IN_FLIGHT = 1024
MAX_IN_FLIGHT_PER_AGENT = 8
LARGE_FRAME_BYTES = 16 * 1024
"""Smaller ones are bounded by their number."""
MAX_LARGE_BYTES = 4 * 1024 * 1024
"""Of large requests in flight on one connection; beyond it nothing more is read until some are answered."""

log = get_logger("broker")


class Doorman(Protocol):
    """What a connection needs from the broker behind it."""

    hub: Hub

    def greet(self, hello: Hello, shown: Shown) -> Welcome:
        """Check the credential.

        Raises:
            Denied: the token is not one of this fleet, or another user's.
        """
        ...

    def handle(self, connection: "Connection", line: bytes) -> None:
        """Take one request; answers by `connection.answer`, now or later."""
        ...

    def ended(self, connection: "Connection") -> None:
        """The connection is gone: withdraw what waits, and tell the post office about its holders."""
        ...


class Connection:
    """The broker's end of one connection. All of it runs on the event loop; nothing here awaits but `run`."""

    def __init__(self, transport: Transport, doorman: Doorman) -> None:
        self.transport = transport
        self.principal = Principal(kind="agent", name="")
        self.shown = Shown(b"", None, on_socket=True)
        self.remote = transport.remote
        """The other side is on another machine: its holders may come back."""
        self.welcomed = anyio.Event()
        self.closed = anyio.Event()
        self.attachments: dict[str, Caller] = {}
        """The agents that it may speak for, each as the instance that it is."""
        self.tickets: dict[int, Ticket[Any] | None] = {}
        """Requests that are parked, by request id; None: as soon as something else is committed."""
        self.in_flight: dict[int, str] = {}
        """Request id to the agent it is for."""
        self._idle = anyio.Event()
        self._per_agent: dict[str, int] = {}
        """How many of them are for an agent; none is left out."""
        self._large: dict[int, int] = {}
        """Request id to bytes, of the large ones."""
        self._large_bytes = 0
        self._doorman = doorman
        self._gap_is_last = False
        """The newest frame is a `gap`, and so tells of whatever is left out now."""
        self.kind = "?"
        self._last: int | None = None
        """The request whose answer ends the connection."""
        self._pulse = Pulse(transport, ping=None, dead=self._is_dead)

    # --- what the transport calls -------------------------------------------------------------------

    def on_line(self, line: bytes) -> None:
        """Take one frame."""
        if self.welcomed.is_set():
            self._doorman.handle(self, line)
            return
        try:
            self._welcome(decode_hello(line))
        except QueenpostError as exc:
            log.warning("hello_refused", code=exc.code, reason=exc.message)
            self._send(encode_error(None, exc))
            self.transport.close()

    def on_overflow(self) -> None:
        """A line was too long: it cannot be skipped, so the connection ends with a reason."""
        limit = self.transport.max_frame_bytes
        self._send(encode_error(None, Invalid(f"a frame has at most {limit} bytes; the connection is closed")))
        log.warning("frame_too_long", principal=self.principal.name, limit=limit)

    def on_closed(self, exc: Exception | None) -> None:
        """The connection has ended, whoever ended it."""
        self.closed.set()
        self._pulse.stop()
        self._idle.set()
        if self.welcomed.is_set():
            self._doorman.hub.remove(self)
        self._doorman.ended(self)

    def ended(self) -> None:
        """Withdraw what waits and give up what is attached; harmless when repeated."""
        self._doorman.ended(self)

    def _welcome(self, hello: Hello) -> None:
        if hello.protocol != PROTOCOL:
            raise Invalid(f"this broker speaks protocol {PROTOCOL}, the caller {hello.protocol}; use the same version")
        peer = self.transport.peer
        self.shown = Shown(digest_of(hello.token), peer and peer.uid, on_socket=not self.transport.remote)
        welcome = self._doorman.greet(hello, self.shown)
        self.principal = welcome.principal
        self.kind = hello.kind
        self.remote = self.transport.remote or bool(hello.remote)
        if self.remote:
            self._pulse.start()
        self.transport.max_frame_bytes = MAX_FRAME_BYTES
        self.welcomed.set()
        self._doorman.hub.add(self)
        self._send(encode(welcome))

    def _is_dead(self) -> None:
        log.warning("silent_peer_dropped", principal=self.principal.name, heard_nothing_s=DEAD_AFTER_S)
        self.transport.abort()

    def close(self) -> None:
        """End it after what was said; nothing that comes now is heard, and what waits is withdrawn."""
        self.transport.close()
        self.ended()

    def close_behind(self, request_id: int) -> None:
        """Hear nothing more, and end it with the answer to this request."""
        self._last = request_id
        self.transport.pause()

    async def run(self) -> None:
        """Live until the connection ends; one that does not say hello in time is closed."""
        with anyio.move_on_after(HELLO_WITHIN_S) as hello_time:
            await self._first_of_welcome_and_end()
        if hello_time.cancelled_caught:
            self._send(encode_error(None, Denied(f"no hello within {HELLO_WITHIN_S:g} s; the connection is closed")))
            self.transport.close()
        await self.closed.wait()

    async def _first_of_welcome_and_end(self) -> None:
        async with anyio.create_task_group() as group:

            async def ended() -> None:
                await self.closed.wait()
                group.cancel_scope.cancel()

            group.start_soon(ended)
            await self.welcomed.wait()
            group.cancel_scope.cancel()

    # --- requests in flight -------------------------------------------------------------------------

    def admit(self, request_id: int, agent: str) -> None:
        """Count a request in.

        Raises:
            Limited: too many are in flight. Invalid: the id is in use.
        """
        if request_id in self.in_flight:
            raise Invalid(f"request id {request_id} is still in flight on this connection")
        if len(self.in_flight) >= MAX_IN_FLIGHT:
            raise Limited(f"{MAX_IN_FLIGHT} requests are in flight on this connection; wait for answers first")
        if agent:
            others = self._per_agent.get(agent, 0)
            if others >= MAX_IN_FLIGHT_PER_AGENT:
                raise Limited(f"{MAX_IN_FLIGHT_PER_AGENT} requests for {agent} are in flight; wait for answers first")
            self._per_agent[agent] = others + 1
        self.in_flight[request_id] = agent

    def weigh(self, request_id: int, size: int) -> None:
        """Count the bytes of a large request; its peer may have to wait with more."""
        self._large[request_id] = size
        self._large_bytes += size
        if self._large_bytes > MAX_LARGE_BYTES:
            self.transport.pause()

    def answer(self, request_id: int, frame: bytes) -> None:
        """Send the answer of an admitted request and count it out."""
        agent = self.in_flight.pop(request_id, None)
        self.tickets.pop(request_id, None)
        if self._large:
            self._large_bytes -= self._large.pop(request_id, 0)
            if self._large_bytes <= MAX_LARGE_BYTES:
                self.transport.resume()
        if agent:
            others = self._per_agent.pop(agent) - 1
            if others:
                self._per_agent[agent] = others
        if not self.in_flight:
            self._idle.set()
        self._send(frame)
        if request_id == self._last:
            self.close()

    async def idle(self) -> None:
        """Wait until nothing is in flight, or the connection has ended."""
        while self.in_flight and not self.closed.is_set():
            self._idle = anyio.Event()
            await self._idle.wait()

    def say(self, frame: bytes) -> None:
        """Send the answer of a request that needed no place in flight."""
        self._send(frame)

    def refuse(self, request_id: int | None, error: QueenpostError) -> None:
        """Send a refusal of a request that was never admitted."""
        self._send(encode_error(request_id, error))

    # --- sending ------------------------------------------------------------------------------------

    def push(self, push: Push) -> None:
        """Send an event. Events give way first: where some are left out, a `gap` stands in their place."""
        if self.transport.queued_bytes <= MAX_QUEUED_BYTES // 2:
            self._send(encode(push))
        elif not self._gap_is_last:
            self._send(encode(Push(event="gap")))
            self._gap_is_last = True

    def _send(self, frame: bytes) -> None:
        if self.transport.closing:
            return
        self._gap_is_last = False
        if self.transport.queued_bytes + len(frame) > MAX_QUEUED_BYTES:
            log.warning("slow_reader_dropped", principal=self.principal.name, queued=self.transport.queued_bytes)
            self.transport.abort()
            return
        self.transport.write(frame)

    # --- whom it speaks for -------------------------------------------------------------------------

    def forget(self, agent: str) -> None:
        """Speak for the agent no more, until it is attached again."""
        self.attachments.pop(agent, None)

    def holds(self, agent: str, instance: str | None = None) -> bool:
        """Say whether the agent is attached here, by that instance if one is named."""
        attachment = self.attachments.get(agent)
        return attachment is not None and (instance is None or attachment.instance == instance)

    def caller(self, as_: str | None) -> Caller:
        """Say for whom a request is made.

        Raises:
            Denied: `as` names an agent that is not attached on this connection.
        """
        if self.principal.kind == "agent":
            return self._agent_caller(as_)
        if as_ is None:
            return Caller(self.principal.kind, self.principal.name)
        attachment = self.attachments.get(as_)
        if attachment is None:
            raise Denied(f"{as_!r} is not attached on this connection; call agents.attach first")
        return attachment

    def _agent_caller(self, as_: str | None) -> Caller:
        name = self.principal.name
        if as_ is not None and as_ != name:
            raise Denied(f"this connection belongs to {name}; it cannot act as {as_!r}")
        return self.attachments.get(name) or Caller("agent", name, attended=True)
