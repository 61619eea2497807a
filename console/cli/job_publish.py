"""`queenpost job claim` and `job publish`: for programs outside the fleet. Secrets go through files alone."""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click

from console.cli.connecting import ask, connected, converse
from console.cli.job_decision import decided, decision, print_decision
from console.cli.job_places import Place, made, place_of, refuse_processes_elsewhere
from console.cli.kinds import JobId
from console.cli.options import Options, command
from console.cli.screen import note, print_json
from wire.client import new_key
from wire.clock import SystemClock
from wire.errors import Closed, Conflict, Invalid, QueenpostError, Unavailable
from wire.events import TERMINAL, Event, EventName, read_event, sign, stamp
from wire.jobs import JobsClaim, JobsClaimed, JobsFates, JobsRecorded, Mark, Verdict
from wire.log_handlers import OURS
from wire.outbox import MAX_WAITING, Outbox
from wire.private_files import draft_secret, make_private_folder, publish_secret, read_descriptor, read_secret
from wire.publisher import Publisher
from wire.records import Records

PUBLISHED = ("started", "progress", "permission_required", "completed", "error")


@command("claim")
@click.argument("name", type=JobId(), required=False, metavar="[ID]")
@click.option("--secret-file", type=click.Path(path_type=Path, dir_okay=False), help="Where the claim goes, mode 0600.")
@click.option("--pid", type=click.IntRange(1), help="The process that works on it; `job reconcile` looks at it.")
@click.option("--tmux", metavar="NAME", help="The same, a tmux session.")
@click.option("--tmux-socket", metavar="NAME|PATH", help="Its server, as `tmux -L` or `tmux -S` take it.")
def claim(
    options: Options,
    name: str | None,
    secret_file: Path | None,
    pid: int | None,
    tmux: str | None,
    tmux_socket: str | None,
) -> None:
    """Claim the job ID, or the oldest that nobody was given, for a program outside the fleet.

    What it needs to publish goes into a file of mode 0600: job, epoch, topic and secret. An earlier claim ends.
    --pid or --tmux name what lives for this job alone: `job reconcile --repair` ends it when the job has ended.
    """
    process = _process(options, pid, tmux, tmux_socket)
    place = _claim_place(options, secret_file)
    claimed = ask(options, JobsClaim(job=name, process=process, key=new_key()), JobsClaimed)
    if claimed.job is None:
        raise Unavailable("no job waits that nobody was given; `queenpost job list` shows the others")
    path = place(claimed.job.id)
    told = {"job": claimed.job.id, "epoch": claimed.job.epoch, "fleet": claimed.fleet, "topic": claimed.topic}
    publish_secret(draft_secret(path, json.dumps({**told, "kid": claimed.kid, "secret": claimed.secret})), path)
    if options.json:
        print_json({**told, "prompt": claimed.job.prompt, "secret_file": str(path)})
        return
    click.echo(f"{claimed.job.id} is claimed (claim {claimed.job.epoch}); its secret is in {path}")
    note(f"`queenpost job publish {claimed.job.id} progress 'half done'` says how it goes")


def _claim_place(options: Options, file: Path | None) -> Callable[[str], Path]:
    """Say where the claim of a job goes; what cannot be written is refused before a claim is used up for it."""
    if file is not None:
        _check_place(file)
        return lambda _: file
    place = made(place_of(options))
    trial = place.claim("trial")
    make_private_folder(trial.parent)
    _check_place(trial)
    return place.claim


def _check_place(file: Path) -> None:
    """Refuse a file that cannot be written.

    Raises:
        Invalid: nothing was claimed.
    """
    try:
        draft_secret(file, "").unlink()
    except OSError as exc:
        raise Invalid(f"cannot write {file}: {exc.strerror}; nothing was claimed. Is its folder there?") from exc


def _process(options: Options, pid: int | None, tmux: str | None, tmux_socket: str | None) -> str | None:
    if pid is not None or tmux is not None:
        refuse_processes_elsewhere(options)
    if (pid is not None and tmux is not None) or (tmux is None and tmux_socket is not None):
        raise click.UsageError("say --pid PID, or --tmux NAME and with it --tmux-socket")
    from console import job_processes  # only here: most commands need none

    if tmux is not None:
        return job_processes.of_tmux(tmux, tmux_socket).written()
    return None if pid is None else job_processes.of_pid(pid).written()


@command("publish")
@click.argument("name", type=JobId(), metavar="ID")
@click.argument("event", type=click.Choice(PUBLISHED))
@click.argument("detail", default="")
@click.option("--data", metavar="JSON", help="An object of texts, whole numbers, true, false, null, lists and objects.")
@click.option("--secret-file", type=click.Path(path_type=Path, dir_okay=False), help="What `job claim` wrote.")
@click.option("--secret-fd", type=click.IntRange(0), metavar="N", help="The same, from an inherited descriptor.")
@click.option(
    "--within", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Seconds to wait for the record."
)
@click.option("--decision", "waits", is_flag=True, help="Of permission_required: wait for the answer, and print it.")
def publish(
    options: Options,
    name: str,
    event: EventName,
    *,
    detail: str,
    data: str | None,
    secret_file: Path | None,
    secret_fd: int | None,
    within: float,
    waits: bool,
) -> None:
    """Publish an event of the job ID, signed, and wait until the broker has recorded it.

    It is kept first, under its number: where nobody records it in time (exit 1), the next publish sends it again, and
    an end that is still kept is not said twice. What comes behind the end of its job is recorded as late, a second end
    as conflicting (exit 1). Of a claim that a newer one has ended nothing is taken (exit 1). --decision prints the
    operator's answer alone: exit 0 after `allow`, 8 after anything else.
    """
    if waits and event != "permission_required":
        raise click.UsageError("--decision goes with permission_required; nothing else is decided")
    place = place_of(options)
    claim = _read_claim(_claim_text(place, name, secret_file, secret_fd), name)
    told = _data(data)
    before = converse(options, lambda client: decided(client, name)) if waits else set[str]()
    with Outbox(made(place).publisher(name)) as outbox:
        seq = kept = _kept_before(outbox, claim, event, detail, told)
        if seq is None:
            seq = outbox.add(
                name,
                claim["epoch"],
                claim["topic"],
                partial(_signed, claim, event, detail, told),
                retain=event in TERMINAL,
            )
        fate = anyio.run(_carry, options, outbox, within, Mark(job=name, epoch=claim["epoch"], seq=seq))
    if not waits or fate.verdict != "accepted":
        _say(options, claim, event, seq, fate, again=kept is not None)
    _refuse(claim, event, seq, fate, within)
    if waits:
        print_decision(options, converse(options, lambda client: decision(client, name, detail, before)))


def _refuse(claim: dict[str, Any], event: str, seq: int, fate: "_Told", within: float) -> None:
    """Say what became of an event that is not on the record as it was meant."""
    name = claim["job"]
    if fate.left:
        raise Unavailable(
            f"{event} is kept as event {seq} of {name}, and not recorded within {within:g} s: {fate.left}. "
            "The next `job publish` sends it again"
        )
    if fate.verdict is None:
        raise Closed(
            f"claim {claim['epoch']} of {name} is over, or the job found {event} not fresh; it was not taken. "
            f"`queenpost job show {name}` tells whether it has ended, a newer claim has it, or a clock is wrong"
        )
    if fate.verdict == "conflicting":
        raise Conflict(f"{name} had ended before; its first end stands, and the operator was told of this one")


@dataclass(frozen=True, slots=True)
class _Told:
    """What became of an event."""

    left: str
    """Why it is not known yet; empty where it is."""
    verdict: Verdict | None = None
    """None: it was never taken, or nobody knows yet."""


def _kept_before(
    outbox: Outbox, claim: dict[str, Any], event: EventName, detail: str, data: dict[str, Any]
) -> int | None:
    """Find the same end of a job, kept by a command that was broken off: saying it anew would be a second end."""
    if event not in TERMINAL:
        return None
    for one in outbox.waiting(limit=MAX_WAITING):
        if (one.job, one.epoch) == (claim["job"], claim["epoch"]):
            said = read_event(one.payload).event
            if (said.event, said.detail, said.data) == (event, detail, data):
                return one.seq
    return None


def _say(options: Options, claim: dict[str, Any], event: str, seq: int, fate: _Told, *, again: bool) -> None:
    name = claim["job"]
    if options.json:
        told = {"job": name, "event": event, "epoch": claim["epoch"], "seq": seq, "recorded": fate.verdict is not None}
        print_json({**told, "verdict": fate.verdict, "duplicate": again})
    elif fate.verdict is not None:
        as_what = "" if fate.verdict == "accepted" else f", {fate.verdict}"
        click.echo(f"{event} is recorded as event {seq} of {name}{as_what}")
        if again:
            note("a duplicate: it was kept from before, and has been sent once")
        if fate.verdict == "late":
            note(f"{name} had ended before; `queenpost job show {name}` tells how")


def _signed(claim: dict[str, Any], event: EventName, detail: str, data: dict[str, Any], seq: int) -> bytes:
    now = stamp(SystemClock().wall_ms())
    made = Event(claim["fleet"], claim["job"], claim["kid"], claim["epoch"], seq, event, now, detail, data)
    return sign(made, claim["topic"], claim["secret"])


def _claim_text(place: Place, name: str, file: Path | None, descriptor: int | None) -> str:
    if descriptor is not None:
        if file is not None:
            raise click.UsageError("the claim comes from --secret-file or from --secret-fd")
        return read_descriptor(descriptor)
    path = file or place.claim(name)
    if not path.exists():
        raise Invalid(f"there is no claim of {name} in {path}; `queenpost job claim {name}` makes it")
    return read_secret(path)


def _read_claim(text: str, name: str) -> dict[str, Any]:
    try:
        claim: dict[str, Any] = json.loads(text)
        whole = {"job", "epoch", "fleet", "topic", "kid", "secret"} <= claim.keys()
    except (ValueError, AttributeError):
        claim, whole = {}, False
    if not whole or claim["job"] != name:
        raise Invalid(f"what was given holds no claim of {name}; `queenpost job claim {name}` makes a new one")
    return claim


def _data(text: str | None) -> dict[str, Any]:
    try:
        data: object = json.loads(text or "{}", object_pairs_hook=_once)
    except ValueError as exc:
        raise Invalid(f"--data is not JSON: {exc}") from None
    except RecursionError:
        raise Invalid("--data is nested too deep for an event") from None
    if not isinstance(data, dict):
        raise Invalid('--data is an object, such as {"percent": 50}')
    return data  # pyright: ignore[reportUnknownVariableType]  # its content is checked when it is signed


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that is said twice: which of the two was meant?"""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Invalid("--data says a key twice; leave one of them out")
    return found


async def _carry(options: Options, outbox: Outbox, within_s: float, mark: Mark) -> _Told:
    """Publish what waits, and learn what became of one event."""
    logging.getLogger(OURS).addHandler(logging.NullHandler())  # what is to be said is said by the answer
    try:
        async with connected(options) as client:
            records = Records(client.call, "publisher")
            publisher = Publisher(f"publisher-{os.getpid()}", outbox, records.tell, records.confirm, records.carry)
            why = ""
            async with anyio.create_task_group() as group:
                group.start_soon(publisher.run)
                with anyio.move_on_after(within_s):
                    try:
                        await publisher.drained()
                    except QueenpostError as exc:  # out of the group it would come as one of several
                        why = exc.message
                group.cancel_scope.cancel()
            if why or outbox.count():
                return _Told(why or publisher.trouble or "the broker has not recorded it yet")
            told = await client.call(JobsRecorded(marks=[mark]), JobsFates)
            return _Told("", told.verdicts[0])
    except QueenpostError as exc:
        return _Told(exc.message)
