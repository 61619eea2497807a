"""The desk of a hosted agent's tools: sends go straight to the broker, mail comes through the open turn.

A tool call belongs to the turn that was open when it arrived. Outside a turn mail is only shown: taking it
would hide it from the turn loop, which alone may call it handled.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeVar

import anyio

from harness.backends.tool_calls import ToolCalls
from harness.checkpoints import Checkpoint, go_on
from harness.open_turn import OpenTurn
from harness.post import Post
from mcp_tools.claims import Add, Claims, nowhere
from mcp_tools.desk import Received
from wire.clock import Clock, SystemClock
from wire.errors import Closed, QueenpostError
from wire.inbox import InboxPeek, InboxPeeked
from wire.jobs import Job
from wire.logs import get_logger
from wire.model import Mutation, Request, Result
from wire.settings import Role
from wire.turns import Turn

R = TypeVar("R", bound=Result)

CALLS_AT_ONCE = 3
RECVS_AT_ONCE = 2
"""The broker takes eight requests at once for an agent; the turn loop's own must never wait for a tool's."""

log = get_logger("harness")


class HarnessDesk:
    """See `mcp_tools.desk.Desk`."""

    def __init__(
        self, post: Post, role: Role, checkpoint: Checkpoint = go_on, *, keep: Add = nowhere, clock: Clock | None = None
    ) -> None:
        self.agent = post.agent
        self.role: Role = role
        self.open: OpenTurn | None = None
        """The turn that is open now."""
        self.tools = ToolCalls()
        """What the agent's program calls here."""
        self.claims = Claims(post, keep, (clock or SystemClock()).wall_ms, self._turn_of_jobs)
        """The jobs that the open turn works on."""
        self._post = post
        self._checkpoint = checkpoint
        self._calls = anyio.Semaphore(CALLS_AT_ONCE)
        self._recvs = anyio.Semaphore(RECVS_AT_ONCE)

    @contextmanager
    def serving(self, turn: Turn) -> Generator[OpenTurn]:
        """Let tool calls take mail into this turn, until its close was answered."""
        self.open = OpenTurn(turn, self._post)
        try:
            yield self.open
        finally:
            self.open = None
            self.claims.end_turn()

    async def call(self, request: Request, result: type[R], *, timeout_s: float = 30.0) -> R:
        """See `Desk`."""
        with self.tools.call(str(getattr(request, "op", ""))):
            async with self._calls:
                answer = await self._post.call(request, result, timeout_s=timeout_s)
        if isinstance(request, Mutation):
            await self._checkpoint("called")
        return answer

    async def recv(self, *, maximum: int, wait_s: float, done: str | None) -> Received:
        """See `Desk`; `done` changes nothing, since all mail of a turn is settled together."""
        turn = self.open
        if turn is None:
            return await self._peek(maximum)
        with self.tools.call("inbox.recv"):
            async with self._recvs:
                received = await turn.take(maximum, wait_s)
        return received.noting(await self.claims.work_on(received.mail, turn.id))

    async def claim_job(self) -> Job | None:
        """See `Desk`."""
        turn = self._turn_of_jobs()
        with self.tools.call("jobs.claim"):
            return await self.claims.claim(turn)

    def _turn_of_jobs(self) -> str:
        if self.open is None:
            raise Closed("a job is worked on in a turn, and yours has ended; end your work")
        return self.open.id

    async def _peek(self, maximum: int) -> Received:
        peeked = await self.call(InboxPeek(max=maximum), InboxPeeked)
        return Received(peeked.mail, max(peeked.waiting - len(peeked.mail), 0), turn=None, peek=True, note=None)

    async def give_back(self, received: Received) -> None:
        """See `Desk`. What cannot be returned now is returned before the turn is closed."""
        if (turn := self._turn_of(received)) is None:
            return
        self.claims.let_go(received.mail)
        try:
            await turn.give_back(mail.id for mail in received.mail)
        except QueenpostError as exc:
            log.info("giving_back_later", agent=self.agent, turn=turn.id, reason=exc.message)

    async def written(self, received: Received) -> None:
        """See `Desk`."""
        if (turn := self._turn_of(received)) is not None:
            turn.written(received.mail)

    def _turn_of(self, received: Received) -> OpenTurn | None:
        return self.open if self.open is not None and self.open.id == received.turn else None
