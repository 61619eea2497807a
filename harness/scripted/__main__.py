"""`python -P -m harness.scripted --state DIR SCRIPT ARGS…`: one turn of a scripted agent, prompt on stdin."""

import os
import sys
from pathlib import Path

from harness.scripted.agent import ScriptedAgent
from harness.scripted.loading import load
from harness.scripted.mcp_client import McpClient

USAGE = "usage: python -P -m harness.scripted --state DIR SCRIPT ARGS…  (with the prompt on stdin)"


def main(arguments: list[str]) -> int:
    """Follow the script; 0 when it returned, 2 when it was started wrongly."""
    match arguments:
        case ["--state", state, script, *args]:
            pass
        case _:
            sys.stderr.write(f"{USAGE}\n")
            return 2
    try:
        run = load(script)
        tools = McpClient(os.environ["QUEENPOST_MCP_URL"], os.environ["QUEENPOST_MCP_TOKEN"])
    except (LookupError, SyntaxError) as exc:
        sys.stderr.write(f"{exc}\n{USAGE}\n")
        return 2
    prompt = sys.stdin.buffer.read().decode(errors="replace")
    run(ScriptedAgent(prompt, tools, Path(state), args))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
