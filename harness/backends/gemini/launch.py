"""How Gemini CLI is started: its command line, its environment, what it reads. No secret is in argv or in a file.

Settings of its highest rank are of no use here: it passes over a system settings file unless root owns the file and
every folder above it. What can be said by argument or by protocol is said so; the rest goes into the settings of a
folder of its own, and only there.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.backends.gemini.calls import as_object
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from harness.backends.servers import Server
from wire.settings import Permissions

SERVER = "queenpost"
"""Called so in every client: a tool is `mcp_queenpost_send` here."""
SHELL = "run_shell_command"
HOME = "GEMINI_CLI_HOME"
"""Names the folder in which its `.gemini` lies."""

MODES: dict[Permissions, str] = {"ask": "default", "edits": "auto_edit", "deny": "default", "bypass": "yolo"}
"""Denied is by whoever is asked: of a call that its policy denies, the model is told less."""

USUAL = {
    "GEMINI_CLI_NO_RELAUNCH": "true",  # else it starts itself a second time, for a larger heap: 145 MB and a second
    "NO_BROWSER": "true",  # a login that has expired is said, and opens no window
}
"""Set where the environment says nothing else."""
OWN_SETTINGS: dict[str, Any] = {
    "general": {
        "enableAutoUpdate": False,
        "enableAutoUpdateNotification": False,
        "maxAttempts": 3,  # of ten, which take four minutes: what is in the way is said, and tried again later
        "sessionRetention": {"enabled": False},  # it takes a session that was resumed once for an empty one
    },
    "privacy": {"usageStatisticsEnabled": False},
}
"""Stand in a folder of its own, unless its settings there say something else."""
POLICY_PRIORITY = 500
"""Of 999: above what it allows by itself, below what a policy of the user can say."""
ASKING_PRIORITY = 200
"""Above what it allows because a server may be there (100), below what `allowed_tools` allows."""
_TOOL = re.compile(r"(?P<name>[A-Za-z0-9_*-]+)(?:\((?P<prefix>.+)\))?")


def program_of(seat: Seat) -> list[str]:
    """Give the program, and what stands before its own arguments."""
    return list(seat.settings.command) or ["gemini"]


def environment_of(seat: Seat) -> dict[str, str]:
    """Give the program's environment.

    Raises:
        NotStartedError: a file of the agent's settings cannot be read.
    """
    environment = seat.environment()
    folder = seat.login().folder
    if folder is not None and HOME not in seat.own_environment():
        environment[HOME] = str(folder)
    return {**{name: value for name, value in USUAL.items() if name not in environment}, **environment}


def find(seat: Seat, environment: Mapping[str, str]) -> str:
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
            f"{program!r} was not found; install it with `npm install -g @google/gemini-cli`, "
            "or give its full path in `command`",
        )
    return found


def argv_of(seat: Seat, policies: list[Path], servers: Sequence[str] = ()) -> list[str]:
    """Give the command line; `servers` are the names of its own MCP servers."""
    settings = seat.settings
    return [
        *program_of(seat),
        "--acp",
        "--skip-trust",  # in a folder that is not trusted it attaches no MCP server
        *(f"--policy={path}" for path in policies),
        # allows its tools too, and keeps the user's servers out; those of the agent are asked for, by `write_policies`
        *(f"--allowed-mcp-server-names={name}" for name in (SERVER, *servers)),
        *("--approval-mode", MODES[settings.permissions]),
        *(("--model", settings.model) if settings.model else ()),
        *settings.args,
    ]


def server_of(seat: Seat) -> dict[str, Any]:
    """Give our MCP server as the protocol wants it: the token goes through a pipe, and nowhere else."""
    headers = [{"name": "Authorization", "value": f"Bearer {seat.mcp_token}"}]
    return {"type": "http", "name": SERVER, "url": seat.mcp_url, "headers": headers}


def further_of(seat: Seat, environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give the agent's own MCP servers as the protocol wants them, with their secrets: through a pipe as well.

    Raises:
        NotStartedError: their file is not as it should be.
    """
    return [_entry(one.expanded(environment)) for one in seat.servers(environment)]


def _entry(server: Server) -> dict[str, Any]:
    if server.url:
        return {"type": "http", "name": server.name, "url": server.url, "headers": _pairs(server.headers)}
    program = {"command": server.command, "args": list(server.args), "env": _pairs(server.env)}
    return {"name": server.name, **program}


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


# --- what it reads ----------------------------------------------------------------------------------


def write_settings(seat: Seat, environment: Mapping[str, str]) -> None:
    """Fill in the settings of a folder of its own; those of the user are left alone.

    Raises:
        NotStartedError: the folder cannot be written to.
    """
    login = seat.login()
    if login.folder is None or environment.get(HOME) != str(login.folder):
        return
    path = login.folder / ".gemini/settings.json"
    ours = dict(OWN_SETTINGS)
    if login.auth == "token":
        kind = "vertex-ai" if environment.get("GOOGLE_GENAI_USE_VERTEXAI") == "true" else "gemini-api-key"
        ours["security"] = {"auth": {"selectedType": kind}}
    try:
        there = as_object(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except ValueError:
        return  # with comments: somebody's own hand
    filled = _filled(there, ours)
    if filled != there:
        _write(path, json.dumps(filled, indent=2) + "\n")


def policy_of(seat: Seat) -> str:
    """Give what `allowed_tools` allows, as a policy.

    Raises:
        NotStartedError: an entry is none that the program knows.
    """
    return "\n".join(_rule(entry) for entry in seat.settings.allowed_tools)


def write_policies(seat: Seat, environment: Mapping[str, str]) -> list[Path]:
    """Write the policy; give it and the user's own, which it would take the place of.

    Raises:
        NotStartedError: it cannot be written; see `policy_of`.
    """
    asked = [] if seat.settings.permissions == "bypass" else [one.name for one in seat.servers(environment)]
    if not seat.settings.allowed_tools and not asked:
        return []
    path = seat.workspace.programs / "gemini-policy.toml"
    _write(path, "\n".join([policy_of(seat), *(_asking(name) for name in asked)]))
    home = environment.get(HOME) or environment.get("HOME") or str(Path.home())
    users = Path(home) / ".gemini/policies"
    return [path, *([users] if users.is_dir() else [])]


def _rule(entry: str) -> str:
    found = _TOOL.fullmatch(entry.strip())
    if found is None or (found["prefix"] and found["name"] not in (SHELL, "ShellTool")):
        raise NotStartedError(
            "missing_program", f"allowed_tools: {entry!r} has to be the name of a tool, or {SHELL}(first words)"
        )
    lines = ["[[rule]]", f"toolName = {json.dumps(SHELL if found['prefix'] else found['name'])}"]
    if found["prefix"]:
        lines.append(f"commandPrefix = {json.dumps(found['prefix'])}")
    return "\n".join([*lines, 'decision = "allow"', f"priority = {POLICY_PRIORITY}", ""])


def _asking(server: str) -> str:
    """Have the tools of a server asked for: that it is there at all would allow them."""
    lines = ["[[rule]]", f"mcpName = {json.dumps(server)}", 'toolName = "*"', 'decision = "ask_user"']
    return "\n".join([*lines, f"priority = {ASKING_PRIORITY}", ""])


def _filled(there: dict[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Put what is ours where nothing stands."""
    filled = dict(there)
    for name, value in ours.items():
        if isinstance(value, dict) and isinstance(filled.get(name, {}), dict):
            filled[name] = _filled(as_object(filled.get(name)), as_object(value))  # pyright: ignore[reportUnknownArgumentType]
        else:
            filled.setdefault(name, value)
    return filled


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as exc:
        raise NotStartedError("missing_program", f"{path} cannot be written: {exc.strerror}") from exc
