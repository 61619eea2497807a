"""MCP servers of an agent in Codex's own terms. Its settings are arguments, which anybody on the machine can read: what
may be secret goes through variables of its environment, and the argument only names them.
"""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from harness.backends.protocol import NotStartedError
from harness.backends.servers import Server, refers

SHELL = "/bin/sh"
CONNECT_S = 30


def secrets_of(server: Server, place: int) -> dict[str, str]:
    """Give the variables that hold what may be secret of a server, which is `expanded` already."""
    values = [*server.env.values(), *server.headers.values(), *server.args]
    return {_variable(place, number): value for number, value in enumerate(values)}


def table_of(server: Server, place: int) -> dict[str, Any]:
    """Give the settings of a server.

    Raises:
        NotStartedError: its address or its program refers to the environment: that would have to stand in an argument.
    """
    if refers(server.url) or refers(server.command):
        raise NotStartedError(
            "missing_program",
            f"mcp: server {server.name!r}: Codex takes no ${{…}} in command or url; use args, env or headers",
        )
    common = {"startup_timeout_sec": CONNECT_S, "required": False}
    if server.url:
        headers = {name: _variable(place, number) for number, name in enumerate(server.headers)}
        return {"url": server.url, **({"env_http_headers": headers} if headers else {}), **common}
    if not server.env and not any(refers(arg) for arg in server.args):
        return {"command": server.command, "args": list(server.args), **common}
    known = [*(_variable(place, number) for number in range(len(server.env) + len(server.args)))]
    return {"command": SHELL, "args": ["-c", _script(server, place)], "env_vars": known, **common}


def inline(value: object) -> str:
    """Write a value as TOML on one line."""
    if isinstance(value, Mapping):
        found: Mapping[str, object] = value  # pyright: ignore[reportUnknownVariableType]
        return "{" + ", ".join(f"{_key(name)}={inline(one)}" for name, one in found.items()) + "}"
    if isinstance(value, list):
        items: list[object] = value  # pyright: ignore[reportUnknownVariableType]
        return "[" + ", ".join(inline(one) for one in items) + "]"
    return json.dumps(value, ensure_ascii=False)


def _script(server: Server, place: int) -> str:
    """Give the script that puts the server's environment and arguments in their place, and becomes the server."""
    lines = [f'export {name}="${_variable(place, number)}"' for number, name in enumerate(server.env)]
    words = [shlex.quote(server.command)]
    for number, arg in enumerate(server.args, start=len(server.env)):
        words.append(f'"${_variable(place, number)}"' if refers(arg) else shlex.quote(arg))
    return "; ".join([*lines, f"exec {' '.join(words)}"])


def _variable(place: int, number: int) -> str:
    return f"QUEENPOST_SERVER_{place}_{number}"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)
