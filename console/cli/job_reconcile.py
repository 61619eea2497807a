"""`queenpost job sessions` and `job reconcile`: who works on jobs, and where that is not as the record has it.

What a claim named as its process is looked at on this machine; nothing else is ever touched.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import click

from console import job_processes
from console.cli.connecting import converse
from console.cli.kinds import JobId
from console.cli.options import Options, command
from console.cli.screen import bold, coloured, dim, note, one_line, print_json, print_table, safe
from console.cli.times import ago, maybe_iso
from wire.client import BrokerClient, new_key
from wire.clock import SystemClock
from wire.errors import QueenpostError
from wire.jobs import (
    ENDED,
    JobsReconcile,
    JobsReconciled,
    JobsSessions,
    JobsSessionsListed,
    JobsShow,
    JobsShown,
    Session,
)

DRIFT_IS_LEFT = 7
"""Exit code of a reconcile that has found what it did not repair."""
GRACE_MS = 60_000
"""For a turn to end after its job."""

Kind = Literal["running without process", "process without job", "ended but alive", "silent"]


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is not as the record has it."""

    kind: Kind
    session: Session
    what: str
    next: str
    """What to do about it."""
    repaired: bool = False


@command("sessions")
@click.argument("name", type=JobId(), required=False, metavar="[ID]")
@click.option("--live", is_flag=True, help="Only those of which something may still run.")
def sessions(options: Options, name: str | None, live: bool) -> None:
    """List who worked on the job ID, or on all jobs, the newest first: one session for each claim."""
    found = converse(options, lambda client: _all(client, name, live=live))
    if options.json:
        print_json([session_as_json(one) for one in found])
        return
    if not found:
        click.echo("no sessions: nobody has claimed a job")
        return
    now_ms = SystemClock().now_ms()
    rows = [
        [
            one.job,
            str(one.epoch),
            one.claimed_by + (f" ({one.turn})" if one.turn else ""),
            coloured(one.state),
            ago(one.started_at_ms, now_ms, absolute=options.absolute),
            _process_words(one),
            one_line(one.reason, 60),
        ]
        for one in found
    ]
    print_table(["JOB", "CLAIM", "BY", "STATE", "BEGAN", "PROCESS", "REASON"], rows, right=[1])


async def _all(client: BrokerClient, name: str | None, *, live: bool) -> list[Session]:
    if name is not None:
        await client.call(JobsShow(job=name, limit=1), JobsShown)  # an unknown one is refused
    return [one async for one in _pages(client, name, live=live)]


async def _pages(client: BrokerClient, name: str | None, *, live: bool) -> AsyncIterator[Session]:
    before: int | None = None
    while True:
        page = await client.call(JobsSessions(job=name, live=live, before=before), JobsSessionsListed)
        for one in page.sessions:
            yield one
        if page.next is None:
            return
        before = page.next


def session_as_json(one: Session) -> dict[str, Any]:
    """Give one session in its stable shape."""
    told = one.model_dump(include={"job", "epoch", "claimed_by", "turn", "state", "reason", "job_state"})
    times = {"started_at": maybe_iso(one.started_at_ms), "ended_at": maybe_iso(one.ended_at_ms)}
    return {**told, **times, "process": _process_words(one) or None}


def _process_words(one: Session) -> str:
    process = job_processes.read(one.process) if one.process else None
    return safe(process.words) if process else ""


@command("reconcile")
@click.option("--repair", is_flag=True, help="End what has no job any more, and note what has ended by itself.")
@click.option("--every", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Go on until Ctrl-C.")
def reconcile(options: Options, repair: bool, every: float | None) -> None:
    """Compare the jobs with what runs on this machine, and say where they differ.

    \b
    running without process   nobody works on it: its process, its turn or its claim has ended
    process without job       another claim has taken the job, or it was reconciled; the process goes on
    ended but alive           the job has ended; its process or its turn goes on
    silent                    past its time-out

    --repair ends only what a claim has named (`job claim --pid`, `--tmux`), and only that very process or session. It
    ends no job and no turn: what becomes of those is for a person. Exit code 0 where nothing differs, or all was
    repaired; else 7.
    """
    left = converse(options, lambda client: _rounds(client, options, repair=repair, every=every))
    if left:
        raise SystemExit(DRIFT_IS_LEFT)


async def _rounds(client: BrokerClient, options: Options, *, repair: bool, every: float | None) -> bool:
    shown: set[tuple[Kind, str, int]] = set()
    while True:
        found = [drift async for drift in _look(client, repair=repair)]
        fresh = [one for one in found if every is None or (one.kind, one.session.job, one.session.epoch) not in shown]
        _print(options, fresh, alone=every is None)
        if every is None:
            return not all(one.repaired for one in found)
        shown = {(one.kind, one.session.job, one.session.epoch) for one in found}
        await anyio.sleep(every)


async def _look(client: BrokerClient, *, repair: bool) -> AsyncIterator[Drift]:
    # All of them first: what is repaired meanwhile must not move the pages.
    found = await _all(client, None, live=True)
    busy = {one.process for one in found if one.newest and one.state == "running" and one.job_state not in ENDED}
    for session in found:
        try:
            async for drift in _look_at(client, session, session.process in busy, repair=repair):
                yield drift
        except QueenpostError as exc:
            note(f"{session.job}: {safe(exc.message)}")


async def _look_at(client: BrokerClient, session: Session, busy: bool, *, repair: bool) -> AsyncIterator[Drift]:
    process = job_processes.read(session.process) if session.process else None
    alive = process.is_alive() if process is not None else None
    drift = drift_of(session, process, alive, busy, SystemClock().now_ms())
    if process is not None and repair and (alive is False or (drift is not None and _has_no_job(drift))):
        await process.end()
        reason = f"{process.words} has ended"
        request = JobsReconcile(key=new_key(), job=session.job, epoch=session.epoch, reason=reason)
        await client.call(request, JobsReconciled)
        if drift is not None and _has_no_job(drift):
            drift = Drift(drift.kind, session, drift.what, drift.next, repaired=True)
    if drift is not None:
        yield drift
    if session.overdue and session.newest:
        words = (
            f"`queenpost job show {session.job}` tells when it was heard; `queenpost job cancel {session.job}` ends it"
        )
        yield Drift("silent", session, f"{session.claimed_by} was not heard within the time-out", words)


def _has_no_job(drift: Drift) -> bool:
    return drift.kind in ("ended but alive", "process without job")


def drift_of(
    session: Session, process: job_processes.JobProcess | None, alive: bool | None, busy: bool, now_ms: int
) -> Drift | None:
    """Say how a session differs from what runs; None where it does not, or nobody can tell.

    `busy`: the process works on a job, this one or another; then it has one.
    """
    job, what = session.job, process.words if process else ""
    mends = "`queenpost job reconcile --repair` ends it"
    if session.job_state in ENDED:
        if alive and not busy:
            return Drift("ended but alive", session, f"{what} goes on", mends)
        if session.turn_open and (session.ended_at_ms or now_ms) + GRACE_MS < now_ms:
            what = f"turn {session.turn} of {session.claimed_by} goes on"
            return Drift("ended but alive", session, what, f"`queenpost agent restart {session.claimed_by}` ends it")
        return None
    if alive and not busy and (session.state != "running" or not session.newest):
        return Drift("process without job", session, f"{what} goes on: {session.reason}", mends)
    if not session.newest:
        return None
    if alive is False or (session.state != "running" and not alive):
        gone = f"{what} has ended" if alive is False else session.reason
        again = f"`queenpost job claim {job}` goes on with it, `queenpost job cancel {job}` ends it"
        return Drift("running without process", session, gone, again)
    return None


def _print(options: Options, found: list[Drift], *, alone: bool) -> None:
    if options.json:
        rows = [_as_json(one) for one in found]
        if alone:
            print_json(rows)
        else:
            for row in rows:
                print_json(row)
        return
    if alone and not found:
        click.echo("nothing differs")
    for one in found:
        done = click.style("repaired", fg="green") if one.repaired else dim(one.next)
        click.echo(f"{bold(one.session.job)}  {click.style(one.kind, fg='yellow')}  {safe(one.what)}; {done}")


def _as_json(one: Drift) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "job": one.session.job,
        "epoch": one.session.epoch,
        "claimed_by": one.session.claimed_by,
        "what": one.what,
        "repaired": one.repaired,
    }
