"""`queenpost agent tail`: looking over an agent's shoulder. What its program writes in a turn, readable, also live.

It reads the files of the home and needs no broker. What a line of a transcript tells is `console.transcripts`.
"""

import sys
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import anyio
import click

from console.cli.connecting import name_fleet
from console.cli.failing import Refused
from console.cli.homes import home_of, name_of
from console.cli.kinds import Like
from console.cli.logs import LOOK_EVERY_S
from console.cli.options import Options, command
from console.cli.screen import bold, dim, note, one_line, print_json, safe, terminal_width
from console.log_files import Follower, Record, read_all
from console.log_filters import Filter
from console.transcripts.files import Tail, turns_in
from console.transcripts.happening import Happening
from console.transcripts.lines import joined, read_line
from wire.home import Home

HARNESS = ("harness",)
ENDED = "turn_ended"
"""What the harness logs of each turn, with the outcome."""
PLAIN_CHARACTERS = 2000
"""Shown of a line that is no more than text, and of a failure."""


@command("tail")
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, turn after turn; Ctrl-C ends it.")
@click.option("-n", "--lines", type=click.IntRange(0), default=200, show_default=True, help="No more than the last N.")
@click.option("--turn", metavar="ID", type=Like(r"t[1-9]\d*", "t7"), help="An earlier turn than the newest.")
@click.option("--raw", is_flag=True, help="The lines as the program wrote them.")
def tail(options: Options, name: str, follow: bool, lines: int, turn: str | None, raw: bool) -> None:
    """Look over the shoulder of agent NAME: what it says, which tools it calls, how its newest turn ends.

    The last 50 turns are kept. With --json, one object for each thing that happens.
    """
    if turn and follow:
        raise click.UsageError("--turn shows a turn that was; leave -f out")
    home = home_of(options)
    folder = home.agent_transcripts(name)
    if not options.json:
        name_fleet(name_of(options, home), home.root)
    # Followed from before the reading, so that nothing falls between the two.
    follower = Follower(home.logs, HARNESS) if follow else None
    found = turns_in(folder)
    if turn not in (None, *found) or not (found or follow):
        raise Refused("unknown", f"there is no transcript of {turn or 'a turn'} of {name!r} in {folder}{_kept(found)}")
    page = Page(as_json=options.json, raw=raw)
    shown = Tail(folder, turn or found[-1]) if found else None
    if shown is not None:
        page.begin(shown.turn)
        page.show([*shown.new(), *([] if follow else shown.rest())], last=lines)
        page.end(_ends_of(home, name, shown.turn))
    if follower is not None:
        anyio.run(Following(name, home, follower, page, shown).run)


def _kept(found: list[str]) -> str:
    return f"; there are {found[0]} to {found[-1]}" if found else "; it has had none, or runs on another machine"


def _ends_of(home: Home, agent: str, turn: str) -> Iterable[Record]:
    return Filter(agent=agent, turn=turn, event=ENDED).matching(read_all(home.logs, HARNESS))


class Following:
    """One agent's turns from now on, in their order."""

    def __init__(self, agent: str, home: Home, follower: Follower, page: "Page", shown: Tail | None) -> None:
        self._folder = home.agent_transcripts(agent)
        self._ends = Filter(agent=agent, event=ENDED)
        self._follower = follower
        self._page = page
        self._shown = shown

    async def run(self) -> None:
        """Look again and again until cancelled."""
        try:
            while True:
                self.look()
                await anyio.sleep(LOOK_EVERY_S)
        finally:
            self._follower.close()

    def look(self) -> None:
        """Show what came since the last look. A turn's end is logged behind its last line, so it is read first."""
        ends = {str(record.get("turn")): record for record in self._ends.matching(self._follower.new())}
        self._show(ends)
        found = turns_in(self._folder)
        behind = found.index(self._shown.turn) + 1 if self._shown and self._shown.turn in found else 0
        for turn in found[behind:]:
            self._leave()
            self._shown = Tail(self._folder, turn)
            self._page.begin(turn)
            self._show(ends)
        for turn, record in ends.items():  # of turns whose program was never started
            self._page.begin(turn)
            self._page.end([record])

    def _show(self, ends: dict[str, Record]) -> None:
        if self._shown is None:
            return
        self._page.show(self._shown.new())
        if (record := ends.pop(self._shown.turn, None)) is not None:
            self._leave()
            self._page.end([record])

    def _leave(self) -> None:
        if self._shown is not None:
            self._page.show(self._shown.rest())


class Page:
    """Where it is shown: for people, as JSON, or raw."""

    def __init__(self, *, as_json: bool, raw: bool) -> None:
        self._as_json = as_json
        self._raw = raw
        self._turn = ""
        self._piece = ""
        """The kind whose text may go on in the line that stands last."""

    def begin(self, turn: str) -> None:
        """Say which turn the following belongs to."""
        self._turn = turn
        if not self._as_json and not self._raw:
            self._break()
            click.echo(bold(f"── {turn} ──"))

    def show(self, lines: Iterable[str], *, last: int | None = None) -> None:
        """Show lines of the transcript; `last`: no more than so many things."""
        if self._raw:
            for line in deque(lines, maxlen=last):
                click.echo(safe(line) if sys.stdout.isatty() else line, color=True)
            return
        everything = joined(happened for line in lines for happened in read_line(line))
        chosen = everything if last is None else everything[max(len(everything) - last, 0) :]
        if len(chosen) < len(everything) and not self._as_json:
            note(f"… {len(everything) - len(chosen)} things before that; -n shows more")
        for happened in chosen:
            self._print(happened)

    def end(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Say with which outcome the turn ended."""
        for record in records:
            outcome, reason = str(record.get("outcome")), str(record.get("reason", ""))
            if self._as_json:
                print_json({"turn": self._turn, "kind": "outcome", "outcome": outcome, "reason": reason})
            elif not self._raw:
                self._break()
                words = f"{self._turn} {outcome.replace('_', ' ')} after {record.get('seconds')} s"
                colour = "green" if outcome == "completed" else "red"
                click.echo(f"{click.style(safe(words), fg=colour)}  {dim(one_line(reason, terminal_width()))}".rstrip())

    def _print(self, happened: Happening) -> None:
        if self._as_json:
            told = {"kind": happened.kind, "name": happened.name, "text": happened.text, "bad": happened.bad}
            print_json({"turn": self._turn, **told})
            return
        if self._piece != happened.kind:
            self._break()
        click.echo(rendered(happened, terminal_width()), nl=not happened.more)
        self._piece = happened.kind if happened.more else ""

    def _break(self) -> None:
        if self._piece:
            click.echo()
        self._piece = ""


def rendered(happened: Happening, columns: int) -> str:
    """Write one thing for a terminal: what the model says in full, all else in a line. Obeyed by no terminal."""
    text, name, width = happened.text, happened.name, columns - 4
    match happened.kind:
        case "said":
            return safe(text)
        case "wrote":
            return safe(text) if len(text) <= PLAIN_CHARACTERS else one_line(text, PLAIN_CHARACTERS)
        case "called":
            called = one_line(name, width)
            return f"{click.style(f'→ {called}', fg='cyan')}  {one_line(text, max(width - len(called), 20))}".rstrip()
        case "returned":
            words = one_line(text, width) or "(nothing)"
            return click.style(f"  ✗ {words}", fg="red") if happened.bad else dim(f"  ← {words}")
        case "failed":
            return click.style(f"error: {one_line(f'{name}: {text}' if name else text, PLAIN_CHARACTERS)}", fg="red")
        case "ended":
            words = f"the program says: {one_line(text, PLAIN_CHARACTERS)}"
            return click.style(words, fg="red") if happened.bad else dim(words)
        case "told":
            return dim(f"> {one_line(text, width)}")
        case "thought" | "noted":
            return dim(f"({one_line(text, width)})")
