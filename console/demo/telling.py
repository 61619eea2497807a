"""What the demo says while it plays: each record of the broker's log as a line that a newcomer understands.

Pure, but for the bodies of messages, which the caller looks up.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import click

from console.cli.screen import one_line
from console.demo.accident import Accident
from console.log_files import Record

COLOURS = {"operator": "yellow", "manager": "cyan", "worker-1": "magenta", "worker-2": "blue"}
EVENT_COLOURS = {"started": "cyan", "progress": "cyan", "completed": "green", "error": "red"}
NAME_COLUMNS = 9
EXCERPT = 70


def named(agent: str) -> str:
    """Write a name in its colour, as wide as the longest one."""
    return click.style(f"{agent:<{NAME_COLUMNS}}", fg=COLOURS.get(agent), bold=True)


def gist(body: str) -> str:
    """Say what a message is about: the scripted agents write JSON to each other."""
    try:
        data: Any = json.loads(body)
    except ValueError:
        return one_line(body.lstrip("# ").split("\n", 1)[0], EXCERPT)
    if not isinstance(data, dict):
        return one_line(body, EXCERPT)
    job = cast("dict[str, Any]", data)
    if isinstance(paths := job.get("paths"), list):
        return f"your part: {len(cast('list[object]', paths))} files to read"
    if "facts" in job:
        return f"what is in my {job.get('files', '')} files".replace("  ", " ")
    return "(too long for a mail, so it is in a file)" if "file" in job else one_line(body, EXCERPT)


def _words(event: str) -> str:
    return click.style(event, fg=EVENT_COLOURS.get(event), bold=True)


@dataclass(slots=True)
class Telling:
    """The story so far, as far as the next line depends on it."""

    began: datetime
    _mail: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Of each open turn."""
    _came_back: set[str] = field(default_factory=set[str])
    _claimed: dict[str, str] = field(default_factory=dict[str, str])
    """Who works on which job."""

    def line(self, record: Record, body: str = "") -> str | None:
        """Give the line about a record; None where it does not belong to the story."""
        match record.get("event"):
            case "message_accepted":
                return self._sent(record, body)
            case "turn_opened":
                return self._opened(record)
            case "turn_closed" | "turn_ended_by_broker" | "turn_lapsed":
                return self._closed(record)
            case "job_claimed":
                self._claimed[record["subject"]] = str(record["principal"]).removeprefix("agent:")
                return None
            case "job_event_recorded":
                return self._said(record, body)
            case _:
                return None

    def ready(self, said: Mapping[str, Any], now: datetime) -> str:
        """Give the line about the fleet that stands."""
        agents = ", ".join(str(agent) for agent in said.get("agents", []))
        return f"{self._time(now)}  {named('fleet')}   broker and harness are up, with {agents}"

    def killing(self, accident: Accident, now: datetime) -> str:
        """Give the line about the accident."""
        what = f"program killed in the middle of turn {accident.turn} (kill -9 {accident.pid})"
        return f"{self._time(now)}  {named(accident.agent)}   {click.style(what, fg='red', bold=True)}"

    def _sent(self, record: Record, body: str) -> str:
        who = f"{named(record['sender'])} → {named(record['to'])}"
        return f"{self._at(record)}  {who} {record['message']:<4} {gist(body)}"

    def _opened(self, record: Record) -> str:
        mail = [str(message) for message in record.get("mail", [])]
        self._mail[record["turn"]] = mail
        again = [message for message in mail if message in self._came_back]
        words = f"turn {record['turn']} opens with {', '.join(mail)}"
        if again:
            words += click.style(f", handed out again: {', '.join(again)}", fg="green")
        return f"{self._at(record)}  {named(record['agent'])}   {words}"

    def _closed(self, record: Record) -> str:
        turn, outcome = str(record["turn"]), str(record.get("outcome", "lapsed"))
        mail = self._mail.pop(turn, [])
        if outcome == "completed":
            words = click.style(f"turn {turn} completed, {', '.join(mail)} handled", dim=True)
        else:
            self._came_back.update(mail)
            back = click.style(f"{', '.join(mail)} back in the inbox", fg="green")
            words = f"turn {turn} {outcome.replace('_', ' ')}, {back}"
        return f"{self._at(record)}  {named(record['agent'])}   {words}"

    def _said(self, record: Record, detail: str) -> str:
        words = one_line(detail, EXCERPT)
        who = named(self._claimed.get(record["job"], ""))
        return f"{self._at(record)}  {who}   job {record['job']} {_words(record['name'])}{words and f': {words}'}"

    def _at(self, record: Record) -> str:
        return self._time(datetime.fromisoformat(str(record["time"])))

    def _time(self, at: datetime) -> str:
        elapsed_s = max((at - self.began).total_seconds(), 0.0)
        return click.style(f"{elapsed_s:5.1f} s", dim=True)
