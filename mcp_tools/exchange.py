"""One HTTP request and its response, watched: is the client still there, was its mail written."""

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from anyio.lowlevel import checkpoint
from mcp_types import RequestId
from starlette.types import Message, Receive, Send

from mcp_tools.desk import Desk, Received
from mcp_tools.handover import Place

REMEMBERED = 256
"""Calls of sessions, by which a cancellation that comes in a request of its own finds what it means."""


class Exchange(Place):
    """The place of the calls in one HTTP request."""

    def __init__(self, desk: Desk, session: str | None, receive: Receive, send: Send, of: "Exchanges") -> None:
        super().__init__(desk)
        self.session = session
        self._receive = receive
        self._send = send
        self._of = of
        self._left = False

    async def receive(self) -> Message:
        """Pass on what comes in, and notice that the client left: the SDK does so in one era only."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._left = True
            self.closing.set()
        return message

    async def send(self, message: Message) -> None:
        """Pass on what goes out, and see the mail that is in it."""
        # One turn of the loop, so that a connection which ended a moment ago is known to have ended.
        await checkpoint()
        gone = self._left
        await self._send(message)
        if not gone and message["type"] == "http.response.body":
            await self.sent(message.get("body", b""))

    async def hand_over(self, request_id: RequestId, boundary: str, received: Received) -> None:
        """See `Place`."""
        self._of.remember(self, request_id)
        await super().hand_over(request_id, boundary, received)

    async def cancelled(self, request_id: RequestId, *, after_reading: bool = False) -> None:
        """Withdraw the call of this session, which came in another request than this one."""
        other = self._of.recall(self.session, request_id)
        if other is not None:
            await Place.cancelled(other, request_id, after_reading=after_reading)


class Exchanges:
    """All exchanges of one server."""

    def __init__(self) -> None:
        self.closing = False
        self._open: set[Exchange] = set()
        self._recent: OrderedDict[tuple[str, RequestId], Exchange] = OrderedDict()

    @asynccontextmanager
    async def open(self, desk: Desk, session: str | None, receive: Receive, send: Send) -> AsyncGenerator[Exchange]:
        """Hold one exchange; what it did not write goes back at its end."""
        exchange = Exchange(desk, session, receive, send, self)
        self._open.add(exchange)
        if self.closing:
            exchange.closing.set()
        try:
            yield exchange
        finally:
            self._open.discard(exchange)
            await exchange.end()

    def close(self) -> None:
        """End every waiting for mail."""
        self.closing = True
        for exchange in self._open:
            exchange.closing.set()

    def remember(self, exchange: Exchange, request_id: RequestId) -> None:
        """Keep in mind which exchange answers this call, if a later request may name it."""
        if exchange.session is None:
            return
        self._recent[exchange.session, request_id] = exchange
        while len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    def recall(self, session: str | None, request_id: RequestId) -> Exchange | None:
        """Find the exchange of a call, once."""
        return self._recent.pop((session, request_id), None) if session is not None else None
