"""A small MCP client: calls tools of one server over streamable HTTP, in the protocol of 2026-07-28.

That era needs no handshake and no session: each call is one POST that says all there is to say, so a harness
that was restarted in between is not noticed. It does not list tools, and the server cannot call back.
"""

import http.client
import json
import urllib.parse
from typing import Any

PROTOCOL = "2026-07-28"
TIMEOUT_S = 60.0
LONGEST_ANSWER_BYTES = 4 * 1024 * 1024


class ToolError(Exception):
    """The tool refused; its text says what to do."""


class McpClient:
    """One server, one bearer, one connection at a time."""

    def __init__(self, url: str, token: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._path = parts.path or "/"
        self._token = token
        self._calls = 0

    def call(self, tool: str, arguments: dict[str, Any], *, wait_s: float = 0.0) -> str:
        """Call a tool and give its text. `wait_s` is how long the tool itself may park.

        Raises:
            ToolError: the tool or the server refused.
            OSError: the server is not there, or did not answer in time.
        """
        self._calls += 1
        answer = self._post(tool, self._request(tool, arguments), TIMEOUT_S + wait_s)
        if "error" in answer:
            raise ToolError(str(answer["error"].get("message", answer["error"])))
        result = answer["result"]
        text = "\n".join(part["text"] for part in result.get("content", []) if part.get("type") == "text")
        if result.get("isError"):
            raise ToolError(text)
        return text

    def _request(self, tool: str, arguments: dict[str, Any]) -> bytes:
        about_us = {
            "io.modelcontextprotocol/protocolVersion": PROTOCOL,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "queenpost-scripted", "version": "1"},
        }
        params = {"name": tool, "arguments": arguments, "_meta": about_us}
        frame = {"jsonrpc": "2.0", "id": self._calls, "method": "tools/call", "params": params}
        return json.dumps(frame).encode()

    def _post(self, tool: str, body: bytes, timeout_s: float) -> dict[str, Any]:
        connection = http.client.HTTPConnection(*self._address, timeout=timeout_s)
        try:
            connection.request("POST", self._path, body, self._headers(tool))
            reply = connection.getresponse()
            data = reply.read(LONGEST_ANSWER_BYTES)
        finally:
            connection.close()
        return _answer(reply.status, reply.getheader("content-type", ""), data)

    def _headers(self, tool: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": PROTOCOL,
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
        }


def _answer(status: int, content_type: str, data: bytes) -> dict[str, Any]:
    """Read the one answer out of a JSON body, or out of the stream that a parked call turns into."""
    texts = _events(data) if content_type.startswith("text/event-stream") else [data.decode()]
    for text in texts:
        try:
            frame = json.loads(text)
        except ValueError:
            continue
        if isinstance(frame, dict) and ("result" in frame or "error" in frame):
            return frame  # pyright: ignore[reportUnknownVariableType]  # JSON objects have string keys
    raise ToolError(f"the server answered {status} without a result")


def _events(data: bytes) -> list[str]:
    """Give the data of each server-sent event; one event may stretch over several lines."""
    blocks = data.decode().replace("\r\n", "\n").split("\n\n")
    return [
        "\n".join(line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:"))
        for block in blocks
    ]
