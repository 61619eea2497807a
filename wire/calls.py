"""The calls in flight on one connection: ids, answers, and callers that leave before their answer.

It knows neither hello nor deadlines; `wire.link` owns the connection.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeVar

import anyio
from pydantic import ValidationError

from wire.codec import MAX_FRAME_BYTES, Reply, encode_request
from wire.errors import Internal, Invalid, Unavailable
from wire.fleet import RequestCancel
from wire.logs import get_logger
from wire.model import Request, Result
from wire.ops import OPS
from wire.transport import Alarm, Wait

R = TypeVar("R", bound=Result)

MAX_IN_FLIGHT = 1000
"""Further calls wait their turn. The broker refuses the 1,025th; the rest is room for `request.cancel`."""

_OP_OF = {op.request: op for op in OPS.values()}

log = get_logger("link")


class LinkLost(Unavailable):
    """The connection ended before the answer came; whether the call was carried out is not known."""


@dataclass(eq=False, slots=True)
class _Call:
    """A call that was sent and has no answer yet."""

    id: int
    until: float
    """When its caller runs out of patience, on the monotonic clock."""
    wait: Wait = field(default_factory=Wait)
    ended: bool = False
    reply: Reply | None = None
    """None once ended: the link was lost."""
    on_late: Callable[[Reply], None] | None = None
    """Set when the caller has gone and wants to know of a good answer all the same."""


class Calls:
    """By id: sent and not yet answered, those that their callers left included. Each holds one place."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._calls: dict[int, _Call] = {}
        self._places = anyio.Semaphore(MAX_IN_FLIGHT, fast_acquire=True)
        self._alarm = Alarm(self._look_at_the_clock)
        self._lost = False
        self._last_id = 0

    async def exchange(
        self,
        request: Request,
        result: type[R],
        *,
        as_: str | None = None,
        on_late: Callable[[R], None] | None = None,
        patience_s: float = math.inf,
    ) -> R:
        """Send a request and wait for its answer. Cancelled or out of patience, it withdraws the request.

        Raises:
            TimeoutError: no answer came within `patience_s`.
            LinkLost: the connection ended before the answer.
            Invalid: the request does not fit into a frame.
            QueenpostError: what the broker answered.
        """
        _check_pair(request, result)
        until = monotonic() + patience_s
        try:
            self._places.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.fail_after(until - monotonic()):
                await self._places.acquire()
        call = self._send(request, as_ or request.as_, until)
        try:
            await call.wait
        except BaseException:
            self._leave(call, on_late and (lambda reply: on_late(_opened(reply, result))))
            raise
        return _opened(call.reply, result)

    def answer(self, reply: Reply) -> None:
        """Give an answer to whoever waits for it."""
        call = self._settle(reply.id) if isinstance(reply.id, int) else None
        if call is not None:
            call.reply = reply
            _end(call)
            _hand_over_late(call)
        elif reply.id is None and reply.error is not None:
            log.warning("broker_complained", code=reply.error.code, message=reply.error.message)

    def mention(self, request: Request) -> None:
        """Send a request whose answer nobody waits for."""
        self._write(encode_request(request, self._next_id()))

    def lose(self) -> None:
        """End every call without an answer, and let those that wait for a place see that there is none."""
        self._lost = True
        self._alarm.stop()
        for call_id in list(self._calls):
            call = self._settle(call_id)
            if call is not None:
                _end(call)

    def _send(self, request: Request, as_: str | None, until: float) -> _Call:
        call = _Call(self._next_id(), until)
        self._calls[call.id] = call
        try:
            if self._lost:
                raise _link_lost()
            self._write(_frame(request, call.id, as_))
        except BaseException:
            self._settle(call.id)
            raise
        self._alarm.set(until)
        return call

    def _look_at_the_clock(self) -> None:
        now = monotonic()
        for call in self._calls.values():
            if call.until <= now:
                call.wait.give_up()
            else:
                self._alarm.set(call.until)

    def _leave(self, call: _Call, on_late: Callable[[Reply], None] | None) -> None:
        """Withdraw a call whose caller is gone. It keeps its place until the broker has answered it."""
        call.on_late = on_late
        if call.ended:  # answer and cancellation came in the same turn of the loop
            _hand_over_late(call)
        else:
            self.mention(RequestCancel(request=call.id))

    def _settle(self, call_id: int) -> _Call | None:
        call = self._calls.pop(call_id, None)
        if call is not None:
            self._places.release()
        return call

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id


def _end(call: _Call) -> None:
    call.ended = True
    call.wait.end()


def op_name(request: Request) -> str:
    """Give the op of a request."""
    return _OP_OF[type(request)].name


def _check_pair(request: Request, result: type[Result]) -> None:
    expected = _OP_OF[type(request)].result
    if result is not expected:
        raise TypeError(f"{op_name(request)} is answered by {expected.__name__}, not by {result.__name__}")


def _frame(request: Request, call_id: int, as_: str | None) -> bytes:
    frame = encode_request(request, call_id, as_)
    if len(frame) > MAX_FRAME_BYTES:
        # Sent, it would end the connection, and be sent again on the next one.
        raise Invalid(
            f"{op_name(request)} has {len(frame)} bytes, a frame holds {MAX_FRAME_BYTES}; "
            "write the text to a file and send its path"
        )
    return frame


def _opened(reply: Reply | None, result: type[R]) -> R:
    if reply is None:
        raise _link_lost()
    if reply.error is not None:
        raise reply.error
    try:
        return result.model_validate(reply.result)
    except ValidationError as exc:
        raise Internal(
            f"the answer of the broker is no {result.__name__}; do both sides run the same version?"
        ) from exc


def _hand_over_late(call: _Call) -> None:
    if call.on_late is None or call.reply is None or call.reply.error is not None:
        return
    try:
        call.on_late(call.reply)
    except Exception:
        # The outermost handler of a callback: the other calls of this connection must go on.
        log.exception("late_answer_lost", request_id=call.id)


def _link_lost() -> LinkLost:
    return LinkLost("the connection to the broker was lost before its answer; repeating the call is safe")
