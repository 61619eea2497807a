"""`queenpost explain`: the whole story of one message, for a person at a terminal or a program."""

from typing import Any

import click

from console.cli.connecting import ask
from console.cli.options import Options, command
from console.cli.screen import bold, coloured, dim, one_line, print_json, print_table, safe
from console.cli.times import ago, iso, moment
from wire.clock import SystemClock
from wire.inbox import DeliveryStory, InboxExplain, InboxExplained

BODY_LINES = 12
BODY_CHARACTERS = 1600


@command("explain")
@click.argument("message", metavar="ID")
@click.option("--full", is_flag=True, help="Show the whole body.")
def explain(options: Options, message: str, full: bool) -> None:
    """Tell the story of message ID: what it says, where each copy stands and why, and all that happened."""
    story = ask(options, InboxExplain(message=message), InboxExplained)
    if options.json:
        print_json(story_as_json(story))
        return
    _print_head(story, options)
    _print_body(story, full)
    _print_copies(story, options)
    _print_timeline(story, options)


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
