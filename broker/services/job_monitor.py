"""The monitor of jobs: time-outs, turns that ended without saying the end, and what has been kept long enough.

It reports, and repairs only what is the broker's own: rows. It kills no program and ends no job. What a claim from
outside the fleet named as its process is looked at by `queenpost job reconcile`, on the machine where that runs.
"""

from broker.services import audit, job_notices, notices
from broker.services.callers import OPERATOR, Caller
from broker.store.tx import Tx
from wire.errors import Unknown
from wire.inbox import About
from wire.jobs import JobsReconcile, JobsReconciled

DAY_MS = 24 * 3600 * 1000
SECRET_MS = DAY_MS
"""How long behind the end of a job its secret is known: late events are told from forged ones."""
ARCHIVED_MS = 7 * DAY_MS
GRACE_MS = 60_000
"""For a turn to come again with the job's mail, which claims it anew; for an end that waits to be heard."""
HEARING_MS = 15_000
"""For events that waited until the bridge heard again: their publishers connect again, and send them again."""
ROWS = 500


def mark_overdue(tx: Tx, heard_for_ms: int = HEARING_MS) -> None:
    """Tell the operator, once, of running jobs that were silent past their time-out; counted from receipt.

    `heard_for_ms`: for how long the bridge has heard what is published. While that is less than a job's time-out and
    less than 15 s nobody can say that it was silent: its time-out lasts until it is.
    """
    if heard_for_ms < HEARING_MS:
        tx.run("jobs.put_off", now=tx.now_ms, heard_for=heard_for_ms, grace=HEARING_MS)
    for row in tx.all("jobs.overdue", now=tx.now_ms):
        silent_s = (tx.now_ms - row["heard_at"]) // 1000
        text = f"job {row['id']} is silent for {silent_s} s; {row['claimed_by']} works on it, or did."
        notices.tell(tx, OPERATOR, text, cause=f"job:{row['id']}", carrying=About(job=row["id"]))
        tx.run("jobs.mark_overdue", id=row["id"])
        tx.log("job_overdue", job=row["id"], silent_s=silent_s)
        job_notices.wake_watchers(tx, row)


def start(tx: Tx) -> None:
    """After a start: the clock may have been set back meanwhile."""
    tx.run("jobs.clamp_clock", now=tx.now_ms)


def clock_was_set(tx: Tx, step_ms: int) -> None:
    """Keep what is left of each time-out as long as it was."""
    tx.run("jobs.shift_clock", step=step_ms, now=tx.now_ms)


def reconcile(tx: Tx, heard_for_ms: int = GRACE_MS) -> None:
    """Close the sessions of turns that ended without the end of their job; who registered it is told. Idempotent.

    `heard_for_ms`: for how long the bridge has heard what is published. While that is short nobody can say that an end
    is missing: it may wait in the outbox of a publisher from which the MQTT broker was away.
    """
    abandoned = tx.all("jobs.abandoned", before=tx.now_ms - GRACE_MS, limit=ROWS) if heard_for_ms >= GRACE_MS else []
    for row in abandoned:
        reason = f"turn t{row['turn']} ended ({row['outcome']}) without the end of the job"
        tx.run("jobs.end_sessions", job=row["id"], state="terminated", reason=reason, now=tx.now_ms)
        text = f"job {row['id']} is still open: {row['claimed_by']}'s {reason}. Send it a word, or cancel the job."
        reader = row["made_by"] if job_notices.is_told(tx, row) else OPERATOR
        notices.tell(tx, reader, text, cause=f"job:{row['id']}", carrying=About(job=row["id"]))
        tx.log("job_abandoned", job=row["id"], turn=f"t{row['turn']}", outcome=row["outcome"])
    closed = tx.run("jobs.close_sessions", now=tx.now_ms, limit=ROWS)
    if closed:
        tx.log("job_sessions_closed", sessions=closed)
    tx.run("jobs.archive_sessions", before=tx.now_ms - ARCHIVED_MS, limit=ROWS)


def note_ended(tx: Tx, caller: Caller, request: JobsReconcile) -> JobsReconciled:
    """Note that what ran for a session outside the fleet has ended; a session that still ran is terminated by it, and
    who registered the job is told. Idempotent; the job stays as it is.

    Raises:
        Unknown: there is no such session.
    """
    row = tx.one("jobs.session", job=request.job, epoch=request.epoch)
    if row is None:
        raise Unknown(f"job {request.job} has no claim {request.epoch}; `queenpost job sessions` lists them")
    if row["process"] is None and row["state"] != "running":
        return JobsReconciled(changed=False)
    reason = request.reason or "its process has ended"
    tx.run("jobs.process_ended", number=row["number"], reason=reason, now=tx.now_ms)
    audit.write(tx, caller, "job.reconciled", request.job, epoch=request.epoch, reason=reason)
    if row["state"] == "running" and row["made_by"] != OPERATOR and job_notices.is_told(tx, row):
        text = f"job {request.job} is still open, but {reason}. Cancel it and register it anew, or ask the operator."
        notices.tell(tx, row["made_by"], text, cause=f"job:{request.job}", carrying=About(job=request.job))
    return JobsReconciled(changed=True)


def forget_secrets(tx: Tx) -> bool:
    """Forget the secrets of jobs that ended a day ago: nothing that was signed for them is taken any more."""
    return tx.run("jobs.forget_secrets", before=tx.now_ms - SECRET_MS, limit=ROWS) == ROWS


def forget_events(tx: Tx, kept_ms: float) -> bool:
    """Delete events that were recorded long ago, also of jobs that go on; what ended a job stays with it.

    A number that was taken stays taken: the window of the claim remembers it.
    """
    return tx.run("jobs.forget_events", before=tx.now_ms - int(kept_ms), limit=ROWS) == ROWS


def forget_jobs(tx: Tx, kept_ms: float) -> bool:
    """Delete jobs that ended long ago and whose other events are gone, and clear what MQTT retains of them."""
    rows = tx.all("jobs.old", before=tx.now_ms - int(kept_ms), limit=ROWS)
    for row in rows:
        tx.post(row["topic"], b"", retain=True)
        for query in ("jobs.drop_events", "jobs.drop_sessions", "jobs.drop"):
            tx.run(query, id=row["id"])
    tx.run("jobs.drop_quarantine", before=tx.now_ms - int(kept_ms))
    return len(rows) == ROWS
