"""What has to be true of jobs after every commit: asked of SQLite, and compared with the paper.

The numbers are those of the invariants that the project set itself for its first release. Each query gives the rows
that break its rule.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from tests.model.invariants_asks import Rows, same
from tests.model.paper import Paper
from tests.model.paper_jobs import WIDTH

ENDS = "('completed', 'error', 'cancelled')"

BROKEN_BY: dict[str, str] = {
    "23 an event that is there twice": """
        SELECT max(number) FROM job_events GROUP BY job, epoch, seq HAVING count(*) > 1""",
    "23 a permission that was asked for by nothing that was heard": """
        SELECT k.id FROM asks k WHERE k.job IS NOT NULL AND k.state = 'open' AND NOT EXISTS (
            SELECT 1 FROM job_events e WHERE e.job = k.job AND e.event = 'permission_required')
        AND k.job NOT IN (SELECT value FROM json_each(:forgotten))""",
    "25 an end that no accepted event made, or two": f"""
        SELECT j.id FROM jobs j WHERE (j.state IN {ENDS}) <> (1 = (
            SELECT count(*) FROM job_events e WHERE e.job = j.id AND e.event IN {ENDS} AND e.verdict = 'accepted'))
        UNION ALL SELECT j.id FROM jobs j LEFT JOIN job_events e ON e.number = j.ended_by
        WHERE j.state IN {ENDS} AND (e.job IS NOT j.id OR e.event <> j.state OR e.received_at <> j.ended_at)""",  # noqa: S608  # texts from above
    "25 recorded behind the end as if it were not": """
        SELECT e.number FROM job_events e JOIN jobs j ON j.id = e.job
        WHERE (e.verdict = 'accepted') <> (j.ended_by IS NULL OR e.number <= j.ended_by)""",
    "a session of a claim that is over": """
        SELECT s.number FROM sessions s JOIN jobs j ON j.id = s.job
        WHERE s.state = 'running' AND (j.state <> 'running' OR s.epoch <> j.epoch OR s.claimed_by <> j.claimed_by)""",
    "an event of a claim that was never made": """
        SELECT e.number FROM job_events e LEFT JOIN sessions s ON s.job = e.job AND s.epoch = e.epoch
        WHERE s.number IS NULL AND e.event <> 'cancelled'""",
}

ALL = " UNION ALL ".join(
    f"SELECT {position} AS rule, * FROM ({query})"  # noqa: S608  # texts from above
    for position, query in enumerate(BROKEN_BY.values())
)

JOBS = """
    SELECT number, id, topic, state, made_by, assigned, message, notify, replay, timeout_ms, secret IS NOT NULL,
           claimed_by, turn, epoch, highest, seen, registered_at, claimed_at, due_at, overdue, ended_at,
           ended_by FROM jobs ORDER BY number"""
EVENTS = """
    SELECT number, job, epoch, seq, event, verdict, CASE event WHEN 'cancelled' THEN NULL ELSE sha256 END, received_at
    FROM job_events ORDER BY number"""
SESSIONS = "SELECT number, job, epoch, claimed_by, turn, state, ended_at FROM sessions ORDER BY number"
QUARANTINE = "SELECT topic, reason, times, last_at FROM quarantine ORDER BY topic, reason"
POSTS = "SELECT topic, length(payload) = 0 FROM job_posts WHERE retain = 1 ORDER BY number"
WINDOWS = "SELECT id, epoch, highest, seen FROM jobs"
TAKEN = "SELECT job, epoch, seq FROM job_events"
OVERDUE = "SELECT id FROM jobs WHERE due_at <= :now"


class JobInspector:
    """Looks at jobs beside the services, and remembers how those ended that did."""

    def __init__(self, rows: Callable[..., Rows]) -> None:
        self._rows = rows
        self._ended: dict[str, tuple[Any, ...]] = {}

    def check(self, paper: Paper) -> None:
        """Compare with the paper, then ask for broken rules."""
        if not paper.registry.jobs:
            assert self._rows(JOBS) == []
            return
        jobs = self._rows(JOBS)
        same("jobs", jobs, _jobs(paper))
        same("events", self._rows(EVENTS), _events(paper))
        same("sessions", self._rows(SESSIONS), _sessions(paper))
        refused = sorted((*kind, *told) for kind, told in paper.registry.refused.items())
        same("what was refused", self._rows(QUARANTINE), refused)
        same("what is to be published", self._rows(POSTS), paper.registry.posts)
        self._check_windows(paper.registry.forgotten)
        self._check_history(jobs)
        broken = self._rows(ALL, forgotten=json.dumps([job for job, _, _ in paper.registry.forgotten]))
        names = list(BROKEN_BY)
        assert not broken, [f"{names[rule]}: {row!r}" for rule, *row in broken]

    def check_nothing_overdue(self, now: int) -> None:
        """14: whoever was silent for too long is noted."""
        assert self._rows(OVERDUE, now=now) == []

    def _check_windows(self, forgotten: Iterable[tuple[str, int, int]]) -> None:
        """24: in every commit a window is what the recorded events of its claim make it, also those forgotten since."""
        taken: dict[tuple[str, int], set[int]] = {}
        for job, epoch, seq in [*self._rows(TAKEN), *forgotten]:
            taken.setdefault((job, epoch), set()).add(seq)
        for job, epoch, highest, seen in self._rows(WINDOWS):
            numbers = taken.get((job, epoch), set[int]())
            bits = int.from_bytes(seen, "big")
            marked = {highest - place for place in range(bits.bit_length()) if bits >> place & 1}
            due = {seq for seq in numbers if seq > highest - WIDTH}
            assert (highest, marked) == (max(numbers, default=0), due), (
                f"24: {job} {highest} {marked}, events {numbers}"
            )

    def _check_history(self, jobs: Rows) -> None:
        """25: an end is written once; nothing of it changes afterwards."""
        for row in jobs:
            end = (row[3], row[20], row[21])
            if row[20] is not None or row[1] in self._ended:
                before = self._ended.setdefault(row[1], end)
                assert end == before, f"25: {row[1]} had ended: {before!r}, and now {end!r}"


def _jobs(paper: Paper) -> Iterable[tuple[Any, ...]]:
    return (
        (job.number, job.id, job.topic, job.state, job.made_by, job.assigned, job.letter, job.notify, job.replay,
         job.timeout, job.is_secret_known, job.claimed_by, job.turn, job.epoch, *paper.registry.window(job), job.at,
         job.claimed, job.due, job.overdue, job.ended, job.ended_by)
        for job in paper.registry.present()
    )  # fmt: skip


def _events(paper: Paper) -> Iterable[tuple[Any, ...]]:
    return (
        (one.number, one.said.job, one.said.epoch, one.said.seq, one.said.event, one.verdict,
         None if one.said.event == "cancelled" else one.said.digest, one.at)
        for one in paper.registry.events
    )  # fmt: skip


def _sessions(paper: Paper) -> Iterable[tuple[Any, ...]]:
    return ((one.number, one.job, one.epoch, one.by, one.turn, one.state, one.ended) for one in paper.registry.sessions)
