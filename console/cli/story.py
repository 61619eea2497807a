"""Prints the story of an agent, an ask or a reminder; that of a message is in `console.cli.explain`."""

from typing import Any

import click

from console.cli.options import Options
from console.cli.screen import bold, coloured, dim, one_line, print_table, safe
from console.cli.times import ago, iso
from wire.clock import SystemClock
from wire.finding import Explained

FACT_WIDTH = 120


def explained_as_json(story: Explained) -> dict[str, Any]:
    """Give a story in its stable shape."""
    return {
        "id": story.id,
        "noun": story.noun,
        "state": story.state,
        "waits_for": story.waits_for,
        "facts": story.facts,
        "history": [{"at": iso(step.at_ms), "event": step.event, "detail": step.detail} for step in story.history],
    }


def print_story(story: Explained, options: Options) -> None:
    """Print what it is, why it waits, what one wants to know beside, and all that happened."""
    click.echo(f"{bold(story.id)}  {dim(story.noun)}  {coloured(story.state)}")
    if story.waits_for:
        click.echo(safe(story.waits_for))
    click.echo()
    width = max((len(label) for label in story.facts), default=0)
    for label, fact in story.facts.items():
        click.echo(f"  {dim(label.ljust(width))}  {one_line(fact, FACT_WIDTH)}")
    if not story.history:
        return
    click.echo()
    now_ms = SystemClock().now_ms()
    rows = [
        [
            dim(ago(step.at_ms, now_ms, absolute=options.absolute)),
            step.event.replace("_", " ").replace(".", " "),
            one_line(step.detail, 100),
        ]
        for step in story.history
    ]
    print_table(["WHEN", "WHAT", ""], rows, right=[0])
