"""Whether an agent's notes are made shorter now: between turns, within budget, and not against a wall.

How that is done is in `harness.compaction`. The agent shows as parked meanwhile; mail that comes waits for its end.
"""

from collections.abc import Callable

from harness.accounts import Account
from harness.backends.protocol import NotStartedError
from harness.compaction import LIMIT_S, Compactor, Shortened
from harness.post import Post
from harness.reporting import Reporter
from wire.client import new_key
from wire.clock import Clock
from wire.errors import QueenpostError
from wire.logs import get_logger
from wire.notes import NotesBegin, NotesBegun, NotesEnd, NotesEnded

SHORTENING = "its notes are made shorter; its mail waits for some minutes at most"

log = get_logger("notes")


class Tidier:
    """One agent's. Nothing that it does fails a turn."""

    def __init__(
        self,
        compactor: Compactor,
        post: Post,
        account: Account,
        reporter: Reporter,
        clock: Clock,
        secrets: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self._compactor = compactor
        self._post = post
        self._account = account
        self._reporter = reporter
        self._clock = clock
        self._secrets = secrets

    async def __call__(self) -> None:
        """Make the notes shorter, if that is due and nothing is in the way; returns when it is over."""
        account = self._account
        if not self._compactor.is_due or account.wall is not None or account.is_full or not await self._may():
            return
        started_ms = self._clock.wall_ms()
        try:
            async with account.admission(self._post.agent, self._say):
                await self._say(SHORTENING, started_ms + int(LIMIT_S * 1000))
                done = await self._compactor.shorten(self._secrets())
        except NotStartedError as exc:
            log.info("notes_left", reason=exc.reason)
            return
        account.note(self._post.agent, done.outcome, done.reason, begun=done.begun, until_ms=done.until_ms)
        took_ms = max(self._clock.wall_ms() - started_ms, 0)
        say = log.info if done.outcome == "completed" else log.warning
        say("notes_session_ended", outcome=done.outcome, reason=done.reason, took_ms=took_ms)
        await self._count(done, took_ms)

    async def _may(self) -> bool:
        try:
            begun = await self._post.call(NotesBegin(), NotesBegun)
        except QueenpostError as exc:
            log.debug("notes_later", reason=exc.message)
            return False
        if not begun.allowed:
            log.debug("notes_later", reason=begun.why)
        return begun.allowed and (not begun.waiting or self._compactor.presses)

    async def _say(self, reason: str, until_ms: int) -> None:
        await self._reporter.say("parked", reason, until_ms)

    async def _count(self, done: Shortened, took_ms: int) -> None:
        request = NotesEnd(
            key=new_key(), outcome=done.outcome, reason=done.reason[:1900], usage=done.usage, took_ms=took_ms
        )
        try:
            await self._post.call(request, NotesEnded)
        except QueenpostError as exc:
            log.warning("notes_not_counted", reason=exc.message)
