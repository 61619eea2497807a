"""How Claude Code is started: its command line, its environment, its list of MCP servers. No secret is in argv."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from harness.backends.environment import MCP_TOKEN
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from harness.backends.servers import Server
from wire.settings import Permissions

SERVER = "queenpost"
"""Called so in every client: a tool is `mcp__queenpost__send`."""

MODES: dict[Permissions, str] = {
    "ask": "default",
    "edits": "acceptEdits",
    "deny": "dontAsk",
    "bypass": "bypassPermissions",
}

UNWANTED = (
    *("SendMessage", "ListAgents"),  # its own way to other sessions, past the broker
    *("CronCreate", "CronDelete", "CronList", "ScheduleWakeup", "Monitor"),  # turns that no mail opened: `remind`
    "AskUserQuestion",  # there is nobody at its terminal: `ask`
    *("EnterPlanMode", "ExitPlanMode"),  # would change what `permissions` says
)
"""Tools of its own that a hosted agent does not get."""

USUAL = {
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",  # a turn is over when its result comes
    "CLAUDE_CODE_MAX_RETRIES": "3",  # of ten that take minutes; what is in the way is said, and tried again later
}
"""Set where the agent's settings say nothing else."""


def program_of(seat: Seat) -> list[str]:
    """Give the program, and what stands before its own arguments."""
    return list(seat.settings.command) or ["claude"]


def environment_of(seat: Seat) -> dict[str, str]:
    """Give the program's environment.

    Raises:
        NotStartedError: `env_file` cannot be read.
    """
    environment = seat.environment()
    folder = seat.login().folder
    if folder is not None and "CLAUDE_CONFIG_DIR" not in seat.own_environment():
        environment["CLAUDE_CONFIG_DIR"] = str(folder)
    return {**{name: value for name, value in USUAL.items() if name not in environment}, **environment}


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
            f"{program!r} was not found; install it with `npm install -g @anthropic-ai/claude-code`, "
            "or give its full path in `command`",
        )
    return found


def refuse_bypass(seat: Seat, environment: dict[str, str]) -> None:
    """See to it that the program will take `bypass`: as root it does not.

    Raises:
        NotStartedError: it will not.
    """
    if seat.settings.permissions == "bypass" and os.geteuid() == 0 and environment.get("IS_SANDBOX") != "1":
        raise NotStartedError(
            "missing_program",
            'Claude Code refuses `permissions = "bypass"` as root; run the fleet as another user, '
            'or say that this machine is a sandbox: env = { IS_SANDBOX = "1" }',
        )


def write_servers(seat: Seat, name: str = "claude-mcp.json") -> Path:
    """Write the list of MCP servers; the token is named in it, and comes from the environment, as further secrets do.

    Raises:
        NotStartedError: the file with the agent's own servers is not as it should be.
    """
    further = {one.name: _entry(one) for one in seat.servers(environment_of(seat))}
    server = {
        "type": "http",
        "url": seat.mcp_url,
        "headers": {"Authorization": f"Bearer ${{{MCP_TOKEN}}}"},
        "alwaysLoad": True,
    }
    path = seat.workspace.programs / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps({"mcpServers": {**further, SERVER: server}}, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def _entry(server: Server) -> dict[str, Any]:
    """Put a server as the program takes it; it reads references to the environment as we do."""
    if server.url:
        return {"type": "http", "url": server.url, "headers": dict(server.headers)}
    return {"type": "stdio", "command": server.command, "args": list(server.args), "env": dict(server.env)}


def argv_of(seat: Seat, session: str, servers: Path, *, resume: bool) -> list[str]:
    """Give the command line for one session, a new one or one to go on with."""
    settings = seat.settings
    return [
        *program_of(seat),
        *("-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"),
        "--replay-user-messages",
        *("--strict-mcp-config", "--mcp-config", str(servers)),
        *("--permission-mode", MODES[settings.permissions], "--permission-prompt-tool", "stdio"),
        *("--allowedTools", f"mcp__{SERVER}", *settings.allowed_tools),
        *("--disallowedTools", *UNWANTED),
        *(("--model", settings.model) if settings.model else ()),
        *(("--resume", session) if resume else ("--session-id", session)),
        *settings.args,
    ]
