"""How `opencode serve` is started: its command line, its environment, its configuration. No secret is in argv."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.backends.environment import MCP_TOKEN
from harness.backends.opencode.rules import SERVER, as_configuration, rules_for
from harness.backends.opencode.shapes import object_of
from harness.backends.opencode.strays import GUARD
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from harness.backends.servers import Server

USER = "opencode"
PASSWORD = "OPENCODE_SERVER_PASSWORD"  # noqa: S105  # the name of the variable
CONTENT = "OPENCODE_CONFIG_CONTENT"
PLUGIN = "@opencode-ai/plugin"
TOOL_MS = 240_000
"""Longer than any tool of ours waits."""

USUAL = {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_TERMINAL_TITLE": "1"}
"""Set where the agent's settings say nothing else."""
FOLDERS = {"XDG_DATA_HOME": "data", "XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state"}
"""Where it keeps its login, its settings, its sessions. It knows no variable of its own for them."""


def program_of(seat: Seat) -> list[str]:
    """Give the program, and what stands before its own arguments."""
    return list(seat.settings.command) or ["opencode"]


def argv_of(seat: Seat) -> list[str]:
    """Give the command line of the server: on loopback, at a port that is free."""
    return [
        "/bin/sh",
        "-c",
        GUARD,
        "sh",
        *program_of(seat),
        "serve",
        "--hostname",
        "127.0.0.1",
        "--port",
        "0",
        *seat.settings.args,
    ]


def environment_of(seat: Seat, password: str) -> dict[str, str]:
    """Give the program's environment, with its configuration in it.

    Raises:
        NotStartedError: `env_file` cannot be read, or the settings are not what the program takes.
    """
    environment, own = seat.environment(), seat.own_environment()
    if (folder := seat.login().folder) is not None:
        environment |= {name: str(folder / part) for name, part in FOLDERS.items() if name not in own}
    environment.pop("OPENCODE_PERMISSION", None)  # would go before the rules of `permissions`
    configuration = configuration_of(seat, environment.get(CONTENT), seat.servers(environment), environment)
    return {
        **{name: value for name, value in USUAL.items() if name not in environment},
        **environment,
        "OPENCODE_SERVER_USERNAME": USER,
        PASSWORD: password,
        CONTENT: json.dumps(configuration),
    }


def configuration_of(
    seat: Seat, given: str | None, servers: Sequence[Server] = (), environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Put ours over what the agent brings. The token is named in it, and comes from the environment.

    It goes into a variable, and so what `servers` refer to may stand in it.

    Raises:
        NotStartedError: what it brings is no JSON object, or the settings are not what the program takes.
    """
    brought = _read(given)
    settings = seat.settings
    server = {
        "type": "remote",
        "url": seat.mcp_url,
        "headers": {"Authorization": f"Bearer {{env:{MCP_TOKEN}}}"},
        "oauth": False,  # would take a refusal as the wish for a login in a browser
        "enabled": True,
        "timeout": TOOL_MS,
    }
    model_of(seat)
    return {
        **brought,
        **({"model": settings.model} if settings.model else {}),
        "autoupdate": False,
        "share": "disabled",
        "permission": as_configuration(rules_for(settings.permissions, settings.allowed_tools)),
        "mcp": {
            **object_of(brought.get("mcp")),
            **{one.name: _entry(one.expanded(environment or {})) for one in servers},
            SERVER: server,
        },
    }


def _entry(server: Server) -> dict[str, Any]:
    """Put a server as the program takes it."""
    if server.url:
        return {"type": "remote", "url": server.url, "headers": dict(server.headers), "oauth": False, "enabled": True}
    command = [server.command, *server.args]
    return {"type": "local", "command": command, "environment": dict(server.env), "enabled": True}


def model_of(seat: Seat) -> dict[str, str] | None:
    """Give the model as the API takes it; None: whichever the program chooses.

    Raises:
        NotStartedError: its provider is not named.
    """
    if not seat.settings.model:
        return None
    provider, slash, model = seat.settings.model.partition("/")
    if not (provider and slash and model):
        raise NotStartedError("bad_model", f"model {seat.settings.model!r}: opencode wants `provider/model`")
    return {"providerID": provider, "modelID": model}


def furnish(folder: Path) -> None:
    """Make a configuration folder of its own say that it has what plugins need.

    The program would fetch it from a registry at each first start: 60 MB, and nobody here has a plugin.
    """
    configuration = folder / FOLDERS["XDG_CONFIG_HOME"] / "opencode"
    if (configuration / "package.json").exists():
        return
    needed = {"dependencies": {PLUGIN: "*"}}
    lock = {"lockfileVersion": 3, "packages": {"": needed}}
    with suppress(OSError):  # then it fetches
        (configuration / "node_modules").mkdir(mode=0o700, parents=True, exist_ok=True)
        (configuration / "package-lock.json").write_text(json.dumps(lock), encoding="utf-8")
        (configuration / "package.json").write_text(json.dumps(needed), encoding="utf-8")


def find(seat: Seat, environment: dict[str, str]) -> str:
    """Give where the program is.

    Raises:
        NotStartedError: nowhere on the PATH that it would have.
    """
    program = program_of(seat)[0]
    found = shutil.which(program, path=environment.get("PATH"))
    if found is None and (seat.cwd / program).is_file() and os.access(seat.cwd / program, os.X_OK):
        found = str(seat.cwd / program)
    if found is None:
        raise NotStartedError(
            "missing_program",
            f"{program!r} was not found; install it with `npm install -g opencode-ai`, "
            "or give its full path in `command`",
        )
    return found


def _read(given: str | None) -> dict[str, Any]:
    try:
        found: object = json.loads(given) if given else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NotStartedError("missing_program", f"{CONTENT} of the agent is no JSON object; correct it in its `env`")
    return object_of(found)  # pyright: ignore[reportUnknownArgumentType]
