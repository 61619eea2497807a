"""The notes of an agent on the wire: whether they may be made shorter now, and what it cost.

The notes themselves never cross the link.
"""

from typing import Annotated, Literal

from pydantic import Field

from wire.model import Mutation, Request, Result
from wire.turns import Outcome, Usage


class NotesBegin(Request):
    """Ask whether a session beside the agent's own may run now, between its turns. Changes nothing."""

    op: Literal["notes.begin"] = "notes.begin"


class NotesBegun(Result):
    """Whether it may, and how much mail waits meanwhile."""

    allowed: bool
    why: str = ""
    """What is in the way, where it may not."""
    waiting: int = 0


class NotesEnd(Mutation):
    """Count what that session cost: in the budget of the day and in the statistics, as a turn without mail."""

    op: Literal["notes.end"] = "notes.end"
    outcome: Outcome
    reason: Annotated[str, Field(max_length=2000)] = ""
    usage: Usage | None = None
    took_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 0


class NotesEnded(Result):
    """The turn that stands for it."""

    turn: str
