"""`queenpost watch`: a fleet at work, live; and what one does about it once one has looked away."""

import shlex
from collections.abc import Sequence

import anyio
import click

from console.cli.connecting import name_fleet
from console.cli.failing import Refused
from console.cli.homes import home_of, name_of
from console.cli.options import Options, command
from console.cli.screen import dim, note, say
from console.live.screen import Screen
from console.live.watching import End, Watch, how_to_answer
from console.supervisor.lock import holder
from wire.asks import Ask
from wire.clock import SystemClock


@command("watch")
def watch(options: Options) -> None:
    """Watch a fleet at work: what its agents do now, the mail that passes, what waits for your answer.

    Ctrl-C ends the look, not the fleet. Where stdout is no terminal, each thing is a line.
    """
    home = home_of(options)
    if options.json:
        raise click.UsageError("watch is for people; `queenpost status --json` and `logs -f --json` are for programs")
    name_fleet(name_of(options, home), home.root)
    if holder(home.up_lock) is None:
        raise Refused("unavailable", f"no fleet runs here; start it with `queenpost{where(options)} up -d`")
    look(options, Watch(home, screen(), SystemClock().wall_ms()))


def screen() -> Screen:
    """Give where it is shown, in the colours that are wanted."""
    context = click.get_current_context(silent=True)
    return Screen(colour=context is None or context.color is not False)


def look(options: Options, watched: Watch) -> End | None:
    """Watch to the end, and say what one can do next; None where Ctrl-C came first."""
    try:
        end = anyio.run(watched.run)
    except KeyboardInterrupt:
        end = None
    if end == "stopped":
        note(f"the fleet was stopped; `queenpost{where(options)} up -d` starts it again, its mail is kept")
        return end
    say(farewell(end))
    for line in next_steps(options, watched.asks, reported=end == "reported"):
        say(line)
    return end


def farewell(end: End | None) -> str:
    """Say how the fleet stands."""
    if end == "reported":
        return click.style("The manager has reported, and nobody works now.", fg="green", bold=True)
    return click.style("The fleet goes on without you.", bold=True)


def next_steps(options: Options, asks: Sequence[Ask], *, reported: bool = False) -> list[str]:
    """Name the commands with which one looks again, answers, asks for more, and stops."""
    queenpost = f"queenpost{where(options)}"
    answers = [("answer", f"{queenpost} answer {ask.id} {how_to_answer(ask)}") for ask in asks[:3]]
    steps = [
        *([] if reported else [("look again", f"{queenpost} watch")]),
        *(answers or ([] if reported else [("answer", f"{queenpost} asks")])),
        ("mail to you", f"{queenpost} inbox"),
        ("one agent", f"{queenpost} agent tail manager -f"),
        ("more to do", f'{queenpost} send manager "…"'),
        ("stop", f"{queenpost} down"),
    ]
    return [f"  {dim(label.ljust(11))}  {line}" for label, line in steps]


def where(options: Options) -> str:
    """Give the words that name the fleet again, where the folder alone does not."""
    return f" --home {shlex.quote(str(options.home))}" if options.home else ""
