"""Frames as the bare line of a test sees them."""

from typing import Any

from tests.scenarios.fleet import RawLine

PING = {"id": 7, "op": "fleet.ping"}


def error_of(frame: dict[str, Any]) -> tuple[object, str]:
    """Give the request id and the code of a refusal."""
    assert frame["ok"] is False
    return frame["id"], frame["error"]["code"]


async def still_works(line: RawLine) -> bool:
    """Say whether a connection still answers."""
    return (await line.ask(PING))["ok"]
