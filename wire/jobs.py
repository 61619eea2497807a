"""Jobs on the wire: pieces of work with an id, a secret and a log of signed events (DESIGN 7).

Publishers sign events (`wire.events`) and send them over MQTT; from another machine over the link, which the broker
only carries on to MQTT. What the broker has recorded of them is read here, and that record alone is proof. Long because
all that may be asked of a job is here.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from wire.asks import Ask
from wire.canonical import MAX_BYTES, MAX_INT
from wire.escaping import escape
from wire.events import EventName
from wire.inbox import Address, Body
from wire.model import Mutation, Request, Result
from wire.topics import JOB_ID_PATTERN, MAX_TOPIC_BYTES
from wire.turns import Wait

JobState = Literal["pending", "running", "completed", "error", "cancelled"]
"""`pending` until it is claimed; the first valid terminal event, or a cancel, ends it for good."""
ENDED: frozenset[str] = frozenset({"completed", "error", "cancelled"})
Replay = Literal["window", "strict"]
"""`window`: each sequence number once, in any order within the last 1,024; `strict`: only growing ones."""
REPLAY_WINDOW = 1024
"""How many numbers of a claim are told apart, counted back from the highest: what lies behind them is never taken."""
Verdict = Literal["accepted", "late", "conflicting"]
"""What the broker made of a verified event: `late` came behind the end of its job, `conflicting` is a second end."""
SessionState = Literal["running", "stopped", "terminated", "archived"]
"""`stopped`: its publisher said the end; `terminated`: it was taken away, by a new claim, a cancel or the monitor."""

DEFAULT_TIMEOUT_S = 3600
MAX_TIMEOUT_S = 30 * 24 * 3600
MAX_SHOWN = 500
DETAIL_SHOWN = 500
"""Characters of a publisher's own words that mail and asks quote."""

JobRef = Annotated[str, Field(pattern=JOB_ID_PATTERN)]
Secret = Annotated[str, Field(min_length=32, max_length=256, pattern=r"^[\x21-\x7e]+$")]
Timeout = Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)]


class Job(Result):
    """One job as those see it who may: the operator, who registered it, who works on it. Never its secret."""

    id: str
    state: JobState
    prompt: str
    made_by: str
    to: str | None = None
    """The agent that got it as mail; None: whoever claims it first."""
    message: str | None = None
    claimed_by: str | None = None
    epoch: int = 0
    """Claims so far; an event is taken only from the newest."""
    registered_at_ms: int
    claimed_at_ms: int | None = None
    heard_at_ms: int | None = None
    """Receipt of the newest verified event, by the broker's clock."""
    due_at_ms: int | None = None
    """Silent beyond this, it has overrun its time-out; only while it runs."""
    ended_at_ms: int | None = None
    detail: str = ""
    """What the event said that ended it, or the newest one."""
    events: int = 0
    """How many were ever recorded of it."""
    overdue: bool = False
    imported: bool = False
    freshness_s: float | None = None
    """As it was registered with."""


class JobEvent(Result):
    """One verified event, as it was recorded."""

    number: int
    """Grows over all jobs in the order of recording."""
    job: str
    event: EventName
    epoch: int
    seq: int
    verdict: Verdict
    timestamp: str
    """By the publisher's clock."""
    received_at_ms: int
    detail: str
    data: dict[str, Any] = {}


class JobsRegister(Mutation):
    """Register a job; durable once answered, with a secret of its own; with `to`, and its mail, in one transaction."""

    op: Literal["jobs.register"] = "jobs.register"
    prompt: Body
    to: Address | None = None
    timeout_s: Timeout = DEFAULT_TIMEOUT_S
    """Silence after which a running job is overdue, counted from receipt."""
    freshness_s: Timeout | None = None
    """How far the timestamp of an event that does not end the job may be off, by the broker's clock at receipt; what is
    off by more is refused for good. None: any is taken."""
    replay: Replay = "window"
    notify: bool = False
    """Mail to whoever registers when the job ends or needs a permission."""
    secret: Secret | None = Field(default=None, repr=False)
    """Given by whoever has agreed on one already; unset: made by the broker."""


class JobsRegistered(Result):
    """The job, and the mail that carries it."""

    job: str
    to: str | None = None
    message: str | None = None
    warnings: list[str] = []


class JobsClaim(Mutation):
    """Take a job, or the oldest one that nobody was given: a new epoch, atomically; the earlier claimant is fenced.

    For an attached agent: its own job, or an unassigned one. For the operator: any, for a program outside the fleet.
    """

    op: Literal["jobs.claim"] = "jobs.claim"
    job: JobRef | None = None
    turn: Annotated[str | None, Field(max_length=64)] = None
    """The turn that works on it; None: a program outside."""
    process: Annotated[str | None, Field(max_length=1000)] = None
    """What runs outside the fleet for it, as `console.job_processes` writes it down; the broker only keeps it."""


class JobsClaimed(Result):
    """What a publisher needs. The only answer with a secret; None: nothing is left to claim."""

    job: Job | None = None
    fleet: str = ""
    topic: str = ""
    kid: str = ""
    secret: str = Field(default="", repr=False)


class JobsList(Request):
    """List jobs, newest first."""

    op: Literal["jobs.list"] = "jobs.list"
    state: JobState | None = None
    all: bool = False
    """Ended ones too."""
    limit: Annotated[int, Field(ge=1, le=MAX_SHOWN)] = 100
    before: JobRef | None = None


class JobsListed(Result):
    """A page of jobs."""

    jobs: list[Job]
    more: bool = False


class JobsShow(Request):
    """Show one job with its newest events, or with those behind `after`."""

    op: Literal["jobs.show"] = "jobs.show"
    job: JobRef
    after: Annotated[int, Field(ge=0, le=MAX_INT)] = 0
    limit: Annotated[int, Field(ge=1, le=MAX_SHOWN)] = 100


class JobsWatch(JobsShow):
    """The same, as soon as there is an event behind `after`, or the job has ended."""

    op: Literal["jobs.watch"] = "jobs.watch"  # pyright: ignore[reportIncompatibleVariableOverride]
    wait_s: Wait = 0.0
    decided_at_ms: Annotated[int | None, Field(ge=0, le=2**53)] = None
    """When the last ask of the job ended that the watcher knows of: one that ended later ends the watch too. None: for
    events alone."""


def permission_question(job: str, claimant: str | None, detail: str) -> str:
    """Give the words in which the operator is asked what a program outside the fleet may do: one line."""
    return f"job {job} ({claimant}) asks for a permission: {escape(' '.join(detail.split()))[:DETAIL_SHOWN]}"


class JobsShown(Result):
    """A job and some of its events, oldest first. A watch whose wait passed without anything has no job."""

    job: Job | None = None
    events: list[JobEvent] = []
    asks: list[Ask] = []
    """What was asked for it, at most the newest hundred, and how that was decided."""
    refused: dict[str, int] = {}
    """How often something over its topic was refused, by reason."""
    more: bool = False


class Mark(Result):
    """One event that a publisher wants to be sure of."""

    job: JobRef
    epoch: Annotated[int, Field(ge=0, le=MAX_INT)]
    seq: Annotated[int, Field(ge=0, le=MAX_INT)]


class JobsRecorded(Request):
    """Ask which events the broker has decided on: recorded, or never going to."""

    op: Literal["jobs.recorded"] = "jobs.recorded"
    marks: Annotated[list[Mark], Field(min_length=1, max_length=MAX_SHOWN)]


Fate = Literal["recorded", "fenced", "unknown"]
"""`fenced`: it is never taken: a newer claim has the job, it lies behind the window, or it was refused as not fresh;
`unknown`: send it again."""


class JobsFates(Result):
    """One fate per mark, in their order."""

    fates: list[Fate]
    verdicts: list[Verdict | None] = []
    """What was made of each that is recorded; None of the others."""


class Session(Result):
    """One claim of a job: who worked on it, and how that ended."""

    job: str
    epoch: int
    claimed_by: str
    turn: str | None = None
    state: SessionState
    reason: str = ""
    started_at_ms: int
    ended_at_ms: int | None = None
    process: str | None = None
    """What ran for it outside the fleet, as its claim said; None too once it is known to have ended."""
    job_state: JobState = "running"
    newest: bool = True
    """No later claim took the job."""
    overdue: bool = False
    """The job runs and was silent past its time-out."""
    turn_open: bool = False


class JobsSessions(Request):
    """List who worked on jobs, the newest first."""

    op: Literal["jobs.sessions"] = "jobs.sessions"
    job: JobRef | None = None
    """Only those of this job."""
    live: bool = False
    """Only those whose job, turn or process may still run."""
    before: Annotated[int | None, Field(ge=1, le=MAX_INT)] = None
    """Resume behind what `next` of the page before said."""
    limit: Annotated[int, Field(ge=1, le=MAX_SHOWN)] = MAX_SHOWN


class JobsSessionsListed(Result):
    """A page of sessions; `next` where there are more."""

    sessions: list[Session]
    next: int | None = None


class JobsReconcile(Mutation):
    """Note that what ran for a session outside the fleet has ended; a session that still runs is terminated.

    Idempotent. The job itself stays as it is: only an event or a cancel ends one.
    """

    op: Literal["jobs.reconcile"] = "jobs.reconcile"
    job: JobRef
    epoch: Annotated[int, Field(ge=1, le=MAX_INT)]
    reason: Annotated[str, Field(max_length=200)] = ""


class JobsReconciled(Result):
    """Whether that changed anything."""

    changed: bool


class JobsImport(Mutation):
    """Take a job over from an older registry, with the secret it had or a new one. Idempotent by its older id."""

    op: Literal["jobs.import"] = "jobs.import"
    old_id: Annotated[str, Field(min_length=1, max_length=200)]
    prompt: Body
    state: JobState = "pending"
    """`running` becomes `pending`: whoever ran it cannot publish here before a claim."""
    registered_at_ms: Annotated[int, Field(ge=0, le=2**53)]
    secret: Secret | None = Field(default=None, repr=False)


class JobsImported(Result):
    """The job; `made` is false where it had been taken over before."""

    job: str
    made: bool


class JobsCancel(Mutation):
    """End a job; its claimant is fenced. Idempotent: an ended job stays as it ended."""

    op: Literal["jobs.cancel"] = "jobs.cancel"
    job: JobRef
    reason: Annotated[str, Field(max_length=1000)] = ""


class JobsChanged(Result):
    """The job after the change."""

    job: Job
    changed: bool


MqttUser = Literal["bridge", "harness", "publisher", "watcher"]
"""Who somebody is at the fleet's own MQTT broker: each may do what its place needs, and no more."""


class JobsTransport(Request):
    """Ask how events are published. Starts the fleet's MQTT broker if it is the first time."""

    op: Literal["jobs.transport"] = "jobs.transport"
    user: Literal["harness", "publisher", "watcher"] = "publisher"


class JobsTransported(Result):
    """Where the MQTT broker is, and with which credentials this principal may publish."""

    url: str
    prefix: str
    user: str | None = None
    password_file: str | None = None
    """Readable by this user alone; never the password itself."""
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    kind: Literal["mosquitto", "amqtt", "external"]
    by_link: bool = False
    """The caller hands its events in with `jobs.carry`: it is on another machine than the fleet, or is another user
    there. `url` is for people alone then, and there are neither user nor files."""


class JobsCarry(Request):
    """Have one signed event published over MQTT as it is. Answered once the MQTT broker has it: no proof of a record.

    May be repeated: a copy of an event has no effect.
    """

    op: Literal["jobs.carry"] = "jobs.carry"
    topic: Annotated[str, Field(min_length=1, max_length=MAX_TOPIC_BYTES)]
    payload: Annotated[str, Field(min_length=1, max_length=MAX_BYTES, pattern=r"^[\x20-\x7e]+$")]
    """The exact bytes, which are ASCII: canonical JSON has no others."""
    retain: bool = False
    """Only of an event that ends its job; it is where that is signed, and of the newest claim."""


class JobsCarried(Result):
    """The MQTT broker has taken it."""
