"""What a model hears and what it answers, whichever API it is spoken to through. Knows no JSON and no HTTP."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import anyio

SERVER = "queenpost"
"""The MCP server whose tools a brain means unless it says otherwise."""

Failing = Literal[
    "bad_key",  # 401
    "forbidden",  # 403
    "no_model",  # 404
    "credit",  # nothing left to pay with
    "context",  # the prompt is too long
    "rate_limit",  # 429
    "quota",  # 429 too: what the plan allows is used up until `resets_at_s`
    "broken",  # 500
    "overloaded",  # 529, or 503 where the API has no such status
    "disconnect",  # the answer stops in the middle
    "silence",  # it never begins
]
"""How an answer does not come about."""

Stop = Literal["end", "max_tokens", "refusal"]
"""Why an answer ends; that it calls tools shows by itself."""

Purpose = Literal["turn", "summary", "title"]
"""What a program wants: an answer, a summary that replaces the history, a title for a listing."""


@dataclass(frozen=True)
class Tool:
    """A tool by its own name; `server` is None for one that the program brings itself."""

    name: str
    server: str | None = SERVER


@dataclass(frozen=True)
class ToolCall:
    """The model wants a tool run."""

    tool: Tool
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class ToolResult:
    """What a tool gave."""

    tool: Tool
    text: str
    failed: bool = False
    """Where the API has a word for it: Anthropic and Gemini."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer."""

    input: int = 100
    """All of them, those from the cache too."""
    cached: int = 0
    output: int = 10


@dataclass(frozen=True)
class Failure:
    """Instead of an answer."""

    kind: Failing
    retry_after_s: int | None = None
    resets_at_s: int = 4_000_000_000
    """Of a quota: seconds since 1970."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """More of them, such as those by which a subscription says when it resets."""
    words: str | None = None
    """Another message than the usual one."""


@dataclass(frozen=True)
class Reply:
    """One answer: text, then calls; or a failure."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    stop: Stop = "end"
    after: anyio.Event | None = None
    """It thinks until this is set: headers are sent, and nothing behind them."""
    failure: Failure | None = None

    @classmethod
    def calling(cls, tool: str, /, *, server: str | None = SERVER, **arguments: Any) -> Self:
        """Call one tool."""
        return cls(calls=(ToolCall(Tool(tool, server), arguments),))

    @classmethod
    def failing(cls, kind: Failing, *, retry_after_s: int | None = None, **more: Any) -> Self:
        """Fail; `more` are fields of `Failure`."""
        return cls(failure=Failure(kind, retry_after_s, **more))

    def once(self, event: anyio.Event) -> Self:
        """Think until an event is set."""
        return replace(self, after=event)


@dataclass(frozen=True)
class Heard:
    """One request of a program."""

    conversation: str
    number: int
    """Of the requests of this conversation with the same purpose, from 1; retries count."""
    model: str
    prompt: str
    """The newest words of the user in the conversation, however long ago."""
    fresh: bool
    """The prompt came after the last answer; in the middle of a turn it means that words were put in."""
    results: tuple[ToolResult, ...]
    """Of the tools, since the last answer."""
    notes: tuple[str, ...]
    """What the program itself told the model since the last answer: reminders, words put into a turn."""
    answers: int
    """How many answers the history holds; 0 in a new session, and in one after a summary."""
    tools: frozenset[Tool]
    """On offer, deferred ones too where the program names them."""
    servers: frozenset[str]
    """MCP servers with tools on offer; of one that is deferred Codex says no more than its name."""
    system: str
    key: str
    """The credential that came with it."""
    headers: Mapping[str, str]
    """Those that say who asks: user agent, session, agent, retry."""
    purpose: Purpose = "turn"
    body: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """All of it, as it came."""

    @property
    def news(self) -> str:
        """All that came since the last answer and may hold mail: the prompt, notes, results of tools."""
        return "\n".join([*([self.prompt] if self.fresh else []), *self.notes, *(one.text for one in self.results)])

    def result(self, tool: str) -> str:
        """Give what a tool gave since the last answer; the last one of its calls.

        Raises:
            LookupError: it gave nothing.
        """
        found = [one.text for one in self.results if one.tool.name == tool]
        if not found:
            raise LookupError(f"{tool!r} gave nothing; there are results of {[one.tool.name for one in self.results]}")
        return found[-1]


Brain = Callable[[Heard], Reply | Awaitable[Reply]]
"""What makes an answer of what is heard."""
