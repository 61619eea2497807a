"""How each program is opened as an agent: our tools and hooks for this session only, by its own command line.

The user's files are not touched, and no token is in the words: the server reads the agent's own from the home.
"""

import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from console.mcp_install import hooks
from console.mcp_install.clients import CLIENTS, HOOK_WITHIN_S, MOMENTS
from wire.errors import Invalid
from wire.home import Home

SERVER = "queenpost"
TOOLS = f"mcp__{SERVER}"
"""All our tools, in a rule of Claude Code. A session that was woken must not wait for somebody to allow `recv`."""

WAIT_S = 20 * 86_400
"""How long a hook may wait; the client ends it then, and the next turn brings another one. A day count above 24 is more
milliseconds than a timer of Claude Code holds, and it would end the hook at once."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Who a session is."""

    agent: str
    home: Home

    @property
    def server(self) -> list[str]:
        """The command line of the server. It takes the agent once the program knows the tools."""
        return [
            sys.executable,
            "-P",
            "-m",
            "mcp_tools",
            "--agent",
            self.agent,
            "--home",
            str(self.home.root),
            "--attach",
        ]

    def hook(self, moment: str) -> str:
        """The command of a hook that tells of mail or settles."""
        return hooks.command(moment, self.agent, self.home)

    def waiting(self, mode: str) -> str:
        """The command of a hook that waits for mail, or only tells what happened. No shell stays around it."""
        program = str(_waiting_program())
        return "exec " + shlex.join([sys.executable, "-I", "-S", program, mode, self.agent, str(self.home.root)])


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the programs."""

    name: str
    title: str
    words: Callable[[Opened], list[str]]
    """What stands before the user's own words."""
    refused: Mapping[str, str]
    """Words of the user that make a session of ours impossible, and why."""
    refusing: Callable[[Sequence[str]], str | None]
    """Looks at the user's words as a whole."""
    wakes: str
    """How mail reaches it, for its user."""


def check_words(kind: Kind, words: Sequence[str]) -> None:
    """Refuse what would leave the session without its mail.

    Raises:
        Invalid: says which word, and what to do instead.
    """
    for word in words[: words.index("--") if "--" in words else len(words)]:
        if (why := kind.refused.get(word.partition("=")[0])) is not None:
            raise Invalid(f"{word.partition('=')[0]} cannot be given here: {why}")
    if (why := kind.refusing(words)) is not None:
        raise Invalid(why)


def _claude(opened: Opened) -> list[str]:
    entry = CLIENTS["claude"].entry(opened.server)
    waits = {"type": "command", "command": opened.waiting("wait"), "asyncRewake": True, "timeout": WAIT_S}
    # Else its model reads of an error of a hook.
    shown = {"rewakeSummary": "Queenpost: mail", "rewakeMessage": "From the fleet's post office:"}

    def of(event: str, *, waiting: bool) -> list[dict[str, Any]]:
        moment = MOMENTS.get(event)
        tells = {"type": "command", "command": opened.hook(moment), "timeout": HOOK_WITHIN_S} if moment else None
        return [{"hooks": [*([tells] if tells else []), *([{**waits, **shown}] if waiting else [])]}]

    settings = {
        "permissions": {"allow": [TOOLS]},
        "hooks": {
            "SessionStart": of("SessionStart", waiting=True),
            # So that one waits too after a turn that its user broke off: such a turn has no Stop.
            "UserPromptSubmit": of("UserPromptSubmit", waiting=True),
            "PostToolUse": of("PostToolUse", waiting=False),
            "Stop": of("Stop", waiting=True),
        },
    }
    # --mcp-config takes all words up to the next option, so it does not stand last.
    return ["--mcp-config", json.dumps({"mcpServers": {SERVER: entry}}), "--settings", json.dumps(settings)]


def _refusing_claude(words: Sequence[str]) -> str | None:
    """Look for another server by our name: of two the program takes the later one."""
    for at, word in enumerate(words):
        option, _, value = word.partition("=")
        if option != "--mcp-config":
            continue
        behind = [value] if value else list(_up_to_an_option(words[at + 1 :]))
        if any(SERVER in _servers_in(config) for config in behind):
            return f"this --mcp-config has a server {SERVER!r}, which is the name of ours; give it another name"
    return None


def _up_to_an_option(words: Sequence[str]) -> Sequence[str]:
    end = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    return words[:end]


def _servers_in(config: str) -> Mapping[str, Any]:
    """Read a file or a text as the program does; what it cannot read it says itself."""
    try:
        text = config if config.lstrip().startswith("{") else Path(config).read_text("utf-8")
        servers = json.loads(text)["mcpServers"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return servers if isinstance(servers, dict) else {}  # pyright: ignore[reportUnknownVariableType]  # any JSON


def _codex(opened: Opened) -> list[str]:
    entry = {**CLIENTS["codex"].entry(opened.server), "default_tools_approval_mode": "approve"}
    settings = {f"mcp_servers.{SERVER}.{key}": json.dumps(value) for key, value in entry.items()}
    moments = {"SessionStart": ["start"], "UserPromptSubmit": [], "PostToolUse": ["tool"], "Stop": ["stop"]}
    for event, tells in moments.items():
        commands = [opened.hook(moment) for moment in tells]
        commands += [opened.waiting("tell")] if event != "PostToolUse" else []
        listed = ", ".join(
            f'{{type="command", command={json.dumps(one)}, timeout={HOOK_WITHIN_S}}}' for one in commands
        )
        settings[f"hooks.{event}"] = f"[{{hooks=[{listed}]}}]"
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _refusing_codex(words: Sequence[str]) -> str | None:
    """Look for settings that would take the place of ours."""
    values = [value for word, value in pairwise(words) if word in {"-c", "--config"}]
    values += [word.partition("=")[2] for word in words if word.startswith("--config=")]
    for value in values:
        if value.startswith((f"mcp_servers.{SERVER}", "mcp_servers=", "hooks")):
            return (
                f"-c {value.partition('=')[0]} would take the place of what makes this session an agent; leave it out"
            )
    return None


def _waiting_program() -> Path:
    spec = find_spec("mcp_tools")
    if spec is None or spec.origin is None:
        raise Invalid("this installation is not whole: it has no mcp_tools; install queenpost again")
    return Path(spec.origin).parent / "hooks" / "waiting.py"


_NOT_HERE = "this opens a session that you attend; an agent that works by itself has a backend in queenpost.toml"
_NO_HOOKS = "it switches the hooks off by which the session is woken and its mail is settled"

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="claude",
            title="Claude Code",
            words=_claude,
            refused={
                "-p": _NOT_HERE,
                "--print": _NOT_HERE,
                "--bare": _NO_HOOKS,
                "--safe-mode": _NO_HOOKS,
                "--settings": "of two the program takes only the later one, and ours holds the hooks; put yours into "
                ".claude/settings.local.json",
            },
            refusing=_refusing_claude,
            wakes="woken when mail comes, also while idle",
        ),
        Kind(
            name="codex",
            title="Codex",
            words=_codex,
            refused={"exec": _NOT_HERE, "e": _NOT_HERE},
            refusing=_refusing_codex,
            wakes="woken when mail comes, also while idle. Codex asks once whether it may run our hooks",
        ),
    )
}
