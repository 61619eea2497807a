"""The client of the broker: one link at a time, made again when it is lost, and calls that outlive it.

It does not know what a harness does with a new link: that is handed in as `on_link`.
"""

import random
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream

from wire.backoff import Backoff
from wire.calls import LinkLost, op_name
from wire.errors import Closed, Internal, Limited, QueenpostError, Unavailable
from wire.fleet import Push, Welcome
from wire.link import TIMEOUT_S, Connect, Link, no_answer, patience_s, wait_s_of
from wire.logs import get_logger
from wire.model import Request, Result
from wire.pushes import Pushes
from wire.unix_socket import connect_unix

R = TypeVar("R", bound=Result)
OnLink = Callable[[Link | None], Awaitable[None]]
"""Awaited with each new link before anything else is sent on it, and with None when it is lost.

Calls that have to come first (`agents.attach`, `turns.resume`) are made on the link it is given: the client
holds everything else back until it returns. Should it raise `Unavailable`, the link is made again; anything
else ends the client.
"""

CLOSING_S = 1.0
_PASSING = (Unavailable, Limited, Internal)
"""What a broker that is starting, stopping or busy answers to a hello; all else will not pass by itself."""

log = get_logger("client")


class BrokerClient:
    """Calls to one broker over one multiplexed connection. Entered once it is welcomed, left once.

    Leaving ends what is still in flight with `Closed`. If the link cannot be had again, because the token is
    void or the protocol has changed, the block is cancelled and that error raised from it.
    """

    def __init__(
        self,
        connect: Connect | Path,
        token: Callable[[], str],
        kind: str,
        *,
        reconnect: bool = True,
        on_link: OnLink | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._connect = partial(connect_unix, connect, rng=rng) if isinstance(connect, Path) else connect
        self._token = token
        self._kind = kind
        self._reconnect = reconnect
        self._on_link = on_link
        self._backoff = Backoff(rng=rng)
        self._pushes = Pushes()
        self._tasks: TaskGroup
        self._link: Link | None = None
        """The link on which calls may be made: welcomed, and announced to `on_link`."""
        self._ended: QueenpostError | None = Closed("the client was not entered")
        """Why there will be no link any more."""
        self._changed = anyio.Event()
        """Set and replaced when `_link` or `_ended` changes."""
        self._welcome: Welcome

    @property
    def welcome(self) -> Welcome:
        """What the broker said last when a link was made."""
        return self._welcome

    def pushes(self) -> MemoryObjectReceiveStream[Push]:
        """Give a stream of what the broker says unasked, from now on; `gap` means that some of it was missed.

        Bounded to `wire.pushes.BUFFERED`, and a `gap` follows every new link. To be closed by the caller.
        """
        return self._pushes.subscribe()

    async def call(
        self,
        request: Request,
        result: type[R],
        *,
        as_: str | None = None,
        timeout_s: float = TIMEOUT_S,
        on_late: Callable[[R], None] | None = None,
    ) -> R:
        """Ask the broker. Where the link is lost before the answer, ask again on the next one.

        Every op may be repeated, with its key (DESIGN 4). A call that parks is given its `wait_s`
        on top of `timeout_s`; repeated, it parks for what is left. A cancelled call is withdrawn; should it
        have been carried out all the same, `on_late` gets the result, from the event loop: it may not await.

        Raises:
            Unavailable: no answer in time; whether it was carried out is not known.
            Closed: the client was left.
            QueenpostError: what the broker answered.
        """
        started = monotonic()
        patience = patience_s(request, timeout_s)
        parks_until, until = started + wait_s_of(request), started + patience
        try:
            link = await self._linked_by(until)
            while True:
                try:
                    left_s = until - monotonic()
                    return await link.exchange(request, result, as_=as_, on_late=on_late, patience_s=left_s)
                except LinkLost:
                    link = await self._linked_by(until)
                    request = _parking_until(request, parks_until)
        except TimeoutError:
            raise no_answer(op_name(request), patience) from None

    async def __aenter__(self) -> Self:
        """Make the first link.

        Raises:
            Denied: the token is wrong.
            Unavailable: nobody listens.
        """
        link = await self._open_link()
        self._turn_to(link, None)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._keep_linked, link, name="broker link")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        """Close the link. An error of the block leaves it as it is, not in a group."""
        link = self._link
        self._turn_to(None, self._ended or Closed("the client was left"))
        self._tasks.cancel_scope.cancel()
        if link is not None:
            await _close(link)
        self._pushes.close()
        cancelled = isinstance(exc, anyio.get_cancelled_exc_class())
        try:
            swallow = await self._tasks.__aexit__(*((exc_type, exc, tb) if cancelled else (None, None, None)))
        except BaseExceptionGroup as group:
            if exc is None or cancelled:
                raise group.exceptions[0] from None  # of _keep_linked, its one task
            return None
        return swallow if cancelled else None

    async def _linked_by(self, instant: float) -> Link:
        while self._ended is None:
            if self._link is not None and not self._link.lost.is_set():
                return self._link
            with anyio.fail_after(instant - monotonic()):
                await self._changed.wait()
        raise self._ended.with_traceback(None)

    def _turn_to(self, link: Link | None, ended: QueenpostError | None) -> None:
        self._link, self._ended = link, ended
        self._changed.set()
        self._changed = anyio.Event()

    async def _keep_linked(self, link: Link) -> None:
        try:
            while True:
                await link.lost.wait()
                log.info("link_lost")
                if not self._reconnect:
                    self._turn_to(None, LinkLost("the connection to the broker was lost"))
                    return await self._announce(None)
                self._turn_to(None, None)
                await self._announce(None)
                link = await self._linked_again()
                self._turn_to(link, None)
                self._pushes.publish(Push(event="gap"))
        except QueenpostError as exc:
            self._turn_to(None, exc)
            raise

    async def _linked_again(self) -> Link:
        while True:
            await anyio.sleep(self._backoff.next_s())
            try:
                link = await self._open_link()
            except _PASSING as exc:
                log.debug("link_not_made", code=exc.code, message=exc.message)
            else:
                self._backoff.reset()
                log.info("link_made_again")
                return link

    async def _open_link(self) -> Link:
        link = await Link.open(self._connect, self._token, self._kind, self._pushes.publish)
        self._welcome = link.welcome
        try:
            await self._announce(link)
        except BaseException:
            link.abort()
            raise
        return link

    async def _announce(self, link: Link | None) -> None:
        if self._on_link is not None:
            await self._on_link(link)


async def _close(link: Link) -> None:
    link.close()
    with anyio.move_on_after(CLOSING_S, shield=True):
        await link.lost.wait()
        return
    log.warning("link_close_gave_up", after_s=CLOSING_S)
    link.abort()


def _parking_until(request: Request, instant: float) -> Request:
    if not wait_s_of(request):
        return request
    return request.model_copy(update={"wait_s": max(0.0, instant - monotonic())})


def new_key() -> str:
    """Make the key of a mutating request; the same key again gives the first result again."""
    return secrets.token_urlsafe(16)


def new_instance() -> str:
    """Make the name under which this process works for agents; it lives in memory only (DESIGN 5.7)."""
    return secrets.token_urlsafe(16)
