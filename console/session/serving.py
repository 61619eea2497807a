"""When Codex is opened in two halves: its app server as our child, its window with the user (`wire.codex_server`).

In one piece it looks every ten seconds for what was queued for it. Its server starts a turn as soon as it is asked to,
and the window shows it as any other: `console.session.threads` asks. Where a Codex knows no such server, or the user's
words are not known to mean the same there, it is opened in one piece.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from wire import codex_server
from wire.codex_server import Served

PERMITTING = frozenset({"--approve-for-me", "--dangerously-bypass-approvals-and-sandbox"})
PERMISSIONS = frozenset({"-s", "--sandbox", "-a", "--ask-for-approval"})
"""A window takes none of these for a thread that is resumed or copied."""
SWITCHES = PERMITTING | {"--search", "--no-alt-screen", "--last"}
VALUES = PERMISSIONS | {"-m", "--model"}
SETTINGS = frozenset({"-c", "--config", "--enable", "--disable"})
"""For the server as well."""
COMMANDS = frozenset({"resume", "fork"})


def settings_among(words: Sequence[str]) -> list[str] | None:
    """Give those of the user's words that the server has to have; None where the window would not mean the same."""
    settings: list[str] = []
    permits, command = False, None
    rest = iter(words)
    for word in rest:
        option, _, value = word.partition("=")
        permits = permits or option in PERMITTING | PERMISSIONS
        if word in SWITCHES:
            continue
        if not word.startswith("-"):
            command = word if command is None else command
        elif option in VALUES | SETTINGS:
            value = value or next(rest, "")
            settings += [option, value] if option in SETTINGS else []
        else:
            return None
    if command in COMMANDS:
        return None if permits else settings
    # Another command; or a prompt of one word, which is none the worse for it.
    return None if command is not None and command.replace("-", "").isalnum() else settings


@asynccontextmanager
async def served(
    program: str, ours: Sequence[str], words: Sequence[str], environment: Mapping[str, str], socket: Path
) -> AsyncGenerator[Served | None]:
    """Have a server for the user's words while the body runs, or None where Codex is to be opened in one piece."""
    settings = settings_among(words)
    if settings is None or not await codex_server.comes_in_halves([program], environment):
        yield None
        return
    async with codex_server.served([program], [*ours, *settings], environment, socket) as server:
        yield server
