"""The first line of `queenpost link`: who is at the far end of an ssh connection, before any frame of the link.

Neither models nor an event loop are imported here: the far end has to start quickly.
"""

import json
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

PROTOCOL = 1
"""Raised only by a change that an older peer cannot ignore."""

PROGRAM = "queenpost"


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the far end says of itself. Only the two ends of one ssh connection see it."""

    protocol: int
    version: str
    home: str
    token: str | None = None
    """Of the operator or agent whose file lies there; None where it was not asked for."""


def encode_greeting(greeting: Greeting) -> bytes:
    """Write it as one line."""
    said = {key: value for key, value in asdict(greeting).items() if value is not None}
    return json.dumps({"link": PROGRAM, **said}).encode() + b"\n"


def decode_greeting(line: bytes) -> Greeting | None:
    """Read it; None for any other line. What a newer far end says beyond it is ignored."""
    try:
        said = cast("dict[str, Any]", json.loads(line))
        if said["link"] != PROGRAM:
            return None
        token = said.get("token")
        return Greeting(int(said["protocol"]), str(said["version"]), str(said["home"]), token and str(token))
    except (ValueError, KeyError, TypeError):
        return None


def program_version() -> str:
    """Give the version of the installed package."""
    try:
        return version(PROGRAM)
    except PackageNotFoundError:  # run from a tree that was never installed
        return "0+unknown"
