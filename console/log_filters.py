"""Which records of the logs somebody wants to see. Pure; the files are read by `console.log_files`."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast

from console.log_files import Record, time_of

LEVELS = ("debug", "info", "warning", "error")
"""From the least to the gravest."""

AGENT_FIELDS = ("agent", "sender", "recipient", "recipients", "to", "asker", "target", "subject")
"""Where a record names an agent. A principal is one too, as `agent:NAME`."""
TURN_FIELDS = ("turn",)
MESSAGE_FIELDS = ("message", "mail", "acked", "given_back", "dead", "recalled", "in_reply_to", "subject")


@dataclass(frozen=True, slots=True)
class Filter:
    """What a record has to be; everything that is set has to hold."""

    agent: str | None = None
    turn: str | None = None
    message: str | None = None
    level: str | None = None
    """That grave, or graver."""
    event: str | None = None
    """A name, or a pattern with `*`."""
    since: str | None = None
    """In the form of a record's time."""
    grep: str | None = None
    """Stands somewhere in the record, whatever the case."""

    def matching(self, records: Iterable[Record]) -> Iterator[Record]:
        """Give the records that hold, in their order."""
        return (record for record in records if self.matches(record))

    def matches(self, record: Record) -> bool:
        """Say whether one record holds."""
        return (
            self._is_late_and_grave(record)
            and (self.event is None or fnmatchcase(str(record.get("event", "")), self.event))
            and (self.agent is None or _names(record, AGENT_FIELDS, self.agent) or self._acted(record))
            and (self.turn is None or _names(record, TURN_FIELDS, self.turn))
            and (self.message is None or _names(record, MESSAGE_FIELDS, self.message))
            and (self.grep is None or any(self.grep.casefold() in text for text in _texts(record)))
        )

    def _is_late_and_grave(self, record: Record) -> bool:
        at = time_of(record)
        if self.since is not None and at and at < self.since:  # a damaged line has no time, and is not hidden
            return False
        if self.level is None:
            return True
        level = str(record.get("level", ""))
        # What has a level of its own invention, or none, is damaged: that is grave.
        return level not in LEVELS or LEVELS.index(level) >= LEVELS.index(self.level)

    def _acted(self, record: Record) -> bool:
        return record.get("principal") in (self.agent, f"agent:{self.agent}")


def _names(record: Record, fields: Collection[str], name: str) -> bool:
    return any(_holds(record[field], name) for field in fields if field in record)


def _holds(value: object, name: str) -> bool:
    if isinstance(value, str):
        # `message/recipient`, as a recall lists what it took back
        return value == name or name in value.split("/")
    if isinstance(value, list):
        return any(_holds(one, name) for one in cast("list[object]", value))
    return False


def _texts(value: Any) -> Iterator[str]:
    """Give every word of a record as it is read: keys, and values at any depth."""
    if isinstance(value, dict):
        for key, one in cast("dict[str, Any]", value).items():
            yield key.casefold()
            yield from _texts(one)
    elif isinstance(value, list):
        for one in cast("list[Any]", value):
            yield from _texts(one)
    else:
        yield str(value).casefold()
