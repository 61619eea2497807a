"""Defects of jobs and their events, to be put in on purpose: what stands in a query, or what a service does instead."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from broker.services import job_events, job_notices, jobs, replay
from broker.services.callers import Caller
from broker.services.replay import Window
from broker.store.tx import Row, Tx
from wire.canonical import NotCanonical, canonical
from wire.errors import Unknown
from wire.events import Signed, read_event

OF_QUERIES: dict[str, tuple[str, str, str]] = {
    "a window is not kept": ("jobs.heard", "highest = :highest, seen = :seen", "highest = highest, seen = seen"),
    "a new claim has the old window": ("jobs.claim", "highest = 0, seen = x''", "highest = highest, seen = seen"),
    "a copy is taken for something new": ("jobs.event", "WHERE", "WHERE 0 AND"),
    "a free job is given twice": ("jobs.oldest", "state = 'pending' AND", "state IN ('pending', 'running') AND"),
    "a job for an agent is given to anybody": ("jobs.oldest", "AND assigned IS NULL", ""),
    "a cancel fences nobody": ("jobs.fence", "epoch = epoch + 1", "epoch = max(epoch, 1)"),
    "silence is counted from the claim": ("jobs.heard", "THEN :now + timeout_ms", "THEN due_at"),
    "nobody looks at the clock for time-outs": ("turns.next_due", "FROM jobs WHERE", "FROM jobs WHERE 0 AND"),
    "a set clock moves time-outs": ("jobs.shift_clock", "due_at + :step", "due_at + 0 * :step"),
    "a silent job is told of for ever": ("jobs.mark_overdue", "due_at = NULL", "due_at = due_at"),
    "secrets are never forgotten": ("jobs.forget_secrets", "WHERE ended_at", "WHERE 0 AND ended_at"),
    "events are never forgotten": ("jobs.forget_events", "WHERE e.received_at", "WHERE 0 AND e.received_at"),
    "a running job is deleted": ("jobs.old", "WHERE ended_at", "WHERE coalesce(ended_at, registered_at)"),
    "sessions outlive their claims": ("jobs.end_sessions", "WHERE", "WHERE 0 AND"),
    "a turn that ended works on": ("jobs.abandoned", "WHERE", "WHERE 0 AND"),
    "refusals are not counted": ("jobs.quarantine", "times = times + 1", "times = times"),
    "another end stays retained": ("jobs.kept_end", "WHERE", "WHERE 0 AND"),
    "the same permission is asked for twice": ("jobs.open_asks_of", "WHERE", "WHERE 0 AND"),
    "asks outlive their job": ("asks.cancel_of_job", "WHERE job", "WHERE 0 AND job"),
    "anybody's ask is linked": (
        "jobs.link_own_ask",
        "asker = :agent AND turn = :turn",
        ":agent = :agent AND :turn > 0",
    ),
}
"""Query, what stands there, and what stands there in the defect."""


def _nothing(*_args: object, **_more: object) -> None:
    """Do nothing in place of what should be done."""


def _believes(patch: pytest.MonkeyPatch) -> None:
    """Look at no signature."""

    def any_signature(*_args: object) -> bool:
        return True

    patch.setattr(job_events, "verify", any_signature)


def _is_lenient(patch: pytest.MonkeyPatch) -> None:
    """Take a value for what it means, however it is written."""

    def lenient(payload: bytes) -> Signed:
        try:
            return read_event(canonical(json.loads(payload)))
        except (ValueError, RecursionError, NotCanonical):
            return read_event(payload)

    patch.setattr(job_events, "read_event", lenient)


def _judging(patch: pytest.MonkeyPatch, change: Callable[[Signed, dict[str, Any]], dict[str, Any]]) -> None:
    real = job_events._judge  # pyright: ignore[reportPrivateUsage]  # to break it

    def judge(tx: Tx, signed: Signed, guard: Row) -> Any:
        columns = dict(guard)
        return real(tx, signed, columns | change(signed, columns))  # pyright: ignore[reportArgumentType]

    patch.setattr(job_events, "_judge", judge)


def _fences_nobody(patch: pytest.MonkeyPatch) -> None:
    """Take every epoch for the present one."""
    _judging(patch, lambda signed, _guard: {"epoch": signed.event.epoch})


def _never_strict(patch: pytest.MonkeyPatch) -> None:
    """Take every job for one with a window."""
    _judging(patch, lambda _signed, _guard: {"replay": "window"})


def _forgets_the_window(patch: pytest.MonkeyPatch) -> None:
    """Begin with an empty window each time, as one in memory would behind a restart."""

    def empty(*_args: object) -> Window:
        return Window()

    patch.setattr(job_events.Window, "of", staticmethod(empty))


def _sees_far(patch: pytest.MonkeyPatch) -> None:
    """Let a number come from any distance."""
    patch.setattr(replay, "WIDTH", 2**14)


def _ends_again(patch: pytest.MonkeyPatch) -> None:
    """Take every end for the first one."""
    patch.setattr(job_events, "ENDED", frozenset[str]())


def _no_alarm(patch: pytest.MonkeyPatch) -> None:
    """Say nothing of a number that was signed twice."""
    patch.setattr(job_notices, "equivocation", _nothing)


def _anybodys(patch: pytest.MonkeyPatch) -> None:
    """Give a job to whoever names it."""

    def anybodys(tx: Tx, _caller: Caller, name: str) -> Row:
        row = tx.one("jobs.job", id=name)
        if row is None:
            raise Unknown(f"no job {name!r}")
        return row

    patch.setattr(jobs, "_claimable", anybodys)


def _tells_the_gone(patch: pytest.MonkeyPatch) -> None:
    """Write to whoever registered a job, also once it is gone."""

    def always(_tx: Tx, row: Row) -> bool:
        return bool(row["notify"])

    patch.setattr(job_notices, "is_told", always)


OF_SERVICES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "signatures are not looked at": _believes,
    "bytes need not be canonical": _is_lenient,
    "an earlier claim is not fenced": _fences_nobody,
    "strict is a window": _never_strict,
    "a window is kept in memory": _forgets_the_window,
    "a window has no end": _sees_far,
    "a job ends twice": _ends_again,
    "equivocation is no alarm": _no_alarm,
    "anybody claims any job": _anybodys,
    "who is gone is told of a job": _tells_the_gone,
}
