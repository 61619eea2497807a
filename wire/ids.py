"""Short ids that carry their noun: `m12` a message, `t7` a turn, `a3` an ask, `r4` a reminder.

They are names, not secrets: ownership is checked on every use (DESIGN 5.1).
"""

import re
from typing import NewType

from wire.errors import Unknown

AgentName = NewType("AgentName", str)
MessageId = NewType("MessageId", str)
TurnId = NewType("TurnId", str)
AskId = NewType("AskId", str)
ReminderId = NewType("ReminderId", str)

AGENT_NAME_PATTERN = r"^[a-z][a-z0-9-]{0,30}$"
RESERVED_NAMES = frozenset({"operator", "system", "reminder", "self", "*"})
"""`manager` is not here: it may be the name of the agent with the manager role, and of no other."""

_ID = re.compile(r"([a-z])([1-9][0-9]{0,17})")


def message_id(number: int) -> MessageId:
    """Write the row number of a message as its id."""
    return MessageId(f"m{number}")


def turn_id(number: int) -> TurnId:
    """Write the row number of a turn as its id."""
    return TurnId(f"t{number}")


def ask_id(number: int) -> AskId:
    """Write the row number of an ask as its id."""
    return AskId(f"a{number}")


def reminder_id(number: int) -> ReminderId:
    """Write the row number of a reminder as its id."""
    return ReminderId(f"r{number}")


def message_number(text: str) -> int:
    """Read a message id.

    Raises:
        Unknown: anything that is not a message id gets the answer of an id that does not exist.
    """
    return _number("m", text, "message")


def turn_number(text: str) -> int:
    """Read a turn id; the same answer as `message_number` for anything else."""
    return _number("t", text, "turn")


def ask_number(text: str) -> int:
    """Read an ask id; the same answer as `message_number` for anything else."""
    return _number("a", text, "ask")


def reminder_number(text: str) -> int:
    """Read a reminder id; the same answer as `message_number` for anything else."""
    return _number("r", text, "reminder")


def _number(noun: str, text: str, word: str) -> int:
    match = _ID.fullmatch(text)
    if match is None or match[1] != noun:
        raise unknown(word, text)
    return int(match[2])


def unknown(word: str, text: str) -> Unknown:
    """The one answer for an id that does not exist and for one that is not the caller's."""
    return Unknown(f"no {word} {text[:64]!r} that you may use; check the id")
