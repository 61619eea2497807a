"""Frames of the link: one JSON object per line. Bytes to models and back, parsed once, at the edge.

It does no input or output; `wire.transport` moves the bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, TypeVar, Union, cast

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from wire import errors
from wire.fleet import Hello, Push, Welcome
from wire.model import Request, Result
from wire.ops import OPS, Op

MAX_FRAME_BYTES = 1024 * 1024
"""A longer line ends the connection: it cannot be skipped without reading it all."""
MAX_HELLO_BYTES = 4096

R = TypeVar("R", bound=BaseModel)

_OP_OF = {op.request: op for op in OPS.values()}


class BadFrame(errors.Invalid):
    """The line is no request. `request_id` tells to which request the answer belongs, None where it is unreadable."""

    def __init__(self, message: str, request_id: int | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.request_id = request_id


class UnknownOp(errors.Unknown):
    """A newer peer asked for something that this one does not have; the answer says so."""

    def __init__(self, op: object, request_id: int) -> None:
        super().__init__(f"unknown op {str(op)[:64]!r}; this broker is older than the caller, or the name is wrong")
        self.request_id = request_id


def decode_request(line: bytes) -> tuple[Op, Request]:
    """Parse one request line strictly.

    Raises:
        BadFrame: not JSON, not an object, or a field is wrong; names the field.
        UnknownOp: the op is not in the table.
    """
    try:
        request = _requests().validate_json(line)
    except ValidationError:
        return _decode_piecemeal(line)
    if "id" not in request.model_fields_set:
        return _decode_piecemeal(line)
    return _OP_OF[type(request)], request


@cache
def _requests() -> TypeAdapter[Request]:
    """Make the one parser for all requests: one pass from bytes to model. Only who is asked needs it."""
    annotated, union = cast("Any", Annotated), cast("Any", Union)  # the types come from the table, at run time
    return TypeAdapter(annotated[union[tuple(_OP_OF)], Field(discriminator="op")])


def _decode_piecemeal(line: bytes) -> tuple[Op, Request]:
    """Find out what is wrong with a line, and to which request the answer belongs."""
    frame = _object(line)
    request_id = frame.get("id")
    if not isinstance(request_id, int) or isinstance(request_id, bool) or not 0 <= request_id <= 2**53:
        raise BadFrame("a request needs an integer 'id' from 0 to 2^53")
    op = OPS.get(frame["op"]) if isinstance(frame.get("op"), str) else None
    if op is None:
        raise UnknownOp(frame.get("op"), request_id)
    try:
        return op, op.request.model_validate(frame)
    except ValidationError as exc:
        raise BadFrame(_what_is_wrong(exc), request_id) from None


def decode_hello(line: bytes) -> Hello:
    """Parse the first line of a connection.

    Raises:
        BadFrame: anything that is not a hello.
    """
    try:
        return Hello.model_validate(_object(line))
    except ValidationError as exc:
        raise BadFrame(f"the first frame has to be a hello: {_what_is_wrong(exc)}") from None


def _object(line: bytes) -> dict[str, Any]:
    try:
        frame = from_json(line, allow_inf_nan=False)
    except ValueError as exc:
        raise BadFrame(f"a frame is one JSON object in UTF-8 on one line: {str(exc)[:200]}") from None
    if not isinstance(frame, dict):
        raise BadFrame("a frame is one JSON object on one line")
    return frame  # pyright: ignore[reportUnknownVariableType]  # JSON objects have string keys


def _what_is_wrong(exc: ValidationError) -> str:
    """Name the first wrong field in words, without the input: it may be large or secret."""
    first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:100] or "request"
    more = f" (and {exc.error_count() - 1} more)" if exc.error_count() > 1 else ""
    return f"{where}: {first['msg']}{more}"


def encode(model: BaseModel) -> bytes:
    """Write a model as one line."""
    return to_json(model, by_alias=True, exclude_none=True) + b"\n"


def encode_request(request: Request, request_id: int, as_: str | None = None) -> bytes:
    """Write a request with its envelope."""
    if request.id or request.as_ is not None:
        request = request.model_copy(update={"id": 0, "as_": None})
    caller = b'"as":%s,' % to_json(as_) if as_ is not None else b""
    return b'{"id":%d,%s%s' % (request_id, caller, encode(request).removeprefix(b'{"id":0,'))


def encode_result(request_id: int, result: Result) -> bytes:
    """Write a good answer."""
    return b'{"id":%d,"ok":true,"result":%s}\n' % (request_id, to_json(result, exclude_none=True))


def encode_stored_result(request_id: int, result: bytes) -> bytes:
    """Write a good answer whose result was stored as JSON under a key."""
    return b'{"id":%d,"ok":true,"result":%s}\n' % (request_id, result)


def encode_error(request_id: int | None, error: errors.QueenpostError) -> bytes:
    """Write a refusal."""
    message = error.message.encode("utf-8", "backslashreplace").decode()  # a path may hold bytes that are no UTF-8
    body = {"code": error.code, "message": message, "details": error.details}
    return to_json({"id": request_id, "ok": False, "error": body}) + b"\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as a client sees it; `result` is still plain JSON."""

    id: int | None
    result: Mapping[str, Any] | None
    error: errors.QueenpostError | None = None


@dataclass(frozen=True, slots=True)
class Garbled:
    """A frame from a broker that cannot be understood."""

    why: str
    detail: dict[str, Any] = field(default_factory=dict[str, Any])


def decode_from_broker(line: bytes) -> Reply | Push | Welcome | Garbled:
    """Sort a frame that came from the broker. Never raises: a client must outlive a newer broker."""
    try:
        frame = _object(line)
        if "event" in frame:
            return Push.model_validate(frame)
        if "protocol" in frame:
            return Welcome.model_validate(frame)
        if frame.get("ok") is True:
            return Reply(frame["id"], frame["result"])
        error = frame["error"]
        return Reply(
            frame.get("id"),
            None,
            errors.from_wire(error["code"], error["message"], error.get("details") or {}),
        )
    except (errors.QueenpostError, ValidationError, KeyError, TypeError, AttributeError) as exc:
        return Garbled(str(exc)[:200])


def decode_result(op: Op, result: Mapping[str, Any]) -> Result:
    """Give the result of an op as its model; unknown fields are ignored."""
    return op.result.model_validate(result)
