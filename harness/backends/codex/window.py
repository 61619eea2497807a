"""A Codex at a terminal that logs in with an API key: its window takes none from us, its app server does.

So it comes in two halves (`wire.codex_server`): the key is told to the server over its socket, kept in its memory and
written into no file, as in the agent's turns; the window shows the session of that server.
"""

import json
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from harness.backends.codex.shapes import object_of, text_of
from harness.backends.protocol import NotStartedError
from wire.codex_server import comes_in_halves, served
from wire.errors import Unavailable
from wire.greeting import program_version
from wire.websocket import WebSocket, connected

ANSWERS_WITHIN_S = 30.0


@asynccontextmanager
async def logged_in(
    program: Sequence[str], words: Sequence[str], environment: Mapping[str, str], cwd: Path, key: str
) -> AsyncGenerator[list[str]]:
    """Have a server that is logged in while the body runs; gives the words that make Codex its window.

    Raises:
        NotStartedError: this Codex cannot be had so, or the server does not take the key.
    """
    if not await comes_in_halves(program, environment):
        raise NotStartedError(
            "missing_program", "this Codex takes no API key at a terminal; 0.169 does, install that or a later one"
        )
    with tempfile.TemporaryDirectory(prefix="qp-", ignore_cleanup_errors=True) as folder:
        async with served(program, words, environment, Path(folder, "codex.sock"), cwd=cwd) as server:
            if server is None:
                raise NotStartedError(
                    "missing_program", "`codex app-server` did not come to listen; are the agent's `args` right?"
                )
            await _log_in(server.socket, key)
            yield server.words


async def _log_in(path: Path, key: str) -> None:
    client = {"name": "queenpost", "title": "Queenpost", "version": program_version()}
    try:
        async with connected(path) as socket:
            with anyio.fail_after(ANSWERS_WITHIN_S):
                await _ask(socket, 1, "initialize", clientInfo=client, capabilities={})
                await socket.send(json.dumps({"method": "initialized"}))
                await _ask(socket, 2, "account/login/start", type="apiKey", apiKey=key)
    except (Unavailable, TimeoutError) as exc:
        why = exc.message if isinstance(exc, Unavailable) else "it does not answer"
        raise NotStartedError("auth", f"`codex app-server` did not take the agent's key: {why}") from exc


async def _ask(socket: WebSocket, number: int, method: str, **params: Any) -> None:
    await socket.send(json.dumps({"id": number, "method": method, "params": params}))
    while True:
        message = object_of(json.loads(await socket.receive()))
        if message.get("id") == number and "method" not in message:
            if "error" in message:
                raise Unavailable(text_of(object_of(message["error"]).get("message")))
            return
