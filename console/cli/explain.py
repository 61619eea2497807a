"""`queenpost explain`: the story of a message, an agent, an ask, a reminder, a job, for a person or a program."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from console.cli.connecting import converse
from console.cli.options import Options, command
from console.cli.screen import bold, coloured, dim, note, one_line, print_json, print_table, safe
from console.cli.story import explained_as_json, print_story
from console.cli.times import ago, iso, moment
from wire.client import BrokerClient
from wire.clock import SystemClock
from wire.errors import Unknown
from wire.finding import AgentsExplain, AsksExplain, Explained, RemindersExplain
from wire.home import Home
from wire.inbox import DeliveryStory, InboxExplain, InboxExplained
from wire.model import Request

JOB_ID = re.compile(r"j-[a-z2-7]{16}")
"""As the broker makes it; an agent with such a name is explained by --agent."""
BODY_LINES = 12
BODY_CHARACTERS = 1600


@command("explain")
@click.argument("name", metavar="ID")
@click.option("--agent", "is_agent", is_flag=True, help="ID is the name of an agent, even if it looks like an id.")
@click.option("--full", is_flag=True, help="Show the whole body of a message.")
def explain(options: Options, name: str, is_agent: bool, full: bool) -> None:
    """Tell the story of message m12, ask a3, reminder r4, a job by its id, or of an agent by its name.

    Where it stands, why what one might expect has not happened yet, and all that did.
    """
    story, also = converse(options, lambda client: _asked(client, name, is_agent=is_agent))
    if isinstance(story, Explained):
        print_json(explained_as_json(story)) if options.json else print_story(story, options)
    elif options.json:
        print_json(story_as_json(story))
    else:
        _print_head(story, options)
        _print_body(story, full)
        _print_copies(story, options)
        _print_timeline(story, options)
    if also:
        note(f"there is an agent {name} too; `queenpost explain {name} --agent` tells its story")


async def _asked(client: BrokerClient, name: str, *, is_agent: bool) -> tuple[InboxExplained | Explained, bool]:
    """Ask for the story by the form of the id; says whether an agent goes by the same name."""
    if not is_agent and JOB_ID.fullmatch(name):
        from console.cli.job_story import story_of  # only here: an id of another kind needs nothing of jobs

        return await story_of(client, name), _is_agent(client, name)
    by_id = None if is_agent else _request_of(name)
    if by_id is None:
        return await client.call(AgentsExplain(agent=name), Explained), False
    request, answer = by_id
    try:
        return await client.call(request, answer), _is_agent(client, name)
    except Unknown:
        if not _is_agent(client, name):
            raise
    return await client.call(AgentsExplain(agent=name), Explained), False


def _is_agent(client: BrokerClient, name: str) -> bool:
    """Say whether an agent is called like an id: its token lies in the home. Elsewhere nobody asks."""
    with suppress(OSError):
        return Home(Path(client.welcome.home)).agent_secret(name).exists()
    return False


def _request_of(name: str) -> tuple[Request, type[InboxExplained] | type[Explained]] | None:
    if not re.fullmatch(r"[mar][1-9]\d*", name):
        return None
    match name[0]:
        case "m":
            return InboxExplain(message=name), InboxExplained
        case "a":
            return AsksExplain(ask=name), Explained
        case _:
            return RemindersExplain(reminder=name), Explained


def story_as_json(story: InboxExplained) -> dict[str, Any]:
    """Give a story in its stable shape."""
    return {
        "id": story.id,
        "sender": story.sender,
        "kind": story.kind,
        "body": story.body,
        "in_reply_to": story.in_reply_to,
        "deliveries": [
            {"recipient": copy.recipient, "state": copy.state, "turn": copy.turn, "attempt": copy.attempt}
            for copy in story.deliveries
        ],
        "history": [{"at": iso(step.at_ms), "event": step.event, "detail": step.detail} for step in story.history],
    }


def _print_head(story: InboxExplained, options: Options) -> None:
    recipients = [copy.recipient for copy in story.deliveries]
    to = ", ".join(recipients[:6]) + (f" and {len(recipients) - 6} more" if len(recipients) > 6 else "")
    sent = ago(story.sent_at_ms, SystemClock().now_ms(), absolute=options.absolute)
    click.echo(f"{bold(story.id)}  {story.sender} → {to}")
    about = [f"{story.kind} mail", f"sent {sent}"]
    if story.sent_in_turn:
        about.append(f"in turn {story.sent_in_turn}")
    if story.in_reply_to:
        about.append(f"answers {story.in_reply_to}")
    if story.replies:
        about.append(f"answered by {', '.join(story.replies)}")
    click.echo(dim(" · ".join(about)))


def _print_body(story: InboxExplained, full: bool) -> None:
    lines = safe(story.body).split("\n")
    shown = lines if full else "\n".join(lines[:BODY_LINES])[:BODY_CHARACTERS].split("\n")
    click.echo()
    for line in shown:
        click.echo(f"  {line}".rstrip())
    if "\n".join(shown) != "\n".join(lines):
        click.echo(dim(f"  … {len(story.body):,} characters in all; --full shows them"))
    click.echo()


def _print_copies(story: InboxExplained, options: Options) -> None:
    rows = [[copy.recipient, copy_state(copy), str(copy.attempt), _why(copy, options)] for copy in story.deliveries]
    print_table(["RECIPIENT", "STATE", "ATTEMPT", "WHY"], rows, right=[2])
    click.echo()


def copy_state(copy: DeliveryStory) -> str:
    """Say where one copy stands, with its turn."""
    words = copy.state.replace("_", " ")
    if copy.recipient == "operator" and copy.state in {"queued", "handled"}:
        words = "unread" if copy.state == "queued" else "read"
    elif copy.turn:
        words = f"in turn {copy.turn}" if copy.state == "in_turn" else f"{words} in turn {copy.turn}"
    return coloured(copy.state, words)


def _why(copy: DeliveryStory, options: Options) -> str:
    words = [copy.waits_for, copy.reason]
    if copy.ready_at_ms is not None:
        due = ago(copy.ready_at_ms, SystemClock().now_ms(), absolute=options.absolute)
        words.append(f"tried again {due}")
    if copy.failures:
        words.append(f"{copy.failures} failed turn{'s' if copy.failures > 1 else ''}")
    if copy.restarts:
        words.append(f"{copy.restarts} harness restart{'s' if copy.restarts > 1 else ''}")
    return one_line("; ".join(word for word in words if word), 100)


def _print_timeline(story: InboxExplained, options: Options) -> None:
    rows = [
        [
            dim(moment(step.at_ms, story.sent_at_ms, absolute=options.absolute)),
            step.event.replace("_", " "),
            one_line(step.detail, 100),
        ]
        for step in story.history
    ]
    print_table(["WHEN", "WHAT", ""], rows, right=[0])
