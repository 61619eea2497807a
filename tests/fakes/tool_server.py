"""A small MCP server over stdio, without any SDK: one tool, `word`, that tells the value of an environment variable.

For tests of `mcp = "file.json"`: what it is given as environment and arguments is what it answers with.
"""

import json
import os
import sys
from typing import Any

VARIABLE = "TOOL_SERVER_WORD"
TOOL: dict[str, Any] = {
    "name": "word",
    "description": "Tell the word that this server was started with.",
    "inputSchema": {"type": "object", "properties": {}, "additionalProperties": False},
}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """Give the result of a request; None: there is no such method."""
    match method:
        case "initialize":
            info = {"name": "tool-server", "version": "1"}
            version = params.get("protocolVersion", "2025-06-18")
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        case "ping":
            return {}
        case "tools/list":
            return {"tools": [TOOL]}
        case "tools/call":
            words = " ".join([f"the word is {os.environ.get(VARIABLE, 'unset')}", *sys.argv[1:]])
            return {"content": [{"type": "text", "text": words}], "isError": False}
        case _:
            return None


def main() -> None:
    """Answer until stdin ends."""
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        result = answer(str(request.get("method")), request.get("params") or {})
        said: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        said |= {"error": {"code": -32601, "message": "no such method"}} if result is None else {"result": result}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
