"""Jobs on paper: what one is, what was recorded of it, and what time does to it (DESIGN 7).

What people and publishers do stands in `paper_job_acts`. A window is not kept: it is what the recorded events make it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.services.job_monitor import ARCHIVED_MS, GRACE_MS, SECRET_MS
from wire.jobs import ENDED, Replay

if TYPE_CHECKING:
    from tests.model.paper import Paper

WIDTH = 1024


@dataclass(frozen=True, slots=True)
class Said:
    """What the holder of a claim signed: the bytes stand for it, and nothing else does."""

    job: str
    epoch: int
    seq: int
    event: str
    detail: str
    digest: bytes
    ask: str | None = None
    """The ask that it names."""


@dataclass(eq=False, slots=True)
class Recorded:
    """A row of the registry's log."""

    number: int
    said: Said
    verdict: str
    at: int


@dataclass(eq=False, slots=True)
class Session:
    """Somebody's work on a job under one claim."""

    number: int
    job: str
    epoch: int
    by: str
    turn: int | None
    state: str = "running"
    ended: int | None = None


@dataclass(eq=False, slots=True)
class Job:
    """A piece of work."""

    number: int
    id: str
    topic: str
    made_by: str
    assigned: str | None
    letter: int | None
    notify: bool
    replay: Replay
    timeout: int
    at: int
    state: str = "pending"
    claimed_by: str | None = None
    turn: int | None = None
    epoch: int = 0
    claimed: int | None = None
    heard: int | None = None
    due: int | None = None
    overdue: bool = False
    ended: int | None = None
    ended_by: int | None = None
    resaid: int = 0
    """How often its end was said again."""
    is_secret_known: bool = True
    gone: bool = False
    """Retention deleted it."""


@dataclass(eq=False, slots=True)
class Registry:
    """All of them, with what was signed, recorded, refused and said by the broker."""

    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    signed: dict[tuple[str, bytes], Said] = field(default_factory=dict[tuple[str, bytes], Said])
    """By topic and bytes, whether anybody has heard it or not."""
    events: list[Recorded] = field(default_factory=list[Recorded])
    forgotten: set[tuple[str, int, int]] = field(default_factory=set[tuple[str, int, int]])
    """Job, epoch and number of what was recorded and has been kept long enough: it stays taken."""
    sessions: list[Session] = field(default_factory=list[Session])
    recorded: int = 0
    """How many ever were: numbers are not given twice."""
    begun: int = 0
    refused: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict[tuple[str, str], tuple[int, int]])
    """By topic and reason: how often, and when last."""
    posts: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    """What the broker has to publish: the topic, and whether it clears what is retained there."""

    def present(self) -> list[Job]:
        """Those that retention has left."""
        return [job for job in self.jobs.values() if not job.gone]

    def of(self, job: Job) -> list[Recorded]:
        """What was recorded of a job."""
        return [one for one in self.events if one.said.job == job.id]

    def taken(self, job: Job) -> set[int]:
        """The numbers of its present claim that were taken."""
        kept = {one.said.seq for one in self.of(job) if one.said.epoch == job.epoch}
        return kept | {seq for name, epoch, seq in self.forgotten if (name, epoch) == (job.id, job.epoch)}

    def window(self, job: Job) -> tuple[int, bytes]:
        """The highest of them, and a bit for each of those not too far behind it."""
        taken = self.taken(job)
        highest = max(taken, default=0)
        seen = sum(1 << highest - seq for seq in taken if highest - seq < WIDTH)
        return highest, seen.to_bytes((seen.bit_length() + 7) // 8, "big")

    def record(self, job: Job, said: Said, verdict: str, now: int) -> Recorded:
        """Write an event down."""
        self.recorded += 1
        self.events.append(Recorded(self.recorded, said, verdict, now))
        return self.events[-1]

    def end_sessions(self, job: Job, state: str, now: int) -> None:
        """Nobody works on it any more."""
        for one in self.sessions:
            if one.job == job.id and one.state == "running":
                one.state, one.ended = state, now

    def refuse(self, topic: str, reason: str, now: int) -> None:
        """Count what was refused."""
        times, _ = self.refused.get((topic, reason), (0, 0))
        self.refused[topic, reason] = (times + 1, now)


def tell(paper: "Paper", reader: str, job: Job) -> None:
    """Tell somebody of a job, if there is still somebody."""
    if paper.present(reader) is None:
        return
    letter = paper.notice(reader, None, cause=f"job:{job.id}")
    if letter is not None:
        letter.about = {"job": job.id}


def tell_maker(paper: "Paper", job: Job) -> None:
    """Tell whoever registered it and wished to be told."""
    if job.notify and job.made_by != "operator":
        tell(paper, job.made_by, job)


# --- time -------------------------------------------------------------------------------------------


def dues(paper: "Paper") -> list[int]:
    """When jobs will have been silent for too long."""
    return [job.due for job in paper.registry.present() if job.due is not None]


def mark_overdue(paper: "Paper") -> None:
    """Tell the operator, once, of those that were."""
    late = [job for job in paper.registry.present() if job.due is not None and job.due <= paper.now]
    for job in sorted(late, key=lambda job: (job.due, job.number)):
        job.overdue, job.due = True, None
        tell(paper, "operator", job)


def shift(paper: "Paper", step_ms: int) -> None:
    """The clock was set: what is left of each time-out stays as it was."""
    for job in paper.registry.present():
        if job.due is not None:
            job.due = min(max(job.due + step_ms, 1), paper.now + job.timeout)


def clamp(paper: "Paper") -> None:
    """After a start: no time-out is longer than it is."""
    for job in paper.registry.present():
        if job.due is not None:
            job.due = min(job.due, paper.now + job.timeout)


def reconcile(paper: "Paper") -> None:
    """Sessions of turns that ended a while ago, and whose job goes on, are closed; somebody is told."""
    for one in list(paper.registry.sessions):
        job = paper.registry.jobs[one.job]
        turn = paper.turns[one.turn - 1] if one.turn is not None else None
        over = turn is not None and not turn.gone and turn.state == "closed"
        if not over or one.state != "running" or job.state != "running" or turn is None or turn.closed_at is None:
            continue
        if turn.closed_at < paper.now - GRACE_MS:
            one.state, one.ended = "terminated", paper.now
            is_told = job.notify and paper.present(job.made_by) is not None
            tell(paper, job.made_by if is_told else "operator", job)
    for one in paper.registry.sessions:
        if one.state in ("stopped", "terminated") and one.ended is not None and one.ended < paper.now - ARCHIVED_MS:
            one.state = "archived"


def forget_secrets(paper: "Paper") -> None:
    """A day behind the end nothing is taken any more."""
    for job in _ended_before(paper, paper.now - SECRET_MS):
        job.is_secret_known = False


def forget(paper: "Paper", before: int) -> None:
    """Delete what was recorded or ended before, an end together with its job; what is retained of it is cleared."""
    registry = paper.registry
    ends = {job.ended_by for job in registry.present()}
    old = [one for one in registry.events if one.at < before and one.number not in ends]
    registry.forgotten |= {(one.said.job, one.said.epoch, one.said.seq) for one in old}
    registry.events = [one for one in registry.events if one not in old]
    for job in sorted(_ended_before(paper, before), key=lambda job: (job.ended, job.number)):
        if any(one.number != job.ended_by for one in registry.of(job)):
            continue  # it came behind the end, and not long enough ago
        job.gone = True
        registry.posts.append((job.topic, True))
        registry.events = [one for one in registry.events if one.said.job != job.id]
        registry.sessions = [one for one in registry.sessions if one.job != job.id]
    registry.refused = {kind: told for kind, told in registry.refused.items() if told[1] >= before}


def _ended_before(paper: "Paper", before: int) -> Iterable[Job]:
    return [
        job for job in paper.registry.present() if job.state in ENDED and job.ended is not None and job.ended < before
    ]
