"""The one way to write a value of an event as bytes, and the only one that is read back. Pure; knows no envelope.

The profile is JSON without what differs between implementations: no floats, no NaN, no integers beyond 2^53-1, no
repeated keys, no unpaired surrogates, and keys of a form that sorts alike by bytes, code points and UTF-16 units.
"""

import json
import re
from typing import Any, NoReturn

from wire.errors import Invalid

MAX_BYTES = 64 * 1024
MAX_DEPTH = 8
MAX_INT = 2**53 - 1
KEY_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"

_KEY = re.compile(KEY_PATTERN[1:-1])
_HOLDERS = (dict, list)
_WRITE = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, check_circular=False
).encode


class NotCanonical(Invalid):
    """The value, or the bytes, are outside the profile; the message names the first place."""


class _OutsideError(Exception):
    """Never leaves this module. Its place is put together on the way out: it costs nothing where all is well."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        self.parts: list[str] = []

    @property
    def place(self) -> str:
        return "$" + "".join(reversed(self.parts))


def canonical(value: object) -> bytes:
    """Give the bytes of a value: keys sorted, no blanks, everything beyond ASCII escaped.

    Two equal values give equal bytes; `read` gives the value back.

    Raises:
        NotCanonical: the value holds what the profile leaves out, or its bytes are more than `MAX_BYTES`.
    """
    check(value)
    return written(value)


def check(value: object) -> None:
    """See to it that a value is within the profile; how long it is, `written` says.

    Raises:
        NotCanonical: it holds what the profile leaves out.
    """
    try:
        _check(value, 1)
    except _OutsideError as exc:
        raise NotCanonical(f"{exc.place[:200]}: {exc.why}") from None


def written(value: object) -> bytes:
    """Give the bytes of a value that is within the profile already: `read` gave it, or `check` passed it.

    Raises:
        NotCanonical: its bytes are more than `MAX_BYTES`.
    """
    # A lone surrogate would be written as an escape that other languages refuse; `check` has refused it.
    data = _WRITE(value).encode("ascii")
    if len(data) > MAX_BYTES:
        raise NotCanonical(f"{len(data)} bytes as canonical JSON; an event has at most {MAX_BYTES}")
    return data


def read(data: bytes) -> dict[str, Any]:
    """Read an object from exactly the bytes that `canonical` would write for it, and from no others.

    Raises:
        NotCanonical: too long, not UTF-8, not JSON, not an object, a repeated key, outside the profile, or written
            otherwise. Never RecursionError, never a ValueError of the parser.
    """
    if len(data) > MAX_BYTES:
        raise NotCanonical(f"{len(data)} bytes; an event has at most {MAX_BYTES}")
    try:
        value = _READ(data.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise NotCanonical(f"not UTF-8 at byte {exc.start}") from None
    except RecursionError:
        raise NotCanonical(f"nested more than {MAX_DEPTH} deep") from None
    except json.JSONDecodeError as exc:
        raise NotCanonical(f"not JSON at character {exc.pos}: {exc.msg}") from None
    except ValueError:  # more digits than Python reads, which is slow
        raise NotCanonical("an integer of thousands of digits; the limit is 2^53-1") from None
    if not isinstance(value, dict):
        raise NotCanonical("not a JSON object")
    if canonical(value) != data:  # pyright: ignore[reportUnknownArgumentType]  # _check looks at each part
        raise NotCanonical("the same value is written differently as canonical JSON; sign exactly those bytes")
    return value  # pyright: ignore[reportUnknownVariableType]  # its keys were checked by _object


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set[str]()
        for key, _ in pairs:
            if key in seen:
                raise NotCanonical(f"the key {key[:64]!r} is there twice")
            seen.add(key)
    return found


def _refuse_number(text: str) -> NoReturn:
    raise NotCanonical(f"the number {text[:32]} is no integer; write it as text")


_READ = json.JSONDecoder(object_pairs_hook=_object, parse_float=_refuse_number, parse_constant=_refuse_number).decode


def _check(value: object, depth: int) -> None:
    if isinstance(value, str):
        if not value.isascii():
            _check_text(value)
    elif isinstance(value, bool) or value is None:
        pass
    elif isinstance(value, int):
        if not -MAX_INT <= value <= MAX_INT:
            raise _OutsideError("an integer beyond 2^53-1; write it as text")
    elif not isinstance(value, _HOLDERS):
        raise _OutsideError(f"{type(value).__name__} is not text, an integer, true, false, null, list or object")
    elif depth > MAX_DEPTH:
        raise _OutsideError(f"nested more than {MAX_DEPTH} deep")
    elif isinstance(value, dict):
        _check_object(value, depth)  # pyright: ignore[reportUnknownArgumentType]
    else:
        _check_list(value, depth)  # pyright: ignore[reportUnknownArgumentType]


def _check_object(value: dict[object, object], depth: int) -> None:
    for key, item in value.items():
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise _OutsideError(f"the key {str(key)[:64]!r} does not match {KEY_PATTERN}")
        try:
            _check(item, depth + 1)
        except _OutsideError as exc:
            exc.parts.append(f".{key}")
            raise


def _check_list(value: list[object], depth: int) -> None:
    for number, item in enumerate(value):
        try:
            _check(item, depth + 1)
        except _OutsideError as exc:
            exc.parts.append(f"[{number}]")
            raise


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise _OutsideError("an unpaired surrogate is no text") from None
