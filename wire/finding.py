"""Finding out on the wire: search, threads, and the story of an agent, an ask or a reminder."""

from typing import Annotated, Literal

from pydantic import Field

from wire.inbox import Happening, Kind, State
from wire.model import Request, Result

Subject = Annotated[str, Field(min_length=1, max_length=64)]

MARKS = ("\x02", "\x03")
"""What stands before and behind each word of a snippet that was looked for; it can come from no body."""
THREAD_MAX = 500
"""Messages of one answer about a thread."""


class InboxSearch(Request):
    """Find messages by words in their bodies, best first. An agent finds what it sent or received."""

    op: Literal["inbox.search"] = "inbox.search"
    words: Annotated[str, Field(min_length=1, max_length=1000)]
    agent: Annotated[str | None, Field(max_length=64)] = None
    """Operator: only what this agent sent or received."""
    limit: Annotated[int, Field(ge=1, le=200)] = 20


class Hit(Result):
    """One message that was found, with the words in their place."""

    id: str
    sender: str
    to: str
    kind: Kind
    sent_at_ms: int
    snippet: str
    """The words in their place, between `MARKS`; what else a terminal would obey or hide is written out."""


class InboxFound(Result):
    """What was found; `more` says whether the limit cut it."""

    hits: list[Hit]
    more: bool = False


class InboxThread(Request):
    """Show the conversation that a message belongs to. An agent sees the messages that it is a party to."""

    op: Literal["inbox.thread"] = "inbox.thread"
    message: Subject


class ThreadMessage(Result):
    """One message of a thread; `parent` is the one that it answers, as far as the caller may see that."""

    id: str
    parent: str | None = None
    sender: str
    to: str
    kind: Kind
    sent_at_ms: int
    excerpt: str
    states: dict[str, State]
    """Where each recipient's copy stands."""


class InboxThreaded(Result):
    """The thread from its first message on, in the order of sending; `more` says that it was cut."""

    messages: list[ThreadMessage]
    more: bool = False


class AgentsExplain(Request):
    """Tell what an agent does and why it does nothing."""

    op: Literal["agents.explain"] = "agents.explain"
    agent: Subject


class AsksExplain(Request):
    """Tell the story of an ask."""

    op: Literal["asks.explain"] = "asks.explain"
    ask: Subject


class RemindersExplain(Request):
    """Tell the story of a reminder."""

    op: Literal["reminders.explain"] = "reminders.explain"
    reminder: Subject


class Explained(Result):
    """The story of one thing that is no message."""

    id: str
    noun: Literal["agent", "ask", "reminder", "job"]
    state: str
    waits_for: str | None = None
    """Why what one might expect has not happened yet, in words."""
    facts: dict[str, str]
    """What a person wants to know beside the state, by label."""
    history: list[Happening]
