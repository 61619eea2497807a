"""How Codex is started: its command line, its environment, its settings. No secret is in argv, nothing is written."""

import os
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.backends.codex.rules import problem_of
from harness.backends.codex.servers import inline, secrets_of, table_of
from harness.backends.codex.shapes import object_of
from harness.backends.environment import MCP_TOKEN
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from wire.logins import KEYS
from wire.settings import AgentSettings, Permissions

BACKEND = "codex"
SERVER = "queenpost"
"""Called so in every client, unless the user's own configuration has another one of this name: Codex would mix them."""
SERVER_TOO = "queenpost_fleet"

WAIT_S = 300
"""What Codex has to allow one tool call: recv waits for up to 180 s."""
CONNECT_S = 20


@dataclass(frozen=True, slots=True)
class Mode:
    """A permission mode in the program's own terms."""

    approvals: str
    sandbox: str


MODES: dict[Permissions, Mode] = {
    "ask": Mode("on-request", "read-only"),
    "edits": Mode("on-request", "workspace-write"),
    "deny": Mode("never", "read-only"),
    "bypass": Mode("never", "danger-full-access"),
}
USUAL = (
    "features.goals=false",  # turns that no mail opened: `remind`
    "features.unbounded_connection_retries=false",  # it would wait for the network for ever, and not say so
    "check_for_update_on_startup=false",
    "notify=[]",  # the user's own program, told at the end of each turn
)
"""Settings that hold unless the agent's `args` say something else."""


def mode_of(settings: AgentSettings) -> Mode:
    """Give the mode; what `allowed_tools` names has to be asked for, or nobody could allow it."""
    mode = MODES[settings.permissions]
    return Mode("on-request", mode.sandbox) if settings.permissions == "deny" and settings.allowed_tools else mode


def program_of(seat: Seat) -> list[str]:
    """Give the program, and what stands before its own arguments."""
    return list(seat.settings.command) or ["codex"]


def environment_of(seat: Seat) -> dict[str, str]:
    """Give the program's environment.

    Raises:
        NotStartedError: a file of the agent's settings cannot be read, or the folder for its own login cannot be made.
    """
    environment = seat.environment()
    folder = seat.login().folder
    if folder is not None and "CODEX_HOME" not in seat.own_environment():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it starts only where the folder is there
        except OSError as exc:
            raise NotStartedError("missing_program", f"{folder} cannot be made: {exc.strerror}") from exc
        environment["CODEX_HOME"] = str(folder)
    for place, server in enumerate(seat.servers(environment)):
        environment |= secrets_of(server.expanded(environment), place)
    return environment


def key_of(seat: Seat, environment: Mapping[str, str]) -> str | None:
    """Give the API key that this agent logs in with; None: it uses a login that lies in its folder."""
    if seat.login().auth == "inherit":
        return None
    return next((environment[name] for name in KEYS[BACKEND] if environment.get(name)), None)


def find(seat: Seat, environment: Mapping[str, str]) -> None:
    """See to it that the program is there and its rules can be read.

    Raises:
        NotStartedError: it is nowhere on the PATH that it would have, or a rule is none.
    """
    program = program_of(seat)[0]
    local = seat.cwd / program
    if shutil.which(program, path=environment.get("PATH")) is None and not (
        local.is_file() and os.access(local, os.X_OK)
    ):
        raise NotStartedError(
            "missing_program",
            f"{program!r} was not found; install it with `npm install -g @openai/codex`, "
            "or give its full path in `command`",
        )
    if problem := problem_of(seat.settings.allowed_tools):
        raise NotStartedError("missing_program", problem)


def overrides(seat: Seat, environment: Mapping[str, str]) -> list[str]:
    """Give our settings as arguments: our MCP server, attached with the token that stands in the environment, and those
    of the agent's own.

    Raises:
        NotStartedError: one of its own servers cannot be put so.
    """
    others = _servers(environment)
    name = SERVER_TOO if SERVER in others else SERVER
    server = {
        "url": seat.mcp_url,
        "bearer_token_env_var": MCP_TOKEN,
        "required": True,  # else it works on without, and says so only now and then
        "startup_timeout_sec": CONNECT_S,
        "tool_timeout_sec": WAIT_S,
        "default_tools_approval_mode": "approve",
    }
    settings = [*USUAL, f"mcp_servers.{name}={inline(server)}"]
    settings += [f"mcp_servers.{other}.enabled=false" for other in others]
    for place, one in enumerate(seat.servers(environment)):
        if one.name in others:
            raise NotStartedError(
                "missing_program",
                f"mcp: your Codex configuration has a server {one.name!r} too; give this another name",
            )
        settings.append(f"mcp_servers.{one.name}={inline(table_of(one, place))}")
    if key_of(seat, environment) is not None:
        settings.append('cli_auth_credentials_store="ephemeral"')  # the key stays in memory
    return [part for setting in settings for part in ("-c", setting)]


def argv_of(seat: Seat, environment: Mapping[str, str]) -> list[str]:
    """Give the command line of the resident program."""
    return [*program_of(seat), "app-server", *overrides(seat, environment), *seat.settings.args]


def thread_of(seat: Seat) -> dict[str, Any]:
    """Give what a thread is begun or resumed with."""
    mode = mode_of(seat.settings)
    asked: dict[str, Any] = {"cwd": str(seat.cwd), "approvalPolicy": mode.approvals, "sandbox": mode.sandbox}
    return {**asked, **({"model": seat.settings.model} if seat.settings.model else {}), "approvalsReviewer": "user"}


def argv_of_exec(seat: Seat, environment: Mapping[str, str], thread: str | None) -> list[str]:
    """Give the command line of one turn in a process of its own; the prompt comes on stdin."""
    settings = seat.settings
    mode = mode_of(settings)
    return [
        *(*program_of(seat), "exec", "--json", "--skip-git-repo-check", "--sandbox", mode.sandbox),
        *overrides(seat, environment),
        *("-c", f'approval_policy="{mode.approvals}"'),
        *(("--model", settings.model) if settings.model else ()),
        *settings.args,
        *(("resume", thread) if thread else ()),
        "-",
    ]


def _servers(environment: Mapping[str, str]) -> list[str]:
    """Give the names of the MCP servers in the user's own configuration: they are not the agent's."""
    home = environment.get("CODEX_HOME") or Path(environment.get("HOME") or "~").expanduser() / ".codex"
    try:
        found = tomllib.loads((Path(home) / "config.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there; or broken, which the program says better
        return []
    return [name for name in object_of(found.get("mcp_servers")) if name]
