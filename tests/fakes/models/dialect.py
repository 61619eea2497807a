"""The seam between what is said and how one API says it. A module for each API; none of them knows HTTP."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast
from uuid import uuid4

from tests.fakes.models.talk import Failure, Purpose, Reply, Tool, ToolResult

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What one request says, as far as every API says it; see `talk.Heard`."""

    model: str
    stream: bool
    prompt: str
    fresh: bool
    results: tuple[ToolResult, ...]
    notes: tuple[str, ...]
    answers: int
    tools: frozenset[Tool]
    servers: frozenset[str]
    system: str
    purpose: Purpose = "turn"


@dataclass(frozen=True)
class Refusal:
    """A failure as the API puts it."""

    status: int
    body: Json
    headers: Mapping[str, str]


class Dialect(Protocol):
    """One API."""

    @property
    def name(self) -> str:
        """What a test calls it."""
        ...

    def read(self, body: Json, path: str) -> Asked:
        """Understand a request; the path is the one below the conversation's prefix."""
        ...

    def stream(self, reply: Reply, asked: Asked) -> list[bytes]:
        """Give the events of an answer, one each; the first ones come before anything is said."""
        ...

    def whole(self, reply: Reply, asked: Asked) -> Json:
        """Give the answer to a request that wants no stream."""
        ...

    def refuse(self, failure: Failure) -> Refusal:
        """Put a failure into status, body and headers."""
        ...


def event(data: Json, name: str | None = None) -> bytes:
    """Write one server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def fresh_id(prefix: str) -> str:
    """Give an id that no history of any session holds yet."""
    return f"{prefix}_{uuid4().hex[:24]}"


def items(value: object) -> list[Json]:
    """Give the objects of a list; nothing for what is no list."""
    found = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Json", one) for one in found if isinstance(one, dict)]


def texts(content: object) -> list[str]:
    """Give the texts of a message: one string, or parts with a `text`."""
    if isinstance(content, str):
        return [content]
    return [str(part["text"]) for part in items(content) if isinstance(part.get("text"), str)]


def joined(parts: Iterable[str]) -> str:
    """Put texts under each other."""
    return "\n".join(parts)


def spoken(result: object) -> str:
    """Give the text of a tool's result, whatever holds it."""
    if isinstance(result, str):
        return result
    return joined(texts(result)) or json.dumps(result)


def servers_of(tools: Iterable[Tool]) -> frozenset[str]:
    """Give the MCP servers of tools."""
    return frozenset(tool.server for tool in tools if tool.server is not None)


def retry_after(failure: Failure) -> dict[str, str]:
    """Give the headers of a failure."""
    wait = {} if failure.retry_after_s is None else {"retry-after": str(failure.retry_after_s)}
    return {**wait, **failure.headers}
