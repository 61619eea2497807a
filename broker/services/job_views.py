"""Jobs in numbers, and the sessions of jobs, as people look at them. Read-only, beside the writer."""

from broker.store.readers import Reader
from broker.store.tx import Row
from wire.ids import turn_id
from wire.jobs import JobsSessions, JobsSessionsListed, Session


async def counts(reader: Reader) -> dict[str, int]:
    """Count the jobs that have not ended, by state; `overdue` are those that are silent for too long."""
    return {row["label"]: row["n"] for row in await reader.all("jobs.counts")}


async def list_sessions(reader: Reader, request: JobsSessions) -> JobsSessionsListed:
    """List who worked on jobs, the newest first; of an unknown job nobody did."""
    rows = await reader.all(
        "jobs.sessions",
        before=request.before or 2**62,
        job=request.job,
        live=int(request.live),
        limit=request.limit + 1,
    )
    shown = rows[: request.limit]
    more = len(rows) > len(shown)
    return JobsSessionsListed(sessions=[_session_of(row) for row in shown], next=shown[-1]["number"] if more else None)


def _session_of(row: Row) -> Session:
    return Session(
        job=row["job"],
        epoch=row["epoch"],
        claimed_by=row["claimed_by"],
        turn=None if row["turn"] is None else turn_id(row["turn"]),
        state=row["state"],
        reason=row["reason"],
        started_at_ms=row["started_at"],
        ended_at_ms=row["ended_at"],
        process=row["process"],
        job_state=row["job_state"],
        newest=bool(row["newest"]),
        overdue=bool(row["overdue"]),
        turn_open=bool(row["turn_open"]),
    )
