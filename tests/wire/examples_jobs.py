"""Requests and answers of jobs, with every field set."""

from tests.wire.examples_office import ASK, AT_MS
from wire import job_probe, jobs
from wire.model import Request, Result

JOB = jobs.Job(
    id="j-aebagbafaydqqcik",
    state="running",
    prompt="count the pumps",
    made_by="boss",
    to="alice",
    message="m12",
    claimed_by="alice",
    epoch=2,
    registered_at_ms=AT_MS,
    claimed_at_ms=AT_MS + 1,
    heard_at_ms=AT_MS + 2,
    due_at_ms=AT_MS + 3_600_002,
    ended_at_ms=AT_MS + 3,
    detail="half done",
    events=3,
    overdue=True,
    imported=True,
    freshness_s=60.0,
)
_EVENT = jobs.JobEvent(
    number=7,
    job=JOB.id,
    event="progress",
    epoch=2,
    seq=3,
    verdict="late",
    timestamp="2026-11-21T10:00:00.000Z",
    received_at_ms=AT_MS,
    detail="half done",
    data={"percent": 50, "parts": ["a", None]},
)
_SHOWN = jobs.JobsShown(job=JOB, events=[_EVENT], asks=[ASK], refused={"signature": 4}, more=True)
_SECRET = "a-secret-that-only-the-examples-have-000"  # an example
_CHANGED = jobs.JobsChanged(job=JOB, changed=True)

JOB_OPS: tuple[tuple[Request, Result], ...] = (
    (
        jobs.JobsRegister(
            key="k1", prompt="count the pumps", to="alice", timeout_s=60.0, freshness_s=60.0, replay="strict",
            notify=True, secret=_SECRET,
        ),
        jobs.JobsRegistered(job=JOB.id, to="alice", message="m12", warnings=["alice is stopped"]),
    ),
    (
        jobs.JobsClaim(key="k1", job=JOB.id, turn="t7", process="4711 of boot"),
        jobs.JobsClaimed(job=JOB, fleet="demo", topic=f"queenpost/demo/jobs/{JOB.id}/events", kid="k1", secret=_SECRET),
    ),
    (
        jobs.JobsList(state="running", all=True, limit=10, before=JOB.id),
        jobs.JobsListed(jobs=[JOB], more=True),
    ),
    (jobs.JobsShow(job=JOB.id, after=6, limit=10), _SHOWN),
    (jobs.JobsWatch(job=JOB.id, after=6, limit=10, wait_s=2.5, decided_at_ms=AT_MS), _SHOWN),
    (
        jobs.JobsRecorded(marks=[jobs.Mark(job=JOB.id, epoch=2, seq=3)]),
        jobs.JobsFates(fates=["recorded", "fenced", "unknown"], verdicts=["late", None, None]),
    ),
    (jobs.JobsCancel(key="k1", job=JOB.id, reason="not needed"), _CHANGED),
    (
        jobs.JobsTransport(user="watcher"),
        jobs.JobsTransported(
            url="mqtts://broker.example:8883",
            prefix="queenpost/demo",
            user="watcher",
            password_file="/srv/demo/secrets/mqtt/watcher",  # where it is
            ca_file="/srv/demo/ca.pem",
            cert_file="/srv/demo/cert.pem",
            key_file="/srv/demo/key.pem",
            kind="external",
            by_link=True,
        ),
    ),
    (
        jobs.JobsCarry(topic=f"queenpost/demo/jobs/{JOB.id}/events", payload='{"an":"event"}', retain=True),
        jobs.JobsCarried(),
    ),
    (
        jobs.JobsSessions(job=JOB.id, live=True, before=9, limit=10),
        jobs.JobsSessionsListed(
            sessions=[
                jobs.Session(
                    job=JOB.id, epoch=2, claimed_by="alice", turn="t7", state="terminated", reason="claimed again",
                    started_at_ms=AT_MS, ended_at_ms=AT_MS + 1, process="4711 of boot", job_state="completed",
                    newest=False, overdue=True, turn_open=True,
                ),
            ],
            next=8,
        ),
    ),
    (
        jobs.JobsReconcile(key="k1", job=JOB.id, epoch=2, reason="its process has ended"),
        jobs.JobsReconciled(changed=True),
    ),
    (
        job_probe.JobsProbe(start=True),
        job_probe.JobsProbed(
            kind="external",
            url="mqtt://broker.example:1883",
            topics="queenpost/demo/jobs/+/events",
            user="fleet",
            connected_ms=3.5,
            accepted_ms=0.5,
            heard_ms=1.5,
            retained=True,
            resumed=True,
            whole=True,
            strangers=True,
            readable=True,
        ),
    ),
    (
        jobs.JobsImport(
            key="k1", old_id="abc", prompt="count", state="running", registered_at_ms=AT_MS, secret=_SECRET
        ),
        jobs.JobsImported(job=JOB.id, made=True),
    ),
)  # fmt: skip
