"""The programs by backend: what logs them in, what tells whether they are, and where they keep it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LoginProgram:
    """One program, as far as its login goes."""

    program: str
    login: tuple[str, ...]
    """Arguments of the command that logs in, interactively."""
    status: tuple[str, ...]
    """Arguments of the command that tells whether somebody is logged in, without a word to the provider."""
    folder: str
    """The variable that says where it keeps its login."""

    def environment(self, folder: Path | None, inherited: Mapping[str, str]) -> dict[str, str]:
        """Give its environment for a login that lies in a folder; None: the user's own."""
        return {**inherited, **({self.folder: str(folder)} if folder else {})}


PROGRAMS: dict[str, LoginProgram] = {
    "claude": LoginProgram("claude", ("auth", "login"), ("auth", "status"), "CLAUDE_CONFIG_DIR"),
    "codex": LoginProgram("codex", ("login",), ("login", "status"), "CODEX_HOME"),
    "opencode": LoginProgram("opencode", ("auth", "login"), ("auth", "list"), "XDG_DATA_HOME"),
}
"""Those that can be asked. Gemini CLI has no command for it."""


_ENVIRONMENT = re.compile(r"\b[1-9]\d* environment variable")
"""opencode found keys of providers there."""


def is_logged_in(backend: str, status: int, said: str) -> bool:
    """Read what the status command answered."""
    match backend:
        case "claude":
            try:
                return bool(json.loads(said).get("loggedIn"))
            except (ValueError, AttributeError):
                return False
        case "opencode":
            return status == 0 and (" 0 credentials" not in said or _ENVIRONMENT.search(said) is not None)
        case _:
            return status == 0
