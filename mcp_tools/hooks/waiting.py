"""A hook that waits until its session has a reason to look at its mail: how `queenpost claude` wakes one that is idle.

`python -I -S waiting.py wait|tell AGENT HOME`, the client's JSON on stdin. `wait` ends with 2 and a sentence on stderr
once there is mail, which wakes a client that runs it with `asyncRewake`. It ends with 0, in silence, once the session
is over or another one waits in its place. `tell` says what happened in the session, and waits for nothing.

It decides nothing and knows no broker: both are the business of `console.session`, in the process that opened the
session and whose end is felt here at once. It waits in the kernel and takes no processor time.
"""

from __future__ import annotations

import json
import os
import socket
import sys

STDERR = 2
WAKE = 2
"""The exit code that wakes a model."""

CONNECT_WITHIN_S = 2.0


def main(arguments: list[str]) -> int:
    """Say what happened, wait if that is what we are for, and give the exit code."""
    # Ours is behind the standard library: none of its names can be taken from it.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from mcp_tools.hooks import session  # noqa: PLC0415  # the program is started without any path of ours

    mode, agent, home = arguments
    heard = session.listen()
    if session.is_of_somebody_else(agent):
        return 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(CONNECT_WITHIN_S)
        door.connect(_door(home, agent))
        said = {
            "waits": mode == "wait",
            "event": str(heard.get("hook_event_name"))[:64],
            "session": str(heard.get("session_id"))[:64],
            "source": str(heard.get("source"))[:64],
            "again": heard.get("stop_hook_active") is True,
        }
        door.sendall(json.dumps(said).encode() + b"\n")
        if mode != "wait":
            return 0
        door.settimeout(None)
        count = door.recv(32)
    if not count:
        return 0
    os.write(STDERR, session.sentence(int(count)).encode())
    return WAKE


def _door(home: str, agent: str) -> str:
    """Find the process that opened the session, as `console.session.door` notes it."""
    with open(os.path.join(home, "run", f"door-{agent}"), encoding="utf-8") as note:
        return note.read().strip()


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except Exception:  # noqa: BLE001  # whatever it is: the session goes on, and there is nobody to tell
        code = 0
    sys.exit(code)
