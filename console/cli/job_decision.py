"""What was decided on a permission that a program outside the fleet has asked for: waited for, and printed."""

import click

from console.cli.options import Options
from console.cli.screen import note, print_json, safe
from wire.asks import Ask
from wire.canonical import MAX_INT
from wire.client import BrokerClient
from wire.errors import Closed
from wire.jobs import JobsShow, JobsShown, JobsWatch, permission_question

NOT_ALLOWED = 8
"""Exit code of a publish that waited for a decision, which was not `allow`."""
WAIT_S = 120.0
NOTHING_NEW = MAX_INT
"""No event has a higher number: a watch behind it returns for decisions, and for the end."""


async def decided(client: BrokerClient, name: str) -> set[str]:
    """Name what was decided for a job already: an answer to it is none to what is asked from here on."""
    shown = await client.call(JobsShow(job=name, limit=1), JobsShown)
    return {one.id for one in shown.asks if one.state != "open"}


async def decision(client: BrokerClient, name: str, detail: str, before: set[str]) -> Ask:
    """Wait until the ask with these words is no longer open, one that was not decided `before`; gives it as it ended.

    Raises:
        Closed: nobody was asked: the job had ended, or too much is open.
    """
    shown = await client.call(JobsShow(job=name, limit=1), JobsShown)
    question = permission_question(name, shown.job.claimed_by if shown.job else None, detail)
    ask = _asked(shown, question, before)
    while ask.state == "open":
        decided_at_ms = max(one.ended_at_ms or 0 for one in shown.asks)
        request = JobsWatch(job=name, after=NOTHING_NEW, limit=1, wait_s=WAIT_S, decided_at_ms=decided_at_ms)
        watched = await client.call(request, JobsShown, timeout_s=WAIT_S + 30)
        if watched.job is not None:
            shown = watched
            ask = _asked(shown, question, before)
    return ask


def _asked(shown: JobsShown, question: str, before: set[str]) -> Ask:
    """Find the ask by its words: the answer to another question allows nothing."""
    found = [one for one in shown.asks if one.question == question and one.id not in before]
    if not found:
        raise Closed("nobody was asked; `queenpost job show` tells whether the job has ended, or too much is open")
    return found[-1]


def print_decision(options: Options, ask: Ask) -> None:
    """Print the answer alone; what is no `allow` has an exit code of its own."""
    if options.json:
        print_json({"ask": ask.id, "state": ask.state, "answer": ask.answer})
    elif ask.state == "answered":
        click.echo(safe(ask.answer or ""))
    else:
        note(f"{ask.id} is {ask.state}: nobody has decided")
    if ask.answer != "allow":
        raise SystemExit(NOT_ALLOWED)
