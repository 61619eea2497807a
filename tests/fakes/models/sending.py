"""How an answer goes over HTTP: whole or in pieces, late, cut off in the middle, or never."""

import json
from collections.abc import Mapping
from dataclasses import replace

import anyio
from starlette.types import Send

from tests.fakes.models.dialect import Asked, Dialect, Json
from tests.fakes.models.talk import Reply

_LOST_WORDS = "I was just about to"
"""Begun and never finished."""


async def send_reply(send: Send, dialect: Dialect, reply: Reply, asked: Asked) -> None:
    """Answer as the reply says. Returns without an end where the connection is to be cut."""
    failure = reply.failure
    if failure is not None and failure.kind not in {"disconnect", "silence"}:
        await _think(reply)
        refusal = dialect.refuse(failure)
        await send_json(send, refusal.status, refusal.body, refusal.headers)
    elif asked.stream:
        await _stream(send, dialect, reply, asked)
    else:
        await _think(reply)
        whole = json.dumps(dialect.whole(_begun(reply), asked)).encode()
        await _start(send, 200, {"content-type": "application/json", "content-length": str(len(whole))})
        await _body(send, whole if failure is None else whole[: len(whole) // 2], more=failure is not None)


async def send_json(send: Send, status: int, body: Json, headers: Mapping[str, str] | None = None) -> None:
    """Answer with one object."""
    await _start(send, status, {"content-type": "application/json", **(headers or {})})
    await _body(send, json.dumps(body).encode(), more=False)


async def _stream(send: Send, dialect: Dialect, reply: Reply, asked: Asked) -> None:
    """Send the headers, think, and send event by event; half of them where the connection is to be cut."""
    await _start(send, 200, {"content-type": "text/event-stream"})
    await _body(send, b"", more=True)
    await _think(reply)
    events = dialect.stream(_begun(reply), asked)
    whole = reply.failure is None
    for event in events if whole else events[: len(events) // 2]:
        await _body(send, event, more=True)
    if whole:
        await _body(send, b"", more=False)


def _begun(reply: Reply) -> Reply:
    return reply if reply.failure is None else replace(reply, text=reply.text or _LOST_WORDS)


async def _think(reply: Reply) -> None:
    if reply.after is not None:
        await reply.after.wait()
    if reply.failure is not None and reply.failure.kind == "silence":
        await anyio.sleep_forever()


async def _start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def _body(send: Send, data: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})
