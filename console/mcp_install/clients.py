"""The clients we know: where each keeps its servers, what an entry of it looks like, whose hooks we use.

Which of it was tried with the clients themselves stands in `docs/clients.md`. It reads and writes no file.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wire.errors import Invalid

Scope = Literal["project", "user"]
Form = Literal["json", "jsonc", "toml"]

WAIT_S = 300
"""What a client has to allow one tool call: recv waits for up to 180 s."""

HOOK_WITHIN_S = 5
"""What a client allows one hook; the program itself takes a second at most."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command was given."""

    folder: Path
    env: Mapping[str, str]

    @property
    def home(self) -> Path:
        """The folder of the user.

        Raises:
            Invalid: the environment does not say.
        """
        if not self.env.get("HOME"):
            raise Invalid("$HOME is not set, so your own configuration cannot be found; use --scope project")
        return Path(self.env["HOME"])

    def named(self, variable: str, otherwise: str) -> Path:
        """Give the folder that a variable names, else one of the user's."""
        return Path(self.env[variable]) if self.env.get(variable) else self.home / otherwise


Find = Callable[[Place], Path]


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of a client that say when a turn ends."""

    files: Mapping[Scope, Find]
    """Where they stand; perhaps in the file of its servers."""
    moments: Mapping[str, str]
    """Events of the client, and what `mcp_tools/hooks/session.py` calls them."""
    entry: Callable[[str], dict[str, Any]]
    """Makes the hook that runs this shell command."""
    start: str
    """What to do when they are installed."""


@dataclass(frozen=True, slots=True)
class Client:
    """One program that can attend to an agent."""

    name: str
    title: str
    form: Form
    table: str
    """Under which key its servers stand."""
    entry: Callable[[Sequence[str]], dict[str, Any]]
    """Makes the entry that starts this command."""
    files: Mapping[Scope, Find]
    """The first scope is the usual one."""
    start: str
    """What to do when it is installed."""
    hooks: Hooks | None = None
    """None where none are installed here."""
    without_hooks: str = ""
    """Why not."""


def _stdio(command: Sequence[str]) -> dict[str, Any]:
    return {"type": "stdio", "command": command[0], "args": list(command[1:])}


def _claude(command: Sequence[str]) -> dict[str, Any]:
    # Else its model sees only the names of the tools, and has to look each up before its first use.
    return {**_stdio(command), "alwaysLoad": True}


def _codex(command: Sequence[str]) -> dict[str, Any]:
    args = list(command[1:])
    return {"command": command[0], "args": args, "startup_timeout_sec": 20, "tool_timeout_sec": WAIT_S}


def _gemini(command: Sequence[str]) -> dict[str, Any]:
    return {"command": command[0], "args": list(command[1:]), "timeout": WAIT_S * 1000}


def _opencode(command: Sequence[str]) -> dict[str, Any]:
    # Of silence: while recv waits, progress is told every 10 s.
    return {"type": "local", "command": list(command), "enabled": True, "timeout": 20_000}


MOMENTS = {"SessionStart": "start", "PostToolUse": "tool", "Stop": "stop"}
"""Of Claude Code, and of Codex, which follows it."""


def _hook(command: str) -> dict[str, Any]:
    return {"type": "command", "command": command, "timeout": HOOK_WITHIN_S}


def _gemini_hook(command: str) -> dict[str, Any]:
    # Its name is what stands on the screen while it runs, and what `/hooks disable` takes. Milliseconds.
    return {"name": "queenpost", "type": "command", "command": command, "timeout": HOOK_WITHIN_S * 1000}


_GEMINI_FILES: dict[Scope, Find] = {
    "project": lambda place: place.folder / ".gemini/settings.json",
    "user": lambda place: place.home / ".gemini/settings.json",
}


def _claude_user(place: Place) -> Path:
    own = place.env.get("CLAUDE_CONFIG_DIR")
    return Path(own) / ".claude.json" if own else place.home / ".claude.json"


def _vscode_user(place: Place) -> Path:
    if sys.platform == "darwin":
        return place.home / "Library/Application Support/Code/User/mcp.json"
    return place.named("XDG_CONFIG_HOME", ".config") / "Code/User/mcp.json"


def _opencode_file(folder: Path) -> Path:
    with_comments = folder / "opencode.jsonc"
    return with_comments if with_comments.exists() else folder / "opencode.json"


CLIENTS: dict[str, Client] = {
    client.name: client
    for client in (
        Client(
            name="claude",
            title="Claude Code",
            form="json",
            table="mcpServers",
            entry=_claude,
            files={"project": lambda place: place.folder / ".mcp.json", "user": _claude_user},
            start="start `claude` in this folder and say yes to the server",
            hooks=Hooks(
                files={
                    "project": lambda place: place.folder / ".claude/settings.local.json",
                    "user": lambda place: place.named("CLAUDE_CONFIG_DIR", ".claude") / "settings.json",
                },
                moments=MOMENTS,
                entry=_hook,
                start="start `claude` in this folder and say yes to the server",
            ),
        ),
        Client(
            name="codex",
            title="Codex",
            form="toml",
            table="mcp_servers",
            entry=_codex,
            files={"user": lambda place: place.named("CODEX_HOME", ".codex") / "config.toml"},
            start="start `codex`; `/mcp` lists the server",
            hooks=Hooks(
                files={"user": lambda place: place.named("CODEX_HOME", ".codex") / "hooks.json"},
                moments=MOMENTS,
                entry=_hook,
                start="start `codex` and trust the hooks when it asks, before that they do not run; `/mcp` lists the "
                "server",
            ),
        ),
        Client(
            name="gemini",
            title="Gemini CLI",
            form="jsonc",
            table="mcpServers",
            entry=_gemini,
            files=_GEMINI_FILES,
            start="start `gemini` in this folder and trust it; `/mcp` lists the server",
            hooks=Hooks(
                files=_GEMINI_FILES,
                moments={"SessionStart": "start", "AfterTool": "tool", "AfterAgent": "stop"},
                entry=_gemini_hook,
                start="start `gemini` in this folder and trust it; `/mcp` and `/hooks` list the server and the hooks",
            ),
        ),
        Client(
            name="cursor",
            title="Cursor",
            form="jsonc",
            table="mcpServers",
            entry=_stdio,
            files={
                "project": lambda place: place.folder / ".cursor/mcp.json",
                "user": lambda place: place.home / ".cursor/mcp.json",
            },
            start="open this folder in Cursor and switch the server on in its settings",
            without_hooks="its hooks could not be tried with the program itself",
        ),
        Client(
            name="vscode",
            title="VS Code",
            form="jsonc",
            table="servers",
            entry=_stdio,
            files={"project": lambda place: place.folder / ".vscode/mcp.json", "user": _vscode_user},
            start="open this folder in VS Code and start the server from its list of MCP servers",
            without_hooks="its hooks could not be tried with the program itself",
        ),
        Client(
            name="opencode",
            title="opencode",
            form="jsonc",
            table="mcp",
            entry=_opencode,
            files={
                "project": lambda place: _opencode_file(place.folder),
                "user": lambda place: _opencode_file(place.named("XDG_CONFIG_HOME", ".config") / "opencode"),
            },
            start="start `opencode` in this folder",
            without_hooks="it has no hooks that are programs of their own, only plugins that run within it",
        ),
    )
}
