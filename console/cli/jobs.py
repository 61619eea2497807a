"""Jobs for people and scripts: register, list, show, cancel. The other files `job_…` of this folder do the rest."""

import re
import sys
from pathlib import Path
from typing import Any

import click

from console.cli.connecting import ask
from console.cli.job_files import export, import_records
from console.cli.job_publish import claim, publish
from console.cli.job_reconcile import reconcile, sessions
from console.cli.job_watch import event_as_json, print_event, watch
from console.cli.kinds import JobId
from console.cli.options import Options, command, group
from console.cli.reminders import Duration
from console.cli.screen import bold, coloured, dim, note, one_line, print_json, print_table, safe, terminal_width
from console.cli.times import ago, maybe_iso
from wire.client import new_key
from wire.clock import SystemClock
from wire.errors import Invalid
from wire.jobs import (
    Job,
    JobsCancel,
    JobsChanged,
    JobsList,
    JobsListed,
    JobsRegister,
    JobsRegistered,
    JobsShow,
    JobsShown,
)
from wire.private_files import read_descriptor, read_secret

STDIN = 0
_AGREED = re.compile(r"[\x21-\x7e]{32,256}")
"""As the link takes a secret; said here in words."""


@group("job")
def job() -> None:
    """Pieces of work with signed events: register, claim, watch, publish, cancel, export them."""


for one in (watch, claim, publish, sessions, reconcile, export, import_records):
    job.add_command(one)


@command("register", of=job)
@click.argument("prompt", required=False)
@click.option("--prompt", "prompt_", metavar="TEXT", help="What is to be done; also the argument, or - for stdin.")
@click.option("--to", metavar="NAME", help="Send it to this agent as mail; else whoever is free claims it.")
@click.option(
    "--timeout", "timeout_s", type=Duration(), default="1h", show_default=True, help="Silence that is too long."
)
@click.option(
    "--freshness", "freshness_s", type=Duration(), help="Refuse what is older or newer than this, but its end."
)
@click.option("--strict", is_flag=True, help="Take events only in growing order.")
@click.option("--auth-token", metavar="FILE|-", help="File with a secret that was agreed on; else one is made.")
@click.option("--key", help="Name of this registration: repeated with the same key, it is made once.")
def register(
    options: Options,
    prompt: str | None,
    prompt_: str | None,
    *,
    to: str | None,
    timeout_s: float,
    freshness_s: float | None,
    strict: bool,
    auth_token: str | None,
    key: str | None,
) -> None:
    """Register the job PROMPT and print its id. It always has a secret, which is never shown."""
    text = prompt if prompt is not None else prompt_
    if text is None or (prompt is not None and prompt_ is not None):
        raise click.UsageError("say once what is to be done: queenpost job register 'count the pumps'")
    if {text, auth_token} == {"-"}:
        raise click.UsageError("stdin is either the prompt or the secret; put one of them into a file")
    secret = _secret(auth_token)
    request = JobsRegister(
        prompt=sys.stdin.read() if text == "-" else text,
        to=to,
        timeout_s=timeout_s,
        freshness_s=freshness_s,
        replay="strict" if strict else "window",
        secret=secret,
        key=key or new_key(),
    )
    made = ask(options, request, JobsRegistered)
    if options.json:
        print_json({"id": made.job, "to": made.to, "message": made.message, "warnings": made.warnings})
        return
    click.echo(made.job)
    note(f"sent to {made.to} as {made.message}" if made.to else "it waits for whoever claims it")
    note(f"`queenpost job watch {made.job}` follows it")
    for warning in made.warnings:
        note(f"warning: {safe(warning)}")


def _secret(given: str | None) -> str | None:
    """Read a secret that was agreed on. A value in argv would be public: only a file or stdin is taken.

    Raises:
        Invalid: there is no such file, or it holds no secret of a job. Denied: others may read it.
    """
    secret = None if given is None else _read(given)
    if secret is not None and not _AGREED.fullmatch(secret):
        raise Invalid("a job's secret is 32 to 256 letters, digits and signs of ASCII, such as `openssl rand -hex 32`")
    return secret


def _read(given: str) -> str:
    if given == "-":
        return read_descriptor(STDIN)
    path = Path(given)
    if not path.is_file():
        raise Invalid("--auth-token takes a FILE with mode 0600, or - for stdin; a secret in argv is public")
    return read_secret(path)


@command("list", of=job)
@click.option(
    "--state", type=click.Choice(["pending", "running", "completed", "error", "cancelled"]), help="Only these."
)
@click.option("--all", "everything", is_flag=True, help="List those that have ended too.")
@click.option("--limit", type=click.IntRange(1, 500), default=100, show_default=True, help="List no more than this.")
def list_jobs(options: Options, state: Any, everything: bool, limit: int) -> None:
    """List jobs, the newest first; without --all those that wait or run."""
    listed = ask(options, JobsList(state=state, all=everything, limit=limit), JobsListed)
    if options.json:
        print_json([job_as_json(one) for one in listed.jobs])
        return
    if not listed.jobs:
        click.echo("no jobs" if everything else "no job waits or runs; --all lists those that have ended")
        return
    now_ms = SystemClock().now_ms()
    rows = [
        [
            one.id,
            _state(one),
            one.claimed_by or one.to or "",
            ago(one.heard_at_ms or one.registered_at_ms, now_ms, absolute=options.absolute),
            str(one.events),
            one_line(one.detail or one.prompt, max(terminal_width() - 70, 30)),
        ]
        for one in listed.jobs
    ]
    print_table(["ID", "STATE", "BY", "HEARD", "EVENTS", "LAST WORDS"], rows, right=[4])
    if listed.more:
        note(f"there is more; --limit {min(limit * 5, 500)} shows it")


def _state(one: Job) -> str:
    return coloured(one.state) + (click.style(" overdue", fg="yellow") if one.overdue else "")


@command("show", of=job)
@click.argument("name", type=JobId(), metavar="ID")
def show(options: Options, name: str) -> None:
    """Show the job ID: its task, its state, what was asked for it, and its newest events."""
    shown = ask(options, JobsShow(job=name, limit=500), JobsShown)
    if shown.job is None:
        raise Invalid(f"the broker shows nothing of {name}")
    if options.json:
        asks = [
            {"id": one.id, "question": one.question, "state": one.state, "answer": one.answer} for one in shown.asks
        ]
        events = [event_as_json(one) for one in shown.events]
        print_json({**job_as_json(shown.job), "events": events, "asks": asks, "refused": shown.refused})
        return
    _print_job(options, shown.job)
    for asked in shown.asks:
        click.echo(
            f"{bold(asked.id)}  {coloured(asked.state)}  {safe(asked.answer or '')}  {one_line(asked.question, 80)}"
        )
    for event in shown.events:
        print_event(event, absolute=options.absolute)
    if shown.refused:
        counts = ", ".join(f"{safe(reason)} {times}" for reason, times in shown.refused.items())
        note(f"refused over its topic, and kept nowhere: {counts}")
    if shown.more:
        note(f"there are more; `queenpost job watch {name}` shows all of them")


def _print_job(options: Options, one: Job) -> None:
    now_ms = SystemClock().now_ms()
    facts = [
        ("state", _state(one)),
        ("by", one.claimed_by or "nobody has claimed it"),
        ("registered", f"{ago(one.registered_at_ms, now_ms, absolute=options.absolute)} by {one.made_by}"),
        ("mail", f"{one.message} to {one.to}" if one.message else ""),
        ("heard", ago(one.heard_at_ms, now_ms, absolute=options.absolute) if one.heard_at_ms else ""),
        ("due", ago(one.due_at_ms, now_ms, absolute=options.absolute) if one.due_at_ms else ""),
        ("freshness", f"{one.freshness_s:.10g} s" if one.freshness_s else ""),
        ("claims", str(one.epoch)),
        ("says", safe(one.detail)),
    ]
    click.echo(bold(one.id))
    for name, value in facts:
        if value:
            click.echo(f"  {dim(f'{name:<11}')}{value}")
    click.echo(safe(one.prompt))


def job_as_json(one: Job) -> dict[str, Any]:
    """Give one job in its stable shape; never its secret."""
    return {
        "id": one.id,
        "state": one.state,
        "prompt": one.prompt,
        "made_by": one.made_by,
        "to": one.to,
        "message": one.message,
        "claimed_by": one.claimed_by,
        "epoch": one.epoch,
        "registered_at": maybe_iso(one.registered_at_ms),
        "claimed_at": maybe_iso(one.claimed_at_ms),
        "heard_at": maybe_iso(one.heard_at_ms),
        "due_at": maybe_iso(one.due_at_ms),
        "ended_at": maybe_iso(one.ended_at_ms),
        "detail": one.detail,
        "event_count": one.events,
        "overdue": one.overdue,
        "freshness_s": one.freshness_s,
    }


@command("cancel", of=job)
@click.argument("names", type=JobId(), nargs=-1, required=True, metavar="ID...")
@click.option("--reason", default="", help="What everybody who listens is told.")
def cancel(options: Options, names: tuple[str, ...], reason: str) -> None:
    """End these jobs for good; what their publishers still say is not taken. An ended one stays as it ended."""
    changed = [ask(options, JobsCancel(job=name, reason=reason, key=new_key()), JobsChanged) for name in names]
    if options.json:
        print_json([{**job_as_json(one.job), "changed": one.changed} for one in changed])
        return
    for one in changed:
        click.echo(f"{one.job.id}: {coloured(one.job.state)}{'' if one.changed else ', as before'}")
