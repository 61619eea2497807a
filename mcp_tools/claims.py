"""The jobs that one agent works on now, with their secrets: claimed with the turn that got their mail, gone with it.

The secrets live here, in memory, and nowhere else outside of the broker. Events are signed and kept by the outbox
before a tool answers; who carries them is `wire.publisher`.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import anyio

from prompts.loader import render
from wire.client import new_key
from wire.errors import Closed, Conflict, Invalid, QueenpostError, Unavailable, Unknown
from wire.events import MAX_DETAIL, TERMINAL, BadEvent, Event, EventName, sign, stamp
from wire.inbox import Mail
from wire.jobs import Job, JobsClaim, JobsClaimed
from wire.logs import get_logger
from wire.model import Request, Result

R = TypeVar("R", bound=Result)

PUBLISHED: tuple[EventName, ...] = ("started", "progress", "permission_required", "completed", "error")
"""What a publisher may say; `cancelled` is the broker's."""

OVER = (Closed, Conflict, Unknown)
"""Refusals of a claim that asking again does not change."""

log = get_logger("jobs")


class Post(Protocol):
    """The agent's way to the broker."""

    async def call(self, request: Request, result: type[R]) -> R:
        """Ask it."""
        ...


async def nowhere(_job: str, _epoch: int, _topic: str, _sign: Callable[[int], bytes], _retain: bool) -> int:
    """Keep no event: for who was given no place for an outbox."""
    raise Unavailable("events of jobs are not published from here: there is no place in which to keep them")


Add = Callable[[str, int, str, Callable[[int], bytes], bool], Awaitable[int]]
"""Keeps an event: job, epoch, topic, what signs it under its number, whether it is retained. See `Publisher.add`."""


@dataclass(frozen=True, slots=True)
class _Claim:
    claimed: JobsClaimed = field(repr=False)  # it holds the secret
    job: Job
    turn: str | None
    ended: bool = False


def no_turn() -> None:
    """Name no turn: of an attended session the broker knows which one is open."""


class Claims:
    """One per agent."""

    def __init__(
        self, post: Post, add: Add, now_ms: Callable[[], int], turn: Callable[[], str | None] = no_turn
    ) -> None:
        self._post = post
        self._add = add
        self._now_ms = now_ms
        self._turn = turn
        """Gives the turn that is open; raises where there has to be one and is none."""
        self._claims: dict[str, _Claim] = {}
        self._claiming = anyio.Lock()
        """Of two calls at once for a job of an earlier turn one claims it: a second claim would fence the first."""
        self._saying = anyio.Lock()
        """Of two calls at once that say an end one is refused: it is said once."""
        self._missed: list[str] = []
        """Jobs of this turn's mail that could not be claimed when it came."""

    @property
    def jobs(self) -> list[str]:
        """The jobs that are worked on and have not ended."""
        return [name for name, claim in self._claims.items() if not claim.ended]

    async def work_on(self, mail: Iterable[Mail], turn: str | None) -> list[str]:
        """Claim the jobs that came with mail, and say `started`. Gives what the model should know of those that are
        over: a job that cannot be claimed stops no turn, its mail is read all the same."""
        over: list[str] = []
        for message in mail:
            name = job_of(message)
            known = self._claims.get(name or "")
            if name is None or (known is not None and known.turn == turn):
                continue
            try:
                await self._claim(name, turn)
            except QueenpostError as exc:
                self._missed.append(name)
                log.warning("job_not_claimed", job=name, code=exc.code, reason=exc.message)
                if isinstance(exc, OVER):
                    over.append(render("turns/job_over.md.j2", job=name))
        return over

    def let_go(self, mail: Iterable[Mail]) -> None:
        """Forget the claims of mail that goes back unread: the turn that gets it next claims anew."""
        for message in mail:
            if (name := job_of(message)) is not None:
                self._claims.pop(name, None)

    async def claim(self, turn: str | None) -> Job | None:
        """Claim the oldest job that nobody was given, and say `started`; None where none is left."""
        return await self._claim(None, turn)

    async def _claim(self, name: str | None, turn: str | None) -> Job | None:
        claimed = await self._post.call(JobsClaim(key=new_key(), job=name, turn=turn), JobsClaimed)
        if claimed.job is None:
            return None
        # Of a session that goes on for days, only what may still be spoken of is kept.
        self._claims = {job: one for job, one in self._claims.items() if one.turn == turn or not one.ended}
        self._claims[claimed.job.id] = _Claim(claimed, claimed.job, turn)
        await self.publish("started", "", {}, claimed.job.id)
        return claimed.job

    async def publish(self, event: EventName, detail: str, data: dict[str, Any], job: str | None) -> tuple[str, int]:
        """Sign an event and keep it, durable once this returns; gives its job and number.

        A job that is named and is not of this turn, such as one of an earlier turn, is claimed first.

        Raises:
            Invalid: no job is worked on; data that no event can hold. Conflict: several jobs and none named, or another
            agent works on it. Closed: its end was said already. Unknown: no such job. Full: the outbox or the disk.
        """
        claim = await self._chosen(job)
        async with self._saying:
            return claim.job.id, await self._say(self._claims.get(claim.job.id, claim), event, detail, data)

    async def _say(self, claim: _Claim, event: EventName, detail: str, data: dict[str, Any]) -> int:
        if claim.ended:
            raise Closed(f"the end of job {claim.job.id} was said already; nothing was published")
        claimed = claim.claimed

        def signed(seq: int) -> bytes:
            made = Event(
                claimed.fleet, claim.job.id, claimed.kid, claim.job.epoch, seq, event, stamp(self._now_ms()),
                detail, data,
            )  # fmt: skip
            return sign(made, claimed.topic, claimed.secret)

        try:
            seq = await self._add(claim.job.id, claim.job.epoch, claimed.topic, signed, event in TERMINAL)
        except BadEvent as exc:
            raise Invalid(f"{exc.message}; nothing was published") from None
        if event in TERMINAL:
            self._claims[claim.job.id] = replace(claim, ended=True)
        return seq

    async def _chosen(self, job: str | None) -> _Claim:
        name = job or self._meant()
        if name not in self._claims:
            async with self._claiming:
                if name not in self._claims:
                    await self._claim_late(name)
        return self._claims[name]

    def _meant(self) -> str:
        running = self.jobs or self._missed or list(self._claims)[-1:]
        if not running:
            raise Invalid("no job is worked on in this turn; claim_job takes one, or name one of yours with job_id")
        if len(running) > 1:
            raise Conflict(f"several jobs are worked on in this turn: {', '.join(running)}; say which with job_id")
        return running[0]

    async def _claim_late(self, name: str) -> None:
        """Claim a job of an earlier turn, or one whose mail came while the broker was away."""
        try:
            await self._claim(name, self._turn())
        except Unknown as exc:
            mine = f"; this turn works on {', '.join(self._claims)}" if self._claims else ""
            raise Unknown(f"job {name!r} is none of yours{mine}") from exc

    async def asked(self, ask: str, detail: str) -> None:
        """Say on every job that is worked on that a permission was asked for; that it cannot be said stops nothing."""
        for job in self.jobs:
            try:
                await self.publish("permission_required", detail[:MAX_DETAIL], {"ask": ask}, job)
            except QueenpostError as exc:
                log.warning("permission_not_said", job=job, ask=ask, code=exc.code, reason=exc.message)

    def end_turn(self) -> None:
        """Forget the claims of a turn, and their secrets: the next turn claims anew."""
        self._claims.clear()
        self._missed.clear()


def job_of(message: Mail) -> str | None:
    """Give the job that a message carries; a notice only tells of one."""
    return message.about.job if message.about is not None and message.kind != "system" else None
