"""Mail that was put aside or taken back: held mail, its release, and the recall of what nobody has leased."""

from typing import Annotated, Literal

from pydantic import Field

from wire.inbox import Ids, Limit
from wire.model import Mutation, Request, Result


class InboxHeld(Request):
    """List held mail: kept back by the storm guard, by damage, or by too many restarts."""

    op: Literal["inbox.held"] = "inbox.held"
    agent: Annotated[str | None, Field(max_length=64)] = None
    after: Annotated[str | None, Field(max_length=64)] = None
    """Resume behind this message id."""
    limit: Limit = 100


class InboxRelease(Mutation):
    """Let held mail go on: at the end of its inbox, with a fresh budget for it and for its pair."""

    op: Literal["inbox.release"] = "inbox.release"
    ids: Ids
    recipient: Annotated[str | None, Field(max_length=64)] = None
    """Only this recipient's copy of a broadcast."""


class InboxRecall(Mutation):
    """Take back what nobody has leased yet: it becomes dead. An agent recalls what it sent, the operator anything."""

    op: Literal["inbox.recall"] = "inbox.recall"
    message: Annotated[str, Field(min_length=1, max_length=64)]
    descendants: bool = False
    """Operator: also what was sent in turns that held it, and so on."""


class Beyond(Result):
    """A copy that a recall could not take back, and why."""

    id: str
    recipient: str
    state: str
    turn: str | None = None


class InboxRecalled(Result):
    """What was taken back, as `message/recipient`, and what is beyond recall."""

    recalled: list[str]
    beyond: list[Beyond] = Field(default_factory=list[Beyond])
    more: bool = False
    """There is more than one recall looks at; freeze the fleet, then recall from further down."""
