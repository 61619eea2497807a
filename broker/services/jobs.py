"""Jobs: registered with a secret, claimed by one at a time, cancelled, looked at (DESIGN 7).

What an event does to a job is in `job_events`; nobody but that and a cancel ends one. Long because all that people and
publishers ask of a job is here.
"""

import base64
import hashlib
import secrets
from collections.abc import Sequence

from broker.services import audit, inbox, job_events
from broker.services.admission import check_body
from broker.services.ask_rows import ask_of
from broker.services.callers import OPERATOR, Caller, Rules
from broker.services.job_rows import event_of, job_of
from broker.services.turns import holder_of
from broker.services.views import PAGE_BYTES
from broker.store.readers import Reader
from broker.store.tx import Row, Tx
from wire.errors import Closed, Conflict, Denied, Full, Invalid, Limited, Unknown
from wire.ids import message_number, turn_number
from wire.inbox import About, InboxSend
from wire.jobs import (
    ENDED,
    Fate,
    Job,
    JobEvent,
    JobsCancel,
    JobsChanged,
    JobsClaim,
    JobsClaimed,
    JobsFates,
    JobsList,
    JobsListed,
    JobsRecorded,
    JobsRegister,
    JobsRegistered,
    JobsShow,
    JobsShown,
    JobsWatch,
    Mark,
    Verdict,
)

ID_BYTES = 10
"""Of randomness in a job's id: 80 bits, sixteen characters."""
MAX_OPEN = 1000
"""Jobs of one agent that have not ended; the operator's are not counted."""
NOT_YOURS = "no job {0!r} that you may use; `queenpost job list --all` shows the operator all there are"


def register(tx: Tx, caller: Caller, request: JobsRegister, rules: Rules) -> JobsRegistered:
    """Register a job and, with `to`, its mail in the same transaction; durable once answered.

    Raises:
        Invalid: the prompt is too long, or to everybody. Unknown, Denied, Limited, Full: as a send to that agent.
        Limited: an agent that has too many jobs open.
    """
    check_body(request.prompt, rules)
    if caller.name != OPERATOR and rules.disk_is_low:
        raise Full("the disk of the broker is nearly full; nothing was stored. Tell the operator, then try again.")
    if request.to in ("*", OPERATOR):
        raise Invalid(f"a job goes to one agent, not to {request.to!r}; leave `to` out and whoever is free claims it")
    _admit(tx, caller)
    job = new_id()
    sent = None
    if request.to is not None:
        # Its own key: a retry of the registration is found by the registration's key.
        sent = inbox.send(tx, caller, InboxSend(key=f"job:{job}", to=request.to, body=request.prompt), rules)
        about = About(job=job).model_dump_json(exclude_defaults=True)
        tx.run("jobs.mark_mail", message=message_number(sent.id), about=about)
    tx.insert(
        "jobs.add",
        id=job,
        topic=rules.events_topic(job),
        prompt=request.prompt,
        prompt_sha256=hashlib.sha256(request.prompt.encode()).digest(),
        made_by=caller.name,
        assigned=sent.recipients[0] if sent else None,
        message=message_number(sent.id) if sent else None,
        notify=int(request.notify),
        replay=request.replay,
        timeout_ms=max(int(request.timeout_s * 1000), 1),
        freshness_ms=None if request.freshness_s is None else max(int(request.freshness_s * 1000), 1),
        secret=request.secret or secrets.token_urlsafe(32),
        imported=None,
        now=tx.now_ms,
    )
    tx.needs_bridge()
    to = sent.recipients[0] if sent else None
    _note(tx, caller, "job.registered", job, to=to)
    return JobsRegistered(
        job=job, to=to, message=sent.id if sent else None, warnings=list(sent.warnings) if sent else []
    )


def _admit(tx: Tx, caller: Caller) -> None:
    """Let an agent have no more jobs open than anybody could work on: what is open is never forgotten."""
    if caller.kind != "agent":
        return
    row = tx.one("jobs.count_open_by", agent=caller.name)
    if row is not None and row["n"] >= MAX_OPEN:
        raise Limited(
            f"{MAX_OPEN} of your jobs are open, which is the limit; wait until some have ended, or ask the operator to "
            "cancel what nobody needs any more"
        )


def new_id() -> str:
    """Make the id of a job: a level of an MQTT topic that nobody guesses."""
    return f"j-{base64.b32encode(secrets.token_bytes(ID_BYTES)).decode().lower()}"


def _note(tx: Tx, caller: Caller, action: str, job: str, **detail: str | int | None) -> None:
    """Log an act; the operator's is also audited."""
    if caller.kind == "agent":
        tx.log(action.replace(".", "_"), principal=caller.principal, subject=job, **detail)
    else:
        audit.write(tx, caller, action, job, **detail)


def claim(tx: Tx, caller: Caller, request: JobsClaim, rules: Rules) -> JobsClaimed:
    """Give a job to the caller: a new epoch, and with it the secret; what an earlier claimant signs is refused.

    Without a job: the oldest that nobody was given; `job` is None where none is left.

    Raises:
        Unknown: no such job, or not the caller's. Closed: it has ended. Conflict: another agent works on it.
        Stale: the caller's own epoch is over, or its turn has ended. Denied: an agent that names a process.
    """
    if caller.kind == "agent" and request.process is not None:
        # The operator's reconcile may end what is named: nobody else says what that is.
        raise Denied("only the operator names the process of a claim; an agent's work is its turn")
    turn = _turn_of(tx, caller, request.turn)
    name = request.job
    if name is None:
        oldest = tx.one("jobs.oldest")
        if oldest is None:
            return JobsClaimed()
        name = oldest["id"]
    row = _claimable(tx, caller, name)
    tx.run("jobs.end_sessions", job=name, state="terminated", reason="claimed again", now=tx.now_ms)
    tx.run("jobs.claim", id=name, claimant=caller.name, turn=turn, now=tx.now_ms)
    epoch = row["epoch"] + 1
    _begin_session(tx, caller, request, row, turn)
    tx.revise_due()
    _note(tx, caller, "job.claimed", name, epoch=epoch)
    guard = job_events.guard_of(tx, name)
    return JobsClaimed(
        job=job_of(_row(tx, name)),
        fleet=rules.fleet,
        topic=rules.events_topic(name),
        kid=job_events.KID,
        secret=guard["secret"],
    )


def _begin_session(tx: Tx, caller: Caller, request: JobsClaim, row: Row, turn: int | None) -> None:
    tx.run(
        "jobs.begin_session",
        job=row["id"],
        epoch=row["epoch"] + 1,
        claimant=caller.name,
        turn=turn,
        process=request.process,
        now=tx.now_ms,
    )


def _turn_of(tx: Tx, caller: Caller, turn: str | None) -> int | None:
    if caller.kind != "agent":
        if turn is not None:
            raise Invalid("a turn is an agent's; a program outside the fleet has none")
        return None
    holder = holder_of(tx, caller)
    if turn is not None and holder["turn"] != turn_number(turn):
        raise Conflict(f"turn {turn} is not open; a job is claimed in the turn that works on it")
    return holder["turn"]


def _claimable(tx: Tx, caller: Caller, name: str) -> Row:
    row = tx.one("jobs.job", id=name)
    mine = row is not None and (
        caller.name == OPERATOR or caller.name in (row["assigned"], row["claimed_by"]) or row["assigned"] is None
    )
    if row is None or not mine:
        raise Unknown(NOT_YOURS.format(name))
    if row["state"] in ENDED:
        raise Closed(f"job {name} has ended ({row['state']}); register another one")
    taken = row["claimed_by"] not in (None, caller.name) and row["assigned"] != caller.name
    if taken and caller.name != OPERATOR:
        raise Conflict(f"job {name} is worked on by {row['claimed_by']}; claim_job without an id gives another one")
    return row


def cancel(tx: Tx, caller: Caller, request: JobsCancel, rules: Rules) -> JobsChanged:
    """End a job for good; its claimant is fenced, who registered it is told. An ended job stays as it ended.

    Raises:
        Unknown: no such job. Denied: an agent that did not register it.
    """
    row = tx.one("jobs.job", id=request.job)
    if row is None or (caller.kind == "agent" and caller.name not in (row["made_by"], row["assigned"])):
        raise Unknown(NOT_YOURS.format(request.job))
    if caller.kind == "agent" and caller.name != row["made_by"]:
        raise Denied(f"job {request.job} was registered by {row['made_by']}, who may cancel it; say the end with error")
    if row["state"] in ENDED:
        return JobsChanged(job=job_of(row), changed=False)
    job_events.cancelled(tx, caller, request.job, request.reason, rules)
    _note(tx, caller, "job.cancelled", request.job, reason=request.reason)
    return JobsChanged(job=job_of(_row(tx, request.job)), changed=True)


def watch(tx: Tx, caller: Caller, request: JobsWatch) -> JobsShown | None:
    """Give what is behind `after`, or the job as soon as it has ended, or an ask of it has since `decided_at_ms`; None
    while there is none of it.

    Raises:
        Unknown: no such job, or not the caller's.
    """
    row = _visible(tx.one("jobs.job", id=request.job), caller, request.job)
    events = tx.all("jobs.events", job=request.job, after=request.after, limit=request.limit + 1)
    asks = tx.all("jobs.asks_of", id=request.job)
    since = request.decided_at_ms
    decided = since is not None and any((one["ended_at"] or 0) > since for one in asks)
    if not events and not decided and row["state"] not in ENDED:
        return None
    return _shown(row, events, request.limit, asks, tx.all("jobs.refused_of", topic=row["topic"]))


def recorded(tx: Tx, caller: Caller, request: JobsRecorded) -> JobsFates:
    """Tell a publisher what was decided about its events. Changes nothing.

    An unknown job or one of somebody else is `fenced`: nothing signed for it will be taken from this caller. What an
    earlier claimant said in its own claim is its own.
    """
    guards = {mark.job: tx.one("jobs.guard", id=mark.job) for mark in request.marks}
    told: list[tuple[Fate, Verdict | None]] = []
    for mark in request.marks:
        guard = guards[mark.job]
        told.append(job_events.fate_of(tx, guard if is_own(tx, caller, guard, mark) else None, mark))
    return JobsFates(fates=[fate for fate, _ in told], verdicts=[verdict for _, verdict in told])


def is_own(tx: Tx, caller: Caller, guard: Row | None, mark: Mark) -> bool:
    """Say whether the caller has the job of an event, or had it in the claim of which the event is."""
    if guard is None or caller.name in (OPERATOR, guard["claimed_by"]):
        return True
    session = tx.one("jobs.session", job=mark.job, epoch=mark.epoch)
    return session is not None and session["claimed_by"] == caller.name


async def list_jobs(reader: Reader, caller: Caller, request: JobsList) -> JobsListed:
    """List jobs, the newest first. An agent: those it registered, was given or claimed; the operator: all.

    Raises:
        Unknown: `before` is no job.
    """
    before = 2**62
    if request.before is not None:
        row = await reader.one("jobs.job", id=request.before)
        before = _visible(row, caller, request.before)["number"]
    rows = await reader.all(
        "jobs.list",
        before=before,
        state=request.state,
        all=int(request.all),
        agent=caller.name if caller.kind == "agent" else None,
        limit=request.limit + 1,
    )
    jobs: list[Job] = []
    size = 0
    for row in rows[: request.limit]:
        size += len(row["prompt"]) + len(row["detail"] or b"")
        if jobs and size > PAGE_BYTES:
            break
        jobs.append(job_of(row))
    return JobsListed(jobs=jobs, more=len(rows) > len(jobs))


async def show(reader: Reader, caller: Caller, request: JobsShow) -> JobsShown:
    """Show a job with what was recorded of it behind `after`.

    Raises:
        Unknown: no such job, or not the caller's.
    """
    row = _visible(await reader.one("jobs.job", id=request.job), caller, request.job)
    events = await reader.all("jobs.events", job=request.job, after=request.after, limit=request.limit + 1)
    asks = await reader.all("jobs.asks_of", id=request.job)
    return _shown(row, events, request.limit, asks, await reader.all("jobs.refused_of", topic=row["topic"]))


def _shown(row: Row, events: Sequence[Row], limit: int, asks: Sequence[Row], refused: Sequence[Row]) -> JobsShown:
    found: list[JobEvent] = []
    size = len(row["prompt"])
    for event in events[:limit]:
        size += len(event["detail"]) + len(event["data"])
        if found and size > PAGE_BYTES:
            break
        found.append(event_of(event))
    more = len(events) > len(found)
    return JobsShown(
        job=job_of(row),
        events=found,
        asks=[ask_of(one) for one in asks],
        refused={one["reason"]: one["times"] for one in refused},
        more=more,
    )


def _visible(row: Row | None, caller: Caller, name: str) -> Row:
    own = row is not None and caller.name in (OPERATOR, row["made_by"], row["assigned"], row["claimed_by"])
    if row is None or not own:
        raise Unknown(NOT_YOURS.format(name))
    return row


def _row(tx: Tx, name: str) -> Row:
    row = tx.one("jobs.job", id=name)
    if row is None:
        raise Unknown(NOT_YOURS.format(name))
    return row
