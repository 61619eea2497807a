"""What becomes of mail between a tool's return and the wire: written completely, or given back.

A result is recognised on its way out by the random boundary of its rendering, which stands in no other
result. So this works in both protocol eras and on every transport, and needs nothing of the SDK's inside.
"""

import anyio
from anyio.lowlevel import checkpoint_if_cancelled
from mcp_types import RequestId

from mcp_tools.desk import Desk, Received

GIVE_BACK_S = 2.0
"""Bound on returning mail while everything around is being cancelled."""

REMEMBERED = 64
"""Written results that a late cancellation can still take back."""


async def give_back(desk: Desk, received: Received) -> None:
    """Return what nobody will read; runs to its end even in a cancelled scope."""
    if received.mail and not received.peek:
        with anyio.move_on_after(GIVE_BACK_S, shield=True):
            await desk.give_back(received)


class Parcel:
    """The mail of one tool result: pending, then written, then perhaps lost to a late cancellation."""

    def __init__(self, desk: Desk, boundary: str, received: Received) -> None:
        self._desk = desk
        self._mark = boundary.encode()
        self._received = received
        self.pending = True
        self._lost = False

    def is_in(self, data: bytes) -> bool:
        """Say whether these bytes of a response carry the mail."""
        return self._mark in data

    async def arrive(self) -> None:
        """The bytes with the mail left this process."""
        if self.pending:
            self.pending = False
            await self._desk.written(self._received)

    async def lose(self) -> None:
        """Nobody will read the mail: back with it."""
        if self._lost:
            return
        self.pending, self._lost = False, True
        await give_back(self._desk, self._received)


class Place:
    """Where tool calls come from and results go to: a stdio client, one HTTP request, a test."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.closing = anyio.Event()
        """Set when there is no use in waiting for mail any more: the other side left, or we stop."""
        self._parcels: list[tuple[RequestId, Parcel]] = []
        self._ended = False

    async def hand_over(self, request_id: RequestId, boundary: str, received: Received) -> None:
        """Watch over this mail from now on; called without a pause after the desk gave it.

        Where the call was cancelled in that very moment, the mail goes back and the cancellation goes on.
        """
        parcel = Parcel(self.desk, boundary, received)
        self._keep(request_id, parcel)
        try:
            await checkpoint_if_cancelled()
        except anyio.get_cancelled_exc_class():
            await parcel.lose()
            raise
        if self._ended:
            await parcel.lose()

    def _keep(self, request_id: RequestId, parcel: Parcel) -> None:
        pending = [entry for entry in self._parcels if entry[1].pending]
        settled = [entry for entry in self._parcels if not entry[1].pending]
        self._parcels = [*settled[-REMEMBERED:], *pending, (request_id, parcel)]

    async def sent(self, data: bytes) -> None:
        """These bytes of a response were written."""
        for parcel in self._pending():
            if parcel.is_in(data):
                await parcel.arrive()

    async def cancelled(self, request_id: RequestId, *, after_reading: bool = False) -> None:
        """The client withdrew this call; if it was answered meanwhile, the answer is not read.

        `after_reading`: of a client that withdraws even what it has read; an answer that was written stays then.
        """
        for key, parcel in [*self._parcels]:
            if key == request_id and (parcel.pending or not after_reading):
                await parcel.lose()

    async def end(self) -> None:
        """Nothing is written any more: what is still pending goes back."""
        self._ended = True
        self.closing.set()
        for parcel in self._pending():
            await parcel.lose()

    def _pending(self) -> list[Parcel]:
        return [parcel for _, parcel in self._parcels if parcel.pending]
