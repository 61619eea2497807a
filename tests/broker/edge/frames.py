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


async def events(line: RawLine) -> list[tuple[str, str | None]]:
    """Give the events, each with its agent, that were sent to a connection so far and not read yet."""
    await line.send(b'{"id":99,"op":"fleet.ping"}\n')
    told: list[tuple[str, str | None]] = []
    while "event" in (frame := await line.frame()):
        told.append((frame["event"], frame.get("agent")))
    assert frame["id"] == 99
    return told
