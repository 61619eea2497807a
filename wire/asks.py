"""Asks on the wire: durable questions with a deadline, answered once.

A `question` comes back as mail to whoever asked. A `permission` goes to the harness that waits for it in
`asks.wait`; nobody gets mail of its answer.
"""

from typing import Annotated, Literal

from pydantic import Field

from wire.model import Mutation, Request, Result

HOUR_S = 3600
DAY_S = 24 * HOUR_S

DEFAULT_TTL_PEER_S = DAY_S
DEFAULT_TTL_OPERATOR_S = 7 * DAY_S
PERMISSION_TTL_S = 15 * 60
MAX_TTL_S = 30 * DAY_S
MAX_OPEN = 50
"""Questions of one agent that may be open at once."""
SHOWN_OPEN = 10
"""Open asks that are listed in a wake; the rest are counted by `list_my_asks`."""
MAX_OPTIONS = 20

AskKind = Literal["question", "permission"]
AskState = Literal["open", "answered", "cancelled", "expired"]
"""Each ask ends once: first answer wins, `expired` after its deadline, `cancelled` by asker, operator or removal."""

PERMISSION_ANSWERS = ("allow", "always", "deny")

AskRef = Annotated[str, Field(min_length=1, max_length=64)]
Question = Annotated[str, Field(min_length=1, max_length=1_000_000)]
Option = Annotated[str, Field(min_length=1, max_length=500)]


class Ask(Result):
    """One ask as those see it who may: asker, target, operator."""

    id: str
    kind: AskKind
    asker: str
    target: str
    question: str
    options: list[str] | None = None
    multi: bool = False
    state: AskState
    asked_at_ms: int
    deadline_at_ms: int
    answer: str | None = None
    answered_by: str | None = None
    ended_at_ms: int | None = None
    turn: str | None = None
    """The turn in which it was raised."""
    message: str | None = None
    """The mail that put it to an agent; the operator gets none."""
    broken: bool = False
    """The stored row cannot be read: shown, never handed to a model, and no reason to hide the others."""


class OpenAsk(Result):
    """An unanswered ask, as a wake shows it."""

    id: str
    asker: str
    kind: AskKind
    excerpt: str
    """The beginning of the question, one line."""
    deadline_at_ms: int


class AsksAsk(Mutation):
    """Put a question to an agent, `manager` or `operator`; durable once answered. Returns at once.

    `permission` is raised by the harness of an attached agent only, passes the allow-list and the quota, and is
    one ask however often the same question is open: it ends with its turn.
    """

    op: Literal["asks.ask"] = "asks.ask"
    kind: AskKind = "question"
    to: Annotated[str, Field(min_length=1, max_length=64)] = "operator"
    question: Question
    options: Annotated[list[Option] | None, Field(min_length=1, max_length=MAX_OPTIONS)] = None
    multi: bool = False
    ttl_s: Annotated[float | None, Field(gt=0, le=1e9)] = None
    """Unset: a day for a peer, 7 days for the operator, 15 minutes for a permission. At most 30 days."""


class AsksAsked(Result):
    """The receipt: the question is on disk. `state` is `held` where the storm guard keeps its mail back."""

    id: str
    to: str
    deadline_at_ms: int
    state: Literal["open", "held"] = "open"
    warnings: list[str] = Field(default_factory=list[str])
    duplicate: bool = False
    """The same permission was open already: this is that one."""


class AsksAnswer(Mutation):
    """Answer an ask that was put to the caller; the operator may answer any. The first answer wins."""

    op: Literal["asks.answer"] = "asks.answer"
    ask: AskRef
    answer: Question


class AsksAnswered(Result):
    """The ask is closed; `message` is the mail that tells whoever asked (none for a permission)."""

    id: str
    asker: str
    message: str | None = None
    warnings: list[str] = Field(default_factory=list[str])


class AsksCancel(Mutation):
    """Withdraw an ask of one's own; the operator may withdraw any. The other side is told."""

    op: Literal["asks.cancel"] = "asks.cancel"
    ask: AskRef


class AsksCancelled(Result):
    """It is withdrawn."""

    id: str


class AsksList(Request):
    """List asks, newest last. An agent: those it asked, and with `to_me` those put to it; the operator: all."""

    op: Literal["asks.list"] = "asks.list"
    to_me: bool = False
    agent: Annotated[str | None, Field(max_length=64)] = None
    """Operator: only those that this agent asked or was asked."""
    all: bool = False
    """False: only open ones."""
    after: Annotated[str | None, Field(max_length=64)] = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class AsksListed(Result):
    """A page of asks; `more` says whether the limit cut it."""

    asks: list[Ask]
    more: bool = False


class AsksWait(Request):
    """Wait for the end of a permission ask that the calling agent's harness raised."""

    op: Literal["asks.wait"] = "asks.wait"
    ask: AskRef
    wait_s: Annotated[float, Field(ge=0, le=180)] = 180.0


class AsksWaited(Result):
    """How the ask ended; None: it was still open when the wait passed."""

    ask: Ask | None = None
