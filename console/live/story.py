"""What passes in a fleet, one line for each thing. Pure; nothing in a line commands a terminal."""

from collections.abc import Mapping
from typing import Any

import click

from console.cli.screen import dim, one_line, safe
from console.demo.telling import gist
from wire.asks import Ask

COLOURS = ("cyan", "magenta", "blue", "green", "bright_magenta", "bright_blue")
NAME_COLUMNS = 10
MAIL_LINES = 40
"""Shown of a mail to the operator; the rest is in the mailbox."""

Record = Mapping[str, Any]


class Story:
    """The lines of one fleet; a name keeps the colour that it got first."""

    def __init__(self, began_ms: int) -> None:
        self._began_ms = began_ms
        self._colours: dict[str, str] = {"operator": "yellow"}
        self._mail: dict[str, list[str]] = {}
        """Of each open turn."""

    def sent(self, at_ms: int, record: Record, body: str, width: int) -> str:
        """Tell of a message that was accepted."""
        who = f"{self.name(str(record['sender']))} → {self.name(str(record['to']))}"
        head = f"{self.clock(at_ms)}  {who} {dim(str(record['message']).ljust(4))} "
        return head + one_line(gist(body), max(width - _columns(head), 20))

    def asked(self, ask: Ask, width: int) -> list[str]:
        """Tell of an ask that waits for the operator: all of it, as somebody has to decide."""
        head = f"{self.clock(ask.asked_at_ms)}  {self.name(ask.asker)} → {self.name('operator')} "
        head += click.style(ask.id.ljust(4), fg="yellow", bold=True) + " "
        words = " ".join([ask.question, *([f"[{' | '.join(ask.options)}]"] if ask.options else [])])
        first = one_line(words, max(width - _columns(head), 20))
        return [head + first, *(letter(words) if first != words else [])]

    def ended(self, at_ms: int, record: Record, width: int) -> str | None:
        """Tell of a turn that did not finish; None of one that did: its answers say more."""
        turn, mail = str(record["turn"]), self._mail.pop(str(record["turn"]), [])
        outcome = str(record.get("outcome", "lapsed"))
        if outcome == "completed":
            return None
        back = f"; {', '.join(mail)} back in the inbox" if mail else ""
        head = f"{self.clock(at_ms)}  {self.name(str(record['agent']))}   "
        words = one_line(f"turn {turn} {outcome.replace('_', ' ')}{back}", max(width - _columns(head), 20))
        return head + click.style(words, fg="red")

    def opened(self, at_ms: int, record: Record) -> str:
        """Tell what a turn begins with."""
        turn, mail = str(record["turn"]), [str(message) for message in record.get("mail", [])]
        self._mail[turn] = mail
        words = dim(f"{turn} begins with {', '.join(mail)}")
        return f"{self.clock(at_ms)}  {self.name(str(record['agent']))}   {words}"

    def noted(self, at_ms: int, record: Record, width: int) -> str:
        """Tell of mail that got stuck."""
        head = f"{self.clock(at_ms)}  {self.name(str(record.get('to', record.get('recipient', ''))))}   "
        words = f"{record.get('message', '')} {str(record['event']).replace('_', ' ')}"
        return head + click.style(one_line(words, max(width - _columns(head), 20)), fg="red")

    def name(self, name: str) -> str:
        """Write a name in its colour; the operator is the one who reads it."""
        colour = self._colours.setdefault(name, COLOURS[(len(self._colours) - 1) % len(COLOURS)])
        shown = "you" if name == "operator" else one_line(name, NAME_COLUMNS)
        return click.style(f"{shown:<{NAME_COLUMNS}}", fg=colour, bold=True)

    def clock(self, at_ms: int) -> str:
        """Say how long after the beginning it was."""
        minutes, seconds = divmod(max(at_ms - self._began_ms, 0) // 1000, 60)
        return dim(f"{minutes:3}:{seconds:02}")


def letter(body: str) -> list[str]:
    """Show a mail to the operator as it was written, indented; a long one is cut."""
    lines = safe(body).strip("\n").split("\n")
    shown = [f"        {line}".rstrip() for line in lines[:MAIL_LINES]]
    if len(lines) > MAIL_LINES:
        shown.append(dim(f"        … {len(lines) - MAIL_LINES} more lines: queenpost inbox"))
    return ["", *shown, ""]


def _columns(text: str) -> int:
    return len(click.unstyle(text))
