"""The desk of a plain client: an agent without harness. Its turns open with the first mail it takes.

It acks only what the client says or shows to be handled: `done=ID`, or over stdio the next recv that waits (DESIGN
5.4). It does not end turns by itself: leaving does, or half an hour of silence over HTTP; then everything unacked goes
back. Long because how it attaches, takes, renews and leaves is one state.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream

from mcp_tools.attendance import Attendance
from mcp_tools.claims import Add, Claims, nowhere
from mcp_tools.desk import Received
from mcp_tools.presence import Presence
from mcp_tools.session_note import SessionNote
from wire.agents import AgentsAttached, AgentsChanged, AgentsDetach, AgentsWho, AgentsWhoami
from wire.client import BrokerClient, new_key
from wire.clock import SystemClock
from wire.errors import Closed, Conflict, Denied, QueenpostError, Stale
from wire.fleet import Push
from wire.inbox import InboxPeek, InboxPeeked
from wire.jobs import Job
from wire.link import Connect
from wire.logs import get_logger
from wire.model import Request, Result
from wire.outlet import Outlet
from wire.records import Records
from wire.settings import Role
from wire.turns import (
    RENEW_EVERY_S,
    TurnsGiveBack,
    TurnsGivenBack,
    TurnsRenew,
    TurnsRenewed,
    TurnsTake,
    TurnsTaken,
)

R = TypeVar("R", bound=Result)

CALL_S = 30.0
LEAVE_S = 1.0
"""Bound on detaching; should it not suffice, the end of the connection does the same."""

HOSTED = "a harness works for this agent and hands it this mail in a turn"
FIRST_FINISH = "nothing more until what you have is handled: say so with done=ID, or call recv with a wait"

TAKEN = "another session takes the mail of {0}; end it first. Here, send and whoami work all the same"

log = get_logger("mcp")


class Broker(Protocol):
    """What is needed of `wire.client.BrokerClient`."""

    async def call(
        self,
        request: Request,
        result: type[R],
        *,
        timeout_s: float = ...,
        on_late: Callable[[R], None] | None = None,
    ) -> R:
        """See `BrokerClient.call`."""
        ...

    def pushes(self) -> MemoryObjectReceiveStream[Push]:
        """See `BrokerClient.pushes`."""
        ...


class AttendedDesk:
    """A `Desk` over a connection that said hello with the agent's own token."""

    def __init__(
        self,
        broker: Broker,
        attendance: Attendance,
        role: Role,
        presence: Presence | None = None,
        keep: Add = nowhere,
    ) -> None:
        self.agent = attendance.agent
        self.role: Role = role
        self._presence = presence
        """Of a client over HTTP. None over stdio: such a client is there for as long as this process is."""
        self._broker = broker
        self._attendance = attendance
        self.claims = Claims(broker, keep, SystemClock().wall_ms)
        """The jobs that this session works on."""
        self._attaching = anyio.Lock()
        self._leaving = False
        self._tasks: TaskGroup

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Self]:
        """Keep the turn alive while the client is; on leaving, close it and let the agent go."""
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._keep_renewed)
            try:
                yield self
            finally:
                await self._leave()
                self._tasks.cancel_scope.cancel()

    async def take_place(self) -> None:
        """Attach now, not with the first recv: it shows in the status, and no other session gets the agent.

        Never raises an error: where somebody else works for the agent, the first recv says so.
        """
        try:
            await self._attach()
        except QueenpostError as exc:
            log.info("not_attached_at_once", agent=self.agent, code=exc.code)

    def start_soon(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run something for as long as the desk is open."""
        self._tasks.start_soon(task)

    async def call(self, request: Request, result: type[R], *, timeout_s: float = CALL_S) -> R:
        """See `Desk`."""
        with self._sign_of_life():
            return await self._broker.call(request, result, timeout_s=timeout_s)

    async def claim_job(self) -> Job | None:
        """See `Desk`. Attaches first."""
        with self._sign_of_life():
            await self._attach()
            return await self.claims.claim(None)

    async def recv(self, *, maximum: int, wait_s: float, done: str | None) -> Received:
        """See `Desk`. Attaches first; where a harness holds the agent it only looks."""
        with self._sign_of_life():
            return await self._recv(maximum, wait_s, done or (self._shown_by_waiting() if wait_s else None))

    def _sign_of_life(self) -> AbstractContextManager[None]:
        return nullcontext() if self._presence is None else self._presence.call()

    def _shown_by_waiting(self) -> str | None:
        """Up to which message a client shows to have handled its mail when it waits for more.

        Only what it had before it made this call: a call sent in parallel proves nothing. Over HTTP the one who
        waits may be another one than the one who was given the mail.
        """
        return self._attendance.last_handed if self._presence is None else None

    async def _recv(self, maximum: int, wait_s: float, done: str | None) -> Received:
        request = TurnsTake(max=maximum, wait_s=wait_s, done=done, call=new_key())
        try:
            taken = await self._take(request)
        except Conflict as exc:
            if exc.details.get("holder") != "harness":
                raise self._taken_elsewhere(exc) from exc
            return await self._peek(maximum, wait_s)
        try:
            over = await self.claims.work_on(taken.mail, taken.turn)
        except BaseException:  # whoever asked has left meanwhile
            self._return(taken)
            raise
        note = FIRST_FINISH if taken.exhausted else None
        received = Received(taken.mail, taken.waiting, taken.turn, peek=False, note=note, open_asks=taken.open_asks)
        return received.noting(over)

    def _taken_elsewhere(self, exc: Conflict) -> Conflict:
        """Say it to a model; where the other one may yet come back, the broker says for how long."""
        connected = exc.details.get("connected", True)
        return Conflict(TAKEN.format(self.agent) if connected else exc.message, **exc.details)

    async def _take(self, request: TurnsTake) -> TurnsTaken:
        try:
            taken = await self._take_attached(request)
        except (Denied, Stale) as exc:
            if isinstance(exc, Denied) and self._attendance.attached:
                raise
            # We were gone for too long, or somebody else has the agent now: attaching tells.
            self._attendance.lapse()
            taken = await self._take_attached(request)
        self._attendance.took(taken, request.done)
        return taken

    async def _take_attached(self, request: TurnsTake) -> TurnsTaken:
        await self._attach()
        return await self._broker.call(request, TurnsTaken, timeout_s=CALL_S, on_late=self._return)

    async def _attach(self) -> None:
        async with self._attaching:
            if not self._attendance.attached:
                attached = await self._broker.call(self._attendance.request(), AgentsAttached, timeout_s=CALL_S)
                self._attendance.attach(attached)

    def _return(self, taken: TurnsTaken) -> None:
        """Somebody asked for this mail and left before it came."""
        if taken.mail and not self._leaving:
            late = Received(taken.mail, taken.waiting, taken.turn, peek=False, note=None)
            self._tasks.start_soon(self.give_back, late)

    async def give_back(self, received: Received) -> None:
        """See `Desk`."""
        ids = [mail.id for mail in received.mail]
        self._attendance.forget(ids)
        self.claims.let_go(received.mail)
        if received.turn is None or not ids:
            return
        try:
            await self._broker.call(TurnsGiveBack(turn=received.turn, ids=ids), TurnsGivenBack, timeout_s=CALL_S)
        except QueenpostError as exc:
            # The lease ends with the turn at the latest; until then nobody else gets the mail.
            log.warning("mail_not_given_back", agent=self.agent, mail=ids, code=exc.code, reason=exc.message)

    async def written(self, received: Received) -> None:
        """See `Desk`."""
        self._attendance.written(received.turn, [mail.id for mail in received.mail])

    async def _peek(self, maximum: int, wait_s: float) -> Received:
        with self._broker.pushes() as pushes:
            peeked = await self._look(maximum)
            with anyio.move_on_after(wait_s):
                while not peeked.mail:
                    await self._mail_waiting(pushes)
                    peeked = await self._look(maximum)
        behind = max(peeked.waiting - len(peeked.mail), 0)
        return Received(peeked.mail, behind, None, peek=True, note=HOSTED)

    async def _look(self, maximum: int) -> InboxPeeked:
        return await self._broker.call(InboxPeek(max=maximum), InboxPeeked, timeout_s=CALL_S)

    async def _mail_waiting(self, pushes: MemoryObjectReceiveStream[Push]) -> None:
        """Wait until there may be mail; a `gap` says that we might have missed it."""
        try:
            while (await pushes.receive()).event not in {"mail_waiting", "gap"}:
                pass
        except anyio.EndOfStream:
            raise Closed("the connection to the broker is closed") from None

    async def _keep_renewed(self) -> None:
        while True:
            await anyio.sleep(RENEW_EVERY_S)
            if self._presence is not None and self._presence.is_over:
                await self._give_up(self._presence)
            elif (turn := self._attendance.turn) is not None:
                await self._renew(turn)

    async def _give_up(self, presence: Presence) -> None:
        """Let the agent go: its mail is ready again, and the next recv attaches anew."""
        async with self._attaching:
            # A call that came meanwhile waits for this lock, and is heard.
            if self._attendance.attached and presence.is_over and await self._detach():
                self._attendance.lapse()
                log.info("silent_client_given_up", agent=self.agent)

    async def _renew(self, turn: str) -> None:
        try:
            await self._broker.call(TurnsRenew(turn=turn, begun=True), TurnsRenewed, timeout_s=RENEW_EVERY_S)
        except (Stale, Closed):
            # All of it was handled, or it lapsed; the next mail opens another one.
            self._attendance.ended(turn)
        except QueenpostError as exc:
            log.info("turn_not_renewed", agent=self.agent, turn=turn, code=exc.code)

    async def _leave(self) -> None:
        """Detach, which closes the turn as interrupted."""
        self._leaving = True
        if not self._attendance.attached:
            return
        with anyio.move_on_after(LEAVE_S, shield=True):
            await self._detach()
        self._attendance.lapse()

    async def _detach(self) -> bool:
        try:
            await self._broker.call(AgentsDetach(agent=self.agent), AgentsChanged, timeout_s=LEAVE_S)
        except QueenpostError as exc:
            log.info("detach_failed", agent=self.agent, code=exc.code)
            return False
        return True


@asynccontextmanager
async def attend(
    connect: Connect | Path,
    agent: str,
    token: Callable[[], str],
    *,
    presence: Presence | None = None,
    note: SessionNote | None = None,
    outbox: Path | None = None,
    make_room: Callable[[], None] | None = None,
) -> AsyncGenerator[AttendedDesk]:
    """Connect as the agent. Taking mail attaches; leaving gives back what was not handled.

    `outbox`: where events of its jobs are kept; None: it publishes none. `make_room` makes its folders.

    Raises:
        Unavailable: no broker listens.
        Denied: the token is not the agent's.
    """
    attendance = Attendance(agent, note)
    async with BrokerClient(connect, token, "mcp", on_link=attendance.on_link) as client:
        who = await client.call(AgentsWhoami(), AgentsWho)
        outlet = None if outbox is None else Outlet(agent, outbox, Records(client.call, "harness"), make_room)
        keep = nowhere if outlet is None else outlet.add
        async with AttendedDesk(client, attendance, who.role, presence, keep).open() as desk:
            if outlet is not None:
                desk.start_soon(outlet.run)
            yield desk
