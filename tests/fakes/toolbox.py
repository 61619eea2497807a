"""Our tools as a program sees them from outside: each call is noted and answered, nothing is done."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import SocketAttribute, SocketStream

from harness.backends.tool_calls import ToolCalls

ANSWER = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "done"}]}})


@dataclass
class Toolbox:
    """Where they are, and what was called."""

    url: str = ""
    tools: ToolCalls = field(default_factory=ToolCalls)
    answers: anyio.Event = field(default_factory=anyio.Event)
    """Set: calls are answered at once."""

    async def serve(self, stream: SocketStream) -> None:
        """Answer one request."""
        async with stream:
            said = b""
            while b"\r\n\r\n" not in said:
                said += await stream.receive(65536)
            head, _, body = said.partition(b"\r\n\r\n")
            length = int(next(line for line in head.lower().split(b"\r\n") if b"content-length" in line).split(b":")[1])
            while len(body) < length:
                body += await stream.receive(65536)
            with self.tools.call(json.loads(body)["params"]["name"]):
                await self.answers.wait()
            reply = (
                f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n{ANSWER}"
            )
            await stream.send(reply.encode())


@asynccontextmanager
async def toolbox() -> AsyncGenerator[Toolbox]:
    """Serve on loopback."""
    made = Toolbox()
    made.answers.set()
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        port: int = listener.extra(SocketAttribute.local_port)  # noqa: S610  # not of Django
        made.url = f"http://127.0.0.1:{port}/mcp"
        tasks.start_soon(listener.serve, made.serve)
        yield made
        tasks.cancel_scope.cancel()
