"""The small MCP client, against the real server."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import anyio.to_thread
import pytest

from harness.scripted.frames import read_frames
from harness.scripted.mcp_client import McpClient, ToolError
from mcp_tools.bearers import Bearers
from mcp_tools.http import PATH, build_app, serve
from tests.fakes.desk import FakeDesk, letter
from wire.errors import Denied
from wire.inbox import InboxSend, InboxSent


@asynccontextmanager
async def served(desk: FakeDesk) -> AsyncGenerator[tuple[str, str]]:
    """Serve a desk's tools; gives address and bearer."""
    app = build_app(bearers := Bearers())
    token, stop = bearers.issue(desk), anyio.Event()
    async with anyio.create_task_group() as tasks:
        port = await tasks.start(serve, app, stop)
        yield f"http://127.0.0.1:{port}{PATH}", token
        stop.set()


async def call(client: McpClient, tool: str, wait_s: float = 0.0, **arguments: object) -> str:
    """Call a tool from a thread: the client blocks."""
    return await anyio.to_thread.run_sync(partial(client.call, tool, arguments, wait_s=wait_s))


async def test_a_tool_is_called_with_its_arguments() -> None:
    """Ours: in the protocol of 2026, without a handshake."""
    desk = FakeDesk()
    desk.answers[InboxSend] = InboxSent(id="m7", to="bob")
    with anyio.fail_after(10):
        async with served(desk) as (url, token):
            text = await call(McpClient(url, token), "send", to="bob", body="héllo\n☂", key="k1")
    assert text == "m7 to bob: queued"
    sent = desk.requests[0]
    assert isinstance(sent, InboxSend)
    assert (sent.to, sent.body, sent.key) == ("bob", "héllo\n☂", "k1")


async def test_a_refusal_is_an_error_with_its_words() -> None:
    """Ours: as a model would read it."""
    desk = FakeDesk()
    desk.answers[InboxSend] = Denied("you may write to the manager only")
    with anyio.fail_after(10):
        async with served(desk) as (url, token):
            client = McpClient(url, token)
            with pytest.raises(ToolError, match="denied: you may write to the manager only"):
                await call(client, "send", to="bob", body="hi")
            with pytest.raises(ToolError, match="there is no tool 'dance'"):
                await call(client, "dance")


async def test_mail_that_it_read_counts_as_written() -> None:
    """Ours: so a finished turn may ack it."""
    desk = FakeDesk()
    desk.put(letter(1, "one"), letter(2, "two"))
    with anyio.fail_after(10):
        async with served(desk) as (url, token):
            text = await call(McpClient(url, token), "recv_batch", max=5)
            await desk.settled.wait()
    assert [found.body for found in read_frames(text).letters] == ["one", "two"]
    assert desk.wrote == ["m1", "m2"]


async def test_a_parked_call_is_answered_as_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: the server turns a long call into server-sent events."""
    monkeypatch.setattr("mcp.server._streamable_http_modern._SSE_PING_INTERVAL", 0.05)
    desk = FakeDesk()
    texts: list[str] = []

    async def recv(url: str, token: str) -> None:
        texts.append(await call(McpClient(url, token), "recv", 30.0, wait_seconds=30))

    with anyio.fail_after(10):
        async with served(desk) as (url, token), anyio.create_task_group() as tasks:
            tasks.start_soon(recv, url, token)
            await desk.parked.wait()
            await anyio.sleep(0.2)
            desk.put(letter(1, "at last"))
    assert [found.body for found in read_frames(texts[0]).letters] == ["at last"]


async def test_a_wrong_bearer_is_refused() -> None:
    """Ours: said as what it is, not as a broken answer."""
    with anyio.fail_after(10):
        async with served(FakeDesk()) as (url, _):
            with pytest.raises(ToolError, match="answered 401"):
                await call(McpClient(url, "wrong"), "whoami")


async def test_nobody_listening_is_an_os_error() -> None:
    """Ours: the harness is gone; so will the program be."""
    with pytest.raises(OSError):
        await call(McpClient("http://127.0.0.1:9/mcp", "t"), "whoami")


def test_it_needs_nothing_but_the_standard_library() -> None:
    """Ours: it starts for each turn, so neither the MCP SDK nor pydantic may come along."""
    code = "import sys, json, harness.scripted.__main__; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=True, text=True)
    roots = {name.split(".")[0] for name in json.loads(run.stdout)}
    assert not roots & {"mcp", "pydantic", "anyio", "wire", "mcp_tools", "prompts", "asyncio"}
