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
_WRITE = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, check_circular=False
).encode


class NotCanonical(Invalid):
    """The value, or the bytes, are outside the profile; the message names the first place."""


def canonical(value: object) -> bytes:
    """Give the bytes of a value: keys sorted, no blanks, everything beyond ASCII escaped.

    Two equal values give equal bytes; `read` gives the value back.

    Raises:
        NotCanonical: the value holds what the profile leaves out, or its bytes are more than `MAX_BYTES`.
    """
    _check(value, "$", 1)
    return written(value)


def written(value: object) -> bytes:
    """Give the bytes of a value that is within the profile already: `read` gave it, or `canonical` took it.

    Raises:
        NotCanonical: its bytes are more than `MAX_BYTES`.
    """
    # A lone surrogate would be written as an escape that other languages refuse; _check has refused it.
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
        text = data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except UnicodeDecodeError as exc:
        raise NotCanonical(f"not UTF-8 at byte {exc.start}") from None
    except RecursionError:
        raise NotCanonical(f"nested more than {MAX_DEPTH} deep") from None
    except json.JSONDecodeError as exc:
        raise NotCanonical(f"not JSON at character {exc.pos}: {exc.msg}") from None
    if not isinstance(value, dict):
        raise NotCanonical("not a JSON object")
    if canonical(value) != data:  # pyright: ignore[reportUnknownArgumentType]  # _check looks at each part
        raise NotCanonical("the same value is written differently as canonical JSON; sign exactly those bytes")
    return value  # pyright: ignore[reportUnknownVariableType]  # its keys were checked by _object


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise NotCanonical(f"the key {key[:64]!r} is there twice")
        found[key] = value
    return found


def _integer(digits: str) -> int:
    if len(digits) > len(str(-MAX_INT)):  # before int(): thousands of digits are a ValueError, or slow
        raise NotCanonical(f"an integer of {len(digits)} characters; the limit is 2^53-1")
    return int(digits)


def _refuse_number(text: str) -> NoReturn:
    raise NotCanonical(f"the number {text[:32]} is no integer; write it as text")


def _check(value: object, where: str, depth: int) -> None:
    if depth > MAX_DEPTH and isinstance(value, dict | list):
        raise NotCanonical(f"{where[:200]}: nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        if not value.isascii():
            _check_text(value, where)
    elif isinstance(value, dict):
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                raise NotCanonical(f"{where}: the key {str(key)[:64]!r} does not match {KEY_PATTERN}")  # pyright: ignore[reportUnknownArgumentType]
            _check(item, f"{where}.{key}", depth + 1)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, list):
        for number, item in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            _check(item, f"{where}[{number}]", depth + 1)  # pyright: ignore[reportUnknownArgumentType]
    elif value is None or isinstance(value, bool):
        pass
    elif not isinstance(value, int):
        raise NotCanonical(
            f"{where}: {type(value).__name__} is not text, an integer, true, false, null, list or object"
        )
    elif not -MAX_INT <= value <= MAX_INT:
        raise NotCanonical(f"{where}: an integer beyond 2^53-1; write it as text")


def _check_text(text: str, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotCanonical(f"{where}: an unpaired surrogate is no text") from None
