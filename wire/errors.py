"""The one error tree. A code is for programs, a message says to a person or a model what to do next.

It does not hold the wire form: `wire.codec` encodes errors, `broker.edge.dispatch` maps exceptions to them.
"""

from typing import Any, Literal, get_args

Code = Literal[
    "invalid",
    "unknown",
    "denied",
    "conflict",
    "stale",
    "closed",
    "limited",
    "full",
    "unavailable",
    "internal",
]
"""Few and stable: a caller may branch on them."""


class QueenpostError(Exception):
    """Something was refused; nothing that was accepted before is lost by it."""

    code: Code = "internal"

    def __init__(self, message: str, /, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details


class Invalid(QueenpostError):
    """The request itself is wrong; sending it again changes nothing."""

    code: Code = "invalid"


class Unknown(QueenpostError):
    """No such thing, or not the caller's: both get the same answer."""

    code: Code = "unknown"


class Denied(QueenpostError):
    """Known, but this principal may not."""

    code: Code = "denied"


class Conflict(QueenpostError):
    """Somebody else holds it, or the key was used with other content."""

    code: Code = "conflict"


class Stale(QueenpostError):
    """The epoch, turn or lease is no longer the current one; nothing was changed."""

    code: Code = "stale"


class Closed(QueenpostError):
    """It has already ended."""

    code: Code = "closed"


class Limited(QueenpostError):
    """Too fast or too many at once; `retry_after_ms` in the details says when to try again."""

    code: Code = "limited"


class Full(QueenpostError):
    """The inbox or the disk has no room; nothing was stored."""

    code: Code = "full"


class Unavailable(QueenpostError):
    """The broker cannot answer now; a retry with the same key is safe."""

    code: Code = "unavailable"


class Internal(QueenpostError):
    """A defect of ours. Its detail is in the log, under the correlation id of the message."""


_BY_CODE: dict[str, type[QueenpostError]] = {
    cls.code: cls for cls in (Invalid, Unknown, Denied, Conflict, Stale, Closed, Limited, Full, Unavailable, Internal)
}
CODES: tuple[str, ...] = get_args(Code)


def from_wire(code: str, message: str, details: dict[str, Any]) -> QueenpostError:
    """Give the exception that the other side meant; an unknown code (newer peer) becomes `Internal`."""
    return _BY_CODE.get(code, Internal)(message, **{str(k): v for k, v in details.items()})
