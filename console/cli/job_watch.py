"""`queenpost job watch`: what a job says, as it is recorded, until its end; on the terminal and into a file."""

import json
import os
from pathlib import Path
from typing import Any

import click

from console.cli.connecting import converse
from console.cli.kinds import JobId
from console.cli.options import Options, command
from console.cli.screen import bold, coloured, dim, note, print_json, safe
from console.cli.times import ago, iso
from wire.asks import Ask
from wire.canonical import MAX_INT
from wire.client import BrokerClient
from wire.clock import SystemClock
from wire.errors import Invalid
from wire.jobs import ENDED, Job, JobEvent, JobsShow, JobsShown, JobsWatch

WAIT_S = 120.0
LOOK_S = 5.0
"""Silence ends no wait: whoever gives up on it looks so often."""
EXIT_CODES = {"completed": 0, "error": 4, "cancelled": 5}
OVERDUE = 6
"""Of a watch that gives up: the job was silent past its time-out."""


@command("watch")
@click.argument("name", type=JobId(), metavar="ID")
@click.option(
    "--file", "file", type=click.Path(path_type=Path, dir_okay=False), help="Append each event there, as NDJSON."
)
@click.option("--after", type=click.IntRange(0, MAX_INT), default=0, help="Only events behind this number.")
@click.option("--until-overdue", is_flag=True, help="Give up when the job is silent past its time-out.")
def watch(options: Options, name: str, file: Path | None, after: int, until_overdue: bool) -> None:
    """Print what the job ID says, as it is recorded, and end with it.

    Exit code 0 where it was completed, 4 after an error, 5 where it was cancelled, 6 where --until-overdue gave up.
    Whoever comes late sees everything all the same: the record is kept. What was asked for it is said too, and what was
    decided.
    """
    ended = converse(options, lambda client: _follow(client, options, name, file, after, until_overdue))
    if ended is None:
        note(f"{name} is silent past its time-out; `queenpost job show {name}` tells who works on it")
        raise SystemExit(OVERDUE)
    raise SystemExit(EXIT_CODES[ended.state])


async def _follow(
    client: BrokerClient, options: Options, name: str, file: Path | None, after: int, until_overdue: bool
) -> Job | None:
    asked: dict[str, str] = {}
    decided_at_ms = 0
    while True:
        wait_s = LOOK_S if until_overdue else WAIT_S
        request = JobsWatch(job=name, after=after, wait_s=wait_s, decided_at_ms=decided_at_ms)
        shown = await client.call(request, JobsShown, timeout_s=wait_s + 30)
        if until_overdue and shown.job is None:
            shown = await client.call(JobsShow(job=name, after=after), JobsShown)
        for event in shown.events:
            _write(options, event, file)
            after = event.number
        for one in shown.asks:
            if asked.get(one.id) != one.state:
                _write_ask(options, one)
            asked[one.id] = one.state
            decided_at_ms = max(decided_at_ms, one.ended_at_ms or 0)
        if shown.job is not None and shown.job.state in ENDED and not shown.more:
            return shown.job
        if until_overdue and shown.job is not None and shown.job.overdue:
            return None


def _write_ask(options: Options, one: Ask) -> None:
    """Say where something stands that was asked for the job: as JSON an object with `ask` in the place of `event`."""
    if options.json:
        print_json({"ask": one.id, "question": one.question, "state": one.state, "answer": one.answer})
        return
    hint = f"; `queenpost answer {one.id} allow` or deny" if one.state == "open" else ""
    note(f"{one.id} {one.state}{f': {safe(one.answer)}' if one.answer else ''}{hint}")


def _write(options: Options, event: JobEvent, file: Path | None) -> None:
    if file is not None:
        append(file, event)
    if options.json:
        print_json(event_as_json(event))
    else:
        print_event(event, absolute=options.absolute)


def append(file: Path, event: JobEvent) -> None:
    """Append an event to a file of NDJSON; the last one of a job is durable once this returns.

    Raises:
        Invalid: the file cannot be written.
    """
    line = json.dumps(event_as_json(event), ensure_ascii=False) + "\n"
    try:
        with file.open("a", encoding="utf-8") as out:
            out.write(line)
            if event.event in ENDED:
                out.flush()
                os.fsync(out.fileno())
    except OSError as exc:
        raise Invalid(f"cannot write to {file}: {exc.strerror}") from exc


def print_event(event: JobEvent, *, absolute: bool) -> None:
    """Print one event on a line."""
    when = dim(f"{ago(event.received_at_ms, SystemClock().now_ms(), absolute=absolute):>10}")
    verdict = "" if event.verdict == "accepted" else click.style(f" ({event.verdict})", fg="yellow")
    data = dim(" " + safe(json.dumps(event.data, ensure_ascii=False))) if event.data else ""
    words = safe(" ".join(event.detail.split()))
    click.echo(f"{when}  {bold(coloured(event.event))}{verdict}  {words}{data}".rstrip())


def event_as_json(event: JobEvent) -> dict[str, Any]:
    """Give one event in its stable shape. `verified` is always true: nothing else is recorded."""
    return {
        "number": event.number,
        "job": event.job,
        "event": event.event,
        "epoch": event.epoch,
        "seq": event.seq,
        "verdict": event.verdict,
        "verified": True,
        "timestamp": event.timestamp,
        "received_at": iso(event.received_at_ms),
        "detail": event.detail,
        "data": event.data,
    }
