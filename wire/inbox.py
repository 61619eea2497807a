"""Mail on the wire: sending, looking, reading the operator's mailbox, dead letters.

Taking mail is not here: only a turn leases (`wire.turns`).
"""

from typing import Annotated, Literal

from pydantic import Field

from wire.model import Mutation, Request, Result

MAX_BODY_BYTES = 24 * 1024
"""UTF-8 bytes of one body, by default. Larger things go into a file whose path is sent."""

Kind = Literal["operator", "manager", "peer", "system", "reminder", "external"]
"""Stamped by the broker from the credential, never by the sender."""

State = Literal["queued", "in_turn", "handled", "dead", "held", "expired"]
"""What a sender sees of a delivery."""

Address = Annotated[str, Field(min_length=1, max_length=64)]
Body = Annotated[str, Field(min_length=1, max_length=1_000_000)]
Ids = Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=256)]
Limit = Annotated[int, Field(ge=1, le=1000)]


class EarlierSend(Result):
    """Something that an earlier attempt at the same mail already sent."""

    id: str
    to: str
    excerpt: str


class About(Result):
    """What mail carries beside its words, where it is not simply a letter. Written by the broker only."""

    ask: str | None = None
    """The ask that this mail puts to its reader, answers, or tells the end of."""
    part: Literal["question", "answer", "end"] | None = None
    """What the mail is to that ask; a `question` is answered with its ask's id, not with a reply."""
    ask_kind: Literal["question", "permission"] | None = None
    options: list[str] | None = None
    multi: bool = False
    deadline_at_ms: int | None = None
    reminder: str | None = None
    """The reminder that fired."""
    nominal_at_ms: int | None = None
    """When it was meant to fire."""
    missed: int = 0
    """Earlier occurrences that could not fire and are not made up for one by one."""
    job: str | None = None
    """The job that this mail carries, or tells of."""


class Mail(Result):
    """One delivery as it is handed to a recipient."""

    id: str
    sender: str
    kind: Kind
    body: str
    sent_at_ms: int
    in_reply_to: str | None = None
    depth: int = 0
    broadcast: bool = False
    attempt: int = 1
    """1 for the first lease; more means an earlier turn with this mail did not finish."""
    earlier: list[EarlierSend] = Field(default_factory=list[EarlierSend])
    earlier_more: int = 0
    """How many sends of earlier attempts there are behind those."""
    about: About | None = None
    """Set on the mail of asks and reminders."""


class InboxSend(Mutation):
    """Accept a message for an agent, `manager`, `operator` or `*`; durable once answered."""

    op: Literal["inbox.send"] = "inbox.send"
    to: Address
    body: Body
    in_reply_to: Annotated[str | None, Field(max_length=64)] = None
    now: bool | None = None
    """True: it does not wait for the turn that runs: that one is interrupted, uncounted. Operator and manager only."""


class Skipped(Result):
    """A recipient that a broadcast left out, with the reason."""

    name: str
    reason: Literal["denied", "full"]


class InboxSent(Result):
    """The receipt: accepted, not yet handled."""

    id: str
    to: str
    state: State = "queued"
    recipients: list[str] = Field(default_factory=list[str])
    skipped: list[Skipped] = Field(default_factory=list[Skipped])
    warnings: list[str] = Field(default_factory=list[str])
    duplicate: bool = False


class InboxPeek(Request):
    """Show the waiting mail of the calling agent without taking it."""

    op: Literal["inbox.peek"] = "inbox.peek"
    max: Annotated[int, Field(ge=1, le=32)] = 10


class InboxPeeked(Result):
    """Mail that is still waiting; `waiting` counts all of it."""

    mail: list[Mail]
    waiting: int


class InboxList(Request):
    """List the deliveries to one mailbox, oldest first. Operator: any; agent: its own. Reads nothing off."""

    op: Literal["inbox.list"] = "inbox.list"
    agent: Annotated[str | None, Field(max_length=64)] = None
    all: bool = False
    """False: only what is not settled yet."""
    after: Annotated[str | None, Field(max_length=64)] = None
    """Resume behind this message id."""
    limit: Limit = 100


class Item(Result):
    """One delivery in a listing."""

    id: str
    sender: str
    recipient: str
    kind: Kind
    body: str
    in_reply_to: str | None = None
    sent_at_ms: int
    state: State
    turn: str | None = None
    attempt: int = 0
    failures: int = 0
    reason: str | None = None
    broken: bool = False
    """The stored row does not match its checksum: shown, never handed to a model."""


class InboxListed(Result):
    """A page of deliveries; `more` says whether the limit cut it."""

    items: list[Item]
    more: bool = False


class InboxAck(Mutation):
    """Mark operator mail as read: these ids, or all."""

    op: Literal["inbox.ack"] = "inbox.ack"
    ids: Annotated[list[str], Field(max_length=256)] = []
    all: bool = False


class InboxAcked(Result):
    """What is read now, each id once."""

    ids: list[str]


class InboxExplain(Request):
    """Tell the whole story of one message."""

    op: Literal["inbox.explain"] = "inbox.explain"
    message: Address


class DeliveryStory(Result):
    """Where one recipient's copy stands."""

    recipient: str
    state: State
    turn: str | None = None
    attempt: int
    failures: int = 0
    restarts: int = 0
    reason: str | None = None
    ready_at_ms: int | None = None
    waits_for: str | None = None
    """Why nothing has happened yet, in words."""


class Happening(Result):
    """One step in a story."""

    at_ms: int
    event: str
    detail: str = ""


class InboxExplained(Result):
    """A message with its deliveries and all that happened to them, oldest first."""

    id: str
    sender: str
    kind: Kind
    body: str
    in_reply_to: str | None = None
    sent_at_ms: int
    depth: int
    sent_in_turn: str | None = None
    deliveries: list[DeliveryStory]
    replies: list[str] = Field(default_factory=list[str])
    history: list[Happening]


class InboxDead(Request):
    """List dead letters that nobody discarded."""

    op: Literal["inbox.dead"] = "inbox.dead"
    agent: Annotated[str | None, Field(max_length=64)] = None
    after: Annotated[str | None, Field(max_length=64)] = None
    """Resume behind this message id."""
    limit: Limit = 100


class InboxRequeue(Mutation):
    """Give dead letters back to their recipients with a fresh budget, under the same ids."""

    op: Literal["inbox.requeue"] = "inbox.requeue"
    ids: Ids
    recipient: Annotated[str | None, Field(max_length=64)] = None
    """Only this recipient's copy of a broadcast."""


class InboxDiscard(Mutation):
    """Take dead letters off the list; they stay dead. Held mail that is discarded becomes dead and is off the list."""

    op: Literal["inbox.discard"] = "inbox.discard"
    ids: Ids
    recipient: Annotated[str | None, Field(max_length=64)] = None


class InboxChanged(Result):
    """The deliveries that a requeue or discard changed, as `message/recipient`."""

    changed: list[str]
