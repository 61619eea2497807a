"""Which of the programs that can play the model are here, and which of them are logged in. Nothing is written.

The provider is not asked: a login that it has ended shows with the first turn.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from console.logins.accounts import FoundAccount, trouble_of
from console.logins.elsewhere import gemini_is_logged_in
from console.logins.programs import PROGRAMS
from wire.settings import DEFAULT_ACCOUNT, AccountSettings, Backend


@dataclass(frozen=True, slots=True)
class Known:
    """One program that a fleet can be made of."""

    backend: Backend
    title: str
    """What people call it."""
    program: str
    install: str
    """The command that installs it."""
    log_in: str
    """The command that logs in, or what to do instead."""


KNOWN: tuple[Known, ...] = (
    Known("claude", "Claude Code", "claude", "npm install -g @anthropic-ai/claude-code", "claude auth login"),
    Known("codex", "Codex", "codex", "npm install -g @openai/codex", "codex login"),
    Known("opencode", "opencode", "opencode", "npm install -g opencode-ai", "opencode auth login"),
    Known("gemini", "Gemini CLI", "gemini", "npm install -g @google/gemini-cli", "gemini"),
)
"""In the order in which one of several is chosen."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of them on this machine."""

    known: Known
    path: str | None
    """None: it is not on the PATH."""
    trouble: str | None = None
    """Why it cannot work for anybody; None: it is logged in, as far as it knows."""

    @property
    def ready(self) -> bool:
        """Say whether agents can be made of it."""
        return self.path is not None and self.trouble is None


def look(known: Known, environment: Mapping[str, str] = os.environ) -> Candidate:
    """Look for one program, and ask it whether somebody is logged in; takes a second or two where it is there."""
    path = shutil.which(known.program, path=environment.get("PATH"))
    if path is None:
        return Candidate(known, None, f"`{known.program}` is not on the PATH")
    if known.backend in PROGRAMS:
        account = FoundAccount(DEFAULT_ACCOUNT, AccountSettings(), known.backend, None)
        return Candidate(known, path, trouble_of(account, environment))
    logged_in = gemini_is_logged_in(environment)
    return Candidate(known, path, None if logged_in else f"{known.program} is not logged in")


def look_for_all(environment: Mapping[str, str] = os.environ) -> Iterator[Candidate]:
    """Look for each in turn, in the order in which one of them is chosen."""
    return (look(known, environment) for known in KNOWN)


def known_as(backend: str) -> Known:
    """Give the program of a backend.

    Raises:
        LookupError: it is none of them.
    """
    for known in KNOWN:
        if known.backend == backend:
            return known
    raise LookupError(backend)


def missing(candidate: Candidate) -> str:
    """Say what mends one program."""
    known = candidate.known
    if candidate.path is None:
        return (
            f"{known.title} is not installed: no `{known.program}` on the PATH. Install it with `{known.install}`, "
            f"and log in with `{known.log_in}`"
        )
    return f"{candidate.trouble}; log in with `{known.log_in}`, then try again"
