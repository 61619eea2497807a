"""Claude Code at a terminal, in the agent's own session: with its tools, its login, its permissions."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.backends.claude import launch
from harness.backends.claude.shapes import object_of
from harness.backends.door import Door
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from harness.backends.session_file import Session
from wire.private_files import write_secret

UNWANTED = tuple(tool for tool in launch.UNWANTED if tool not in ("AskUserQuestion", "EnterPlanMode", "ExitPlanMode"))
"""Somebody sits at this terminal who can be asked."""
KEY_CHARACTERS = 20
"""By the end of a key it knows which ones it may use."""


def door(seat: Seat, session: Session, *, fork: bool) -> Door:
    """Give the start of the program in this session, or in a copy of it.

    Raises:
        NotStartedError: it cannot be started.
    """
    environment = launch.environment_of(seat)
    launch.find(seat, environment)
    launch.refuse_bypass(seat, environment)
    introduce(seat, environment)
    settings = seat.settings
    servers = launch.write_servers(seat, "claude-mcp-terminal.json")
    noted = seat.workspace.programs / "claude-terminal.json"
    noted.unlink(missing_ok=True)
    follows = not fork and "--settings" not in settings.args
    argv = [
        *launch.program_of(seat),
        *("--resume", session.id, *(["--fork-session"] if fork else [])),
        *("--strict-mcp-config", "--mcp-config", str(servers)),
        *("--permission-mode", launch.MODES[settings.permissions]),
        *("--allowedTools", f"mcp__{launch.SERVER}", *settings.allowed_tools, *session.allowed),
        *("--disallowedTools", *UNWANTED),
        *(("--model", settings.model) if settings.model else ()),
        *(("--settings", json.dumps(_telling(noted))) if follows else ()),
        *settings.args,
    ]
    return Door(argv, seat.cwd, environment, left=partial(left, noted))


def left(noted: Path, session: Session) -> Session | None:
    """Say with which session the agent goes on: `/clear` begins another one; one that was only visited is not its own.

    None: there is nothing yet to go on with.
    """
    try:
        told = object_of(json.loads(noted.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return session
    found = str(told.get("session_id") or "")
    if found in ("", session.id) or told.get("source") == "resume":
        return session
    if not Path(str(told.get("transcript_path"))).is_file():
        return None
    return replace(session, id=found, spent_usd=0.0, allowed=())


def introduce(seat: Seat, environment: Mapping[str, str]) -> None:
    """Answer, in a folder of its own, what the program asks at its first terminal: the agent works there already.

    Raises:
        NotStartedError: it cannot be written.
    """
    folder = seat.login().folder
    if folder is None or environment.get("CLAUDE_CONFIG_DIR") != str(folder):
        return
    path = folder / ".claude.json"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = object_of(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
        write_secret(
            path, json.dumps(_introduced(there, str(seat.cwd), environment.get("ANTHROPIC_API_KEY")), indent=2)
        )
    except ValueError:
        return  # it mends that by itself
    except OSError as exc:
        raise NotStartedError("missing_program", f"{path} cannot be written: {exc.strerror}") from exc


def _introduced(there: dict[str, Any], cwd: str, key: str | None) -> dict[str, Any]:
    projects = object_of(there.get("projects"))
    answers = object_of(there.get("customApiKeyResponses"))
    approved = [str(one) for one in answers.get("approved", [])]
    if key and key[-KEY_CHARACTERS:] not in approved:
        approved.append(key[-KEY_CHARACTERS:])
    return {
        "theme": "dark",
        **there,
        "hasCompletedOnboarding": True,
        "customApiKeyResponses": {"rejected": [], **answers, "approved": approved},
        "projects": {**projects, cwd: {**object_of(projects.get(cwd)), "hasTrustDialogAccepted": True}},
    }


def _telling(noted: Path) -> dict[str, Any]:
    """Have it say which session it works in, whenever that changes."""
    path = shlex.quote(str(noted))
    command = f"umask 077; cat > {path}.new && mv {path}.new {path}"
    return {"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": command}]}]}}
