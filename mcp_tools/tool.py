"""What a tool is: a name, words for a model, arguments, and a function that answers in text.

Arguments are a pydantic model: its schema goes to the client, its errors become sentences of ours. Results
are text only, since a structured copy would cost the model the same tokens twice.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from mcp_types import RequestId, ToolAnnotations
from mcp_types import Tool as Listed
from pydantic import BaseModel, ConfigDict, ValidationError

from mcp_tools.desk import Desk
from mcp_tools.handover import Place
from wire.errors import Invalid

Progress = Callable[[float, float], Awaitable[None]]
"""Tells the client how far a waiting call is: seconds so far, seconds in all. Nothing if it did not ask."""

_SHOWN = ("type", "items", "minimum", "maximum", "default", "description")
"""Of an argument's schema. The rest is checked too, and said in words when it is wrong."""

_JSON_TYPES = {"bool": "true or false", "float": "a number", "int": "a whole number", "string": "text"}


class Arguments(BaseModel):
    """Arguments of a tool. Numbers may be written as text, as models do; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True)
class Call:
    """One call of a tool."""

    place: Place
    request_id: RequestId
    progress: Progress

    @property
    def desk(self) -> Desk:
        """The caller's way to the broker."""
        return self.place.desk


@dataclass(frozen=True)
class Tool(Generic[A]):
    """One row of the surface."""

    name: str
    description: str
    """Static, so that it can be pinned: nothing of a fleet or of any mail is in it."""
    arguments: type[A]
    run: Callable[[Call, A], Awaitable[str]]
    reads_only: bool = False
    manager_only: bool = False

    async def __call__(self, call: Call, arguments: dict[str, Any] | None) -> str:
        """Check the arguments and run.

        Raises:
            Invalid: an argument is wrong; the message names it.
            QueenpostError: as the broker refused it.
        """
        try:
            return await self.run(call, self.arguments.model_validate(arguments or {}))
        except ValidationError as exc:
            # Of the arguments, or of the request that was made of them: its bounds may be narrower.
            raise Invalid(self._what_is_wrong(exc)) from None

    def listed(self) -> Listed:
        """Give the entry for `tools/list`."""
        hints = (
            ToolAnnotations(read_only_hint=True, open_world_hint=False)
            if self.reads_only
            else ToolAnnotations(destructive_hint=False, open_world_hint=False)
        )
        return Listed(name=self.name, description=self.description, input_schema=self.schema(), annotations=hints)

    def schema(self) -> dict[str, Any]:
        """Give the JSON schema of the arguments, without what only repeats the names."""
        full = self.arguments.model_json_schema()
        properties = {name: _compact(field) for name, field in full.get("properties", {}).items()}
        required = {"required": full["required"]} if "required" in full else {}
        return {"type": "object", "properties": properties, **required}

    def _what_is_wrong(self, exc: ValidationError) -> str:
        first = exc.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "arguments"
        takes = ", ".join(self.arguments.model_fields) or "no arguments"
        return f"{name[:64]!r} {_complaint(first['type'], first['msg'])}; {self.name} takes {takes}"


def _compact(field: dict[str, Any]) -> dict[str, Any]:
    """Drop what a model does not need: titles, patterns, and `null` where leaving it out says the same."""
    options = cast("list[dict[str, Any]]", field.get("anyOf", []))
    chosen = next((option for option in options if option.get("type") != "null"), dict[str, Any]())
    both = {**chosen, **field}
    return {key: both[key] for key in _SHOWN if both.get(key) is not None}


def _complaint(kind: str, message: str) -> str:
    match kind.split("_"):
        case ["missing"]:
            return "is missing"
        case ["extra", "forbidden"]:
            return "is not an argument of this tool"
        case [wanted, "type" | "parsing" | "from", *_] if wanted in _JSON_TYPES:
            return f"has to be {_JSON_TYPES[wanted]}"
        case _:
            return f"is refused: {message[:1].lower()}{message[1:]}"
