"""What an agent's program may have beside the mail: who decides its prompts, MCP servers, parts of the user's set-up.

Which backend knows which of them, in one place. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from wire.delegation import MAX_RULE, sound

ASKING_NOBODY = frozenset({"none", "command", "scripted"})
"""Backends whose programs have no permission prompts."""

Part = Literal["skills", "commands", "agents", "claude_md", "agents_md", "gemini_md"]
"""Parts of a user's own configuration that an agent with a folder of its own can take over."""

PARTS: Mapping[str, Mapping[Part, tuple[str, ...]]] = {
    "claude": {"skills": ("skills",), "commands": ("commands",), "agents": ("agents",), "claude_md": ("CLAUDE.md",)},
    "codex": {"skills": ("skills",), "agents_md": ("AGENTS.md", "AGENTS.override.md")},
    "opencode": {
        "skills": ("skills", "skill"),
        "commands": ("commands", "command"),
        "agents": ("agents", "agent"),
        "agents_md": ("AGENTS.md",),
    },
    "gemini": {"skills": ("skills",), "commands": ("commands",), "agents": ("agents",), "gemini_md": ("GEMINI.md",)},
}
"""Where each lies in the configuration folder, by backend; what a program has no notion of is not there."""

DelegateRule = Annotated[str, Field(max_length=MAX_RULE), AfterValidator(sound)]
DelegateRules = Annotated[list[DelegateRule], Field(min_length=1, max_length=100)]


def problem_of_own(
    backend: str, permissions: str, *, delegate: Mapping[str, Sequence[str]], mcp: str | None, inherit: Sequence[Part]
) -> str | None:
    """Say which of these the backend has no notion of; None: it knows them all."""
    if delegate and backend in ASKING_NOBODY:
        return f"backend {backend!r} asks for no permission; take delegate out"
    if delegate and permissions in ("deny", "bypass"):
        return f"permissions = {permissions!r} asks nobody; take delegate out"
    if mcp is not None and backend not in PARTS:
        return f"backend {backend!r} takes no MCP servers from here; take mcp out"
    if inherit and backend not in PARTS:
        return f"backend {backend!r} has no configuration folder; take inherit out"
    unknown = [part for part in inherit if part not in PARTS[backend]]
    if unknown:
        return f"inherit: {backend} knows no {unknown[0]!r}; it knows {', '.join(PARTS[backend])}"
    return None


def problem_of_delegates(name: str, delegates: Sequence[str], agents: Mapping[str, str]) -> str | None:
    """Say which delegate of an agent cannot decide; `agents` holds the role of each."""
    manager = next((one for one, role in agents.items() if role == "manager"), None)
    for delegate in delegates:
        where = f"agents.{name}.delegate names {delegate!r}"
        if delegate == "operator":
            return f"{where}, who is asked anyway; take it out"
        meant = manager if delegate == "manager" else delegate
        if meant == name:
            return f"{where}: nobody decides for itself"
        if meant not in agents:
            return f"{where}, which no [agents.…] table declares"
    return None
