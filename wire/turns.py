"""Turns on the wire, and the one table of outcomes.

A turn is the only thing that leases mail. What an outcome means for the mail stands in `COUNTED`.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from wire.asks import OpenAsk
from wire.inbox import Mail
from wire.model import Key, Request, Result

LEASE_MS = 60_000
RENEW_EVERY_S = 15.0
MAX_WAIT_S = 180.0
MAX_FAILURES = 5
MAX_RESTARTS = 20
BATCH_MESSAGES = 32
"""Default of `batch_max`: messages handed over when a turn opens."""
BATCH_BYTES = 24 * 1024
"""Bytes of bodies handed over at once; one message always fits."""
TURN_MESSAGES = 64
TURN_BYTES = 64 * 1024
"""What a harness turn may take in all; beyond it the turn should end, so that its mail is settled."""

Outcome = Literal[
    "completed",
    "crashed", "hung", "context_full", "max_turns",
    "offline", "rate_limited", "overloaded", "auth", "credit", "bad_model", "budget", "missing_program",
    "mcp_missing", "interrupted", "stopped", "suspended", "link_lost", "lapsed", "fenced",
]  # fmt: skip
"""How a turn ended. The broker alone writes `lapsed` (lease ran out) and `fenced` (another instance took over)."""

COUNTED: frozenset[str] = frozenset({"crashed", "hung", "context_full", "max_turns"})
"""Ends that are the mail's fault, if the model had begun to answer. All others give the mail back uncounted."""

CLIENT_OUTCOMES: frozenset[str] = frozenset(
    {"completed", "crashed", "hung", "context_full", "max_turns", "offline", "rate_limited", "overloaded", "auth",
     "credit", "bad_model", "budget", "missing_program", "mcp_missing", "interrupted", "stopped", "suspended"}
)  # fmt: skip
"""What a harness or an attended client may report."""


def is_counted(outcome: str, *, begun: bool) -> bool:
    """Say whether a failed turn counts against its mail: only where the model had begun to answer."""
    return begun and outcome in COUNTED


def backoff_ms(failures: int) -> int:
    """Wait before the next attempt after so many counted failures: 1 s, 4 s, 16 s … at most 10 min."""
    return min(1000 * 4 ** max(failures - 1, 0), 600_000)


Wait = Annotated[float, Field(ge=0, le=MAX_WAIT_S)]
TurnRef = Annotated[str, Field(min_length=1, max_length=64)]


MAX_TOOLS = 64
MAX_TOOL_NAME = 120
OTHER_TOOLS = "other"
"""Calls of tools whose names had no room."""

Figure = Annotated[int, Field(ge=0, le=2**53)]
ToolName = Annotated[str, Field(max_length=MAX_TOOL_NAME)]


class Usage(Result):
    """What a turn cost, from the program's own figures; None where it does not say."""

    input_tokens: Figure | None = None
    output_tokens: Figure | None = None
    cost_usd: Annotated[float | None, Field(ge=0)] = None
    tool_calls: Figure | None = None
    tools: Annotated[dict[ToolName, Figure], Field(max_length=MAX_TOOLS)] = {}
    """Calls by the tool's name; `by_tool` makes it of any names."""
    notes_bytes: Figure | None = None
    """Size of the agent's notes when the turn ended."""


def by_tool(calls: Iterable[str]) -> dict[str, int]:
    """Count calls by name, within the bounds of `Usage.tools`: what has no room is `other`."""
    counts: dict[str, int] = {}
    for call in calls:
        name = call[:MAX_TOOL_NAME]
        if name not in counts and len(counts) >= MAX_TOOLS - 1:
            name = OTHER_TOOLS
        counts[name] = counts.get(name, 0) + 1
    return counts


class Turn(Result):
    """An open turn with the mail that is leased to it."""

    id: str
    mail: list[Mail]
    waiting: int
    """Mail still waiting, counted in the transaction that leased."""
    lease_ms: int = LEASE_MS
    carried: bool = False
    """Its mail comes from the turn before, unfinished; it is run or adopted without composing."""
    open_asks: list[OpenAsk] = Field(default_factory=list[OpenAsk])
    """What the agent was asked in earlier turns and has not answered; at most `wire.asks.SHOWN_OPEN`."""


class TurnsOpen(Request):
    """Open a turn of the calling agent as soon as mail is eligible, or give its open turn again."""

    op: Literal["turns.open"] = "turns.open"
    wait_s: Wait = MAX_WAIT_S


class TurnsOpened(Result):
    """The turn, or None when the wait passed without mail."""

    turn: Turn | None = None


class TurnsTake(Request):
    """Lease more mail into the open turn. An attended instance needs no turn: the first mail opens one."""

    op: Literal["turns.take"] = "turns.take"
    turn: TurnRef | None = None
    max: Annotated[int, Field(ge=1, le=32)] = 1
    wait_s: Wait = 0.0
    done: Annotated[str | None, Field(max_length=64)] = None
    """Attended only: all mail handed over up to this message is handled. Changes nothing in a harness turn."""
    call: Key | None = None
    """Names this take, so that a repeated one gets the mail of an answer that was lost."""


class TurnsTaken(Result):
    """Mail that is now leased to `turn`, and why there is none, if there is none."""

    turn: str | None = None
    mail: list[Mail]
    waiting: int
    exhausted: bool = False
    """This turn takes no more; it has to end first."""
    open_asks: list[OpenAsk] = Field(default_factory=list[OpenAsk])
    """As in `Turn`; filled where this take opened an attended turn."""


class TurnsGiveBack(Request):
    """Return mail that could not be handed over; it is ready again at once and nothing is counted."""

    op: Literal["turns.give_back"] = "turns.give_back"
    turn: TurnRef
    ids: Annotated[list[str], Field(min_length=1, max_length=64)]


class TurnsGivenBack(Result):
    """The ids that went back; one that was no longer leased to the turn is not among them."""

    ids: list[str]


class TurnsRenew(Request):
    """Prolong the lease of the open turn; `begun` once the model has begun to answer."""

    op: Literal["turns.renew"] = "turns.renew"
    turn: TurnRef
    begun: bool = False


class TurnsRenewed(Result):
    """The lease runs this long from now."""

    lease_ms: int


class TurnsResume(Request):
    """Take an open or lapsed turn back after a lost link or a broker restart, if none of its mail went elsewhere."""

    op: Literal["turns.resume"] = "turns.resume"
    turn: TurnRef


class TurnsClose(Request):
    """End the turn. `completed` acks its mail in one transaction; anything else gives it back."""

    op: Literal["turns.close"] = "turns.close"
    turn: TurnRef
    outcome: Outcome
    begun: bool = True
    reason: Annotated[str, Field(max_length=2000)] = ""
    usage: Usage | None = None
    carry: Annotated[list[str], Field(max_length=64)] = []
    """Mail that was put into the turn but never seen by the model: it moves to the next turn, attempt unchanged."""


class TurnsClosed(Result):
    """What became of the turn's mail; `next` is the turn that holds what was carried."""

    id: str
    acked: list[str] = Field(default_factory=list[str])
    given_back: list[str] = Field(default_factory=list[str])
    dead: list[str] = Field(default_factory=list[str])
    held: list[str] = Field(default_factory=list[str])
    next: Turn | None = None


class TurnsSettle(Request):
    """Ack what an attended session was handed, up to `done` or all of it. Allowed to the agent's own token."""

    op: Literal["turns.settle"] = "turns.settle"
    done: Annotated[str | None, Field(max_length=64)] = None


class TurnsSettled(Result):
    """The ids that are handled now."""

    acked: list[str]
