"""The fleet as a whole on the wire: hello, welcome, status, apply."""

from typing import Annotated, Any, Literal

from pydantic import Field

from wire import greeting
from wire.agents import AgentSummary
from wire.model import Mutation, Request, Result, WireModel

PROTOCOL = greeting.PROTOCOL
"""Raised only by a change that an older peer cannot ignore."""

FEATURES: list[str] = ["asks", "attended", "broadcast", "carry", "finding", "freeze", "recall", "reminders"]
"""What this broker understands beyond the first protocol; a client sends newer fields only where they are listed."""

PrincipalKind = Literal["operator", "harness", "agent"]


class Hello(WireModel):
    """The first frame of a connection."""

    hello: Literal["queenpost"] = "queenpost"
    protocol: int
    token: Annotated[str, Field(max_length=256)]
    kind: Annotated[str, Field(max_length=32)]
    """What program calls, for the log: `cli`, `harness`, `mcp`, `bench`…"""
    remote: bool | None = None
    """The caller is on another machine, behind `queenpost link`: its connection may be lost and come back."""


class Principal(Result):
    """Who is on the other end, from the credential."""

    kind: PrincipalKind
    name: str


class Welcome(Result):
    """The connection is open for requests."""

    protocol: int
    fleet: str
    principal: Principal
    features: list[str]
    server_time_ms: int
    home: str


class FleetPing(Request):
    """Ask whether the broker answers; touches no database."""

    op: Literal["fleet.ping"] = "fleet.ping"


class FleetPong(Result):
    """It does."""

    server_time_ms: int


class RequestCancel(Request):
    """Withdraw a request in flight. After its commit this has no effect and the result is still sent."""

    op: Literal["request.cancel"] = "request.cancel"
    request: Annotated[int, Field(ge=0, le=2**53)]


class Cancelled(Result):
    """Whether the request was parked. Its own answer comes all the same, and alone tells whether mail was leased."""

    cancelled: bool


class FleetStatus(Request):
    """Show the fleet: agents, mail, the account of accepted and handled messages."""

    op: Literal["fleet.status"] = "fleet.status"


class Account(Result):
    """What became of every accepted delivery. `lost` is what no other line explains, and must be 0."""

    accepted: int
    handled: int
    redelivered: int
    waiting: int
    """Ready, scheduled or leased to a running turn."""
    dead: int
    held: int
    expired: int
    mailbox: int
    """In the operator's mailbox, read or not."""
    lost: int


class FleetState(Result):
    """The fleet at one moment."""

    fleet: str
    home: str
    pid: int
    version: str
    started_at_ms: int
    server_time_ms: int
    agents: list[AgentSummary]
    account: Account
    operator_mail: int
    open_asks: int = 0
    """Asks put to the operator that are not answered."""
    jobs: dict[str, int] = {}
    """Jobs that have not ended, by state; `overdue` are those that are silent past their time-out."""
    frozen: bool = False
    """Everybody is frozen, agents that come later too."""
    wal_bytes: int
    warnings: list[str] = []


class FleetApply(Mutation):
    """Read `queenpost.toml` again and make its agents and limits true, in one audited transaction."""

    op: Literal["fleet.apply"] = "fleet.apply"
    dry_run: bool = False


class Change(Result):
    """One difference that was applied."""

    subject: str
    change: Literal["added", "changed", "stopped", "revived"]
    detail: str = ""


class FleetApplied(Result):
    """What changed; empty where the fleet already was as the file says."""

    path: str | None = None
    changes: list[Change]


class Push(Result):
    """Something the broker says unasked. `data` depends on the event."""

    event: Literal["mail_waiting", "mail_now", "turn_revoked", "wake_stalled", "agents_changed", "shutting_down", "gap"]
    agent: str | None = None
    data: dict[str, Any] = {}
