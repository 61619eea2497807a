"""Parts of the user's own configuration in the folder of an agent's own: `inherit = ["skills", "claude_md"]`.

They are links: what the user changes holds for the agent from its next turn on. Of logins, settings and MCP servers
nothing is ever linked or copied: the parts that there are stand in `wire.settings_own`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.backends.protocol import NotStartedError
from wire.logs import get_logger
from wire.settings_own import PARTS, Part


@dataclass(frozen=True, slots=True)
class Place:
    """Where a program's configuration lies."""

    variables: tuple[str, ...]
    """Name the user's folder, the first that is set."""
    below: str
    """The configuration below such a folder."""
    otherwise: str
    """The same below the user's home, where no variable is set."""
    own: str
    """The same below a folder of an agent's own."""


PLACES: Mapping[str, Place] = {
    "claude": Place(("CLAUDE_CONFIG_DIR",), "", ".claude", ""),
    "codex": Place(("CODEX_HOME",), "", ".codex", ""),
    "opencode": Place(("XDG_CONFIG_HOME",), "opencode", ".config/opencode", "config/opencode"),
    "gemini": Place(("GEMINI_CLI_HOME",), ".gemini", ".gemini", ".gemini"),
}
WHOLE: frozenset[tuple[str, Part]] = frozenset({("gemini", "agents")})
"""The folder is linked, and not what is in it: Gemini CLI reads no agent from a link."""

log = get_logger("harness")


def users_folder(backend: str, environment: Mapping[str, str]) -> Path:
    """Give the folder in which the user's own configuration of a program lies."""
    place = PLACES[backend]
    for name in place.variables:
        if environment.get(name):
            return Path(environment[name]) / place.below
    return Path(environment.get("HOME") or Path.home()) / place.otherwise


def take_over(
    backend: str,
    parts: Sequence[Part],
    folder: Path,
    *,
    own: Mapping[str, str],
    environment: Mapping[str, str],
    shared: bool = False,
) -> None:
    """Link what is named into an agent's folder, and take away the links of what is not named any more.

    Idempotent; what is no link of ours stays as it is. A `shared` folder is that of an account: nothing is taken away,
    for another agent may have named it. `own` is what the agent's settings add to the environment.

    Raises:
        NotStartedError: its settings name a folder themselves, or a link cannot be made.
    """
    named = next((name for name in PLACES[backend].variables if name in own), None)
    if named is not None:
        if parts:
            raise NotStartedError(
                "missing_program", f"inherit is for a folder of Queenpost's: take {named} out of env, or inherit out"
            )
        return
    users, ours = users_folder(backend, environment), folder / PLACES[backend].own
    wanted = dict(_wanted(backend, parts, users))
    try:
        if not shared:
            for name in _links(backend, ours, users):
                if name not in wanted:
                    (ours / name).unlink(missing_ok=True)
        for name, target in wanted.items():
            _link(ours / name, target)
    except OSError as exc:
        raise NotStartedError("missing_program", f"inherit: {exc.filename} cannot be made: {exc.strerror}") from exc


def _wanted(backend: str, parts: Iterable[Part], users: Path) -> Iterator[tuple[str, Path]]:
    """Give what there is of these parts: the name in the agent's folder, and what it leads to."""
    for part in parts:
        for name in PARTS[backend][part]:
            there = users / name
            if there.is_dir() and (backend, part) not in WHOLE:
                entries = sorted(path for path in there.iterdir() if not path.name.startswith("."))
                yield from ((f"{name}/{path.name}", path) for path in entries)
            elif there.exists():
                yield name, there


def _links(backend: str, ours: Path, users: Path) -> Iterator[str]:
    """Give the links into the user's configuration that there are."""
    for name in (name for names in PARTS[backend].values() for name in names):
        place = ours / name
        if place.is_symlink():
            yield from [name] if _leads_to(place, users) else []
        elif place.is_dir():
            yield from (f"{name}/{path.name}" for path in sorted(place.iterdir()) if _leads_to(path, users))


def _leads_to(path: Path, users: Path) -> bool:
    return path.is_symlink() and Path(os.readlink(path)).is_relative_to(users.absolute())


def _link(place: Path, target: Path) -> None:
    target = target.absolute()
    if place.is_symlink() and os.readlink(place) == str(target):
        return
    if place.exists() or place.is_symlink():
        log.warning("not_inherited", path=str(place), reason="there is something of its own")
        return
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # another agent of the account did the same
        place.symlink_to(target)
