"""Which files of a folder are surveyed, and how they are shared out fairly.

What git ignores stays out where the folder is a git work tree; elsewhere folders that hold no source do.
"""

import os
import stat
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

LARGEST_FILE_BYTES = 1024 * 1024
"""A larger file is named in the report but not read."""
MOST_FILES = 20_000
GIT_TIMEOUT_S = 10

NO_SOURCE = frozenset(
    {".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox", ".mypy_cache",
     ".ruff_cache", ".pytest_cache", ".import_linter_cache", ".queenpost", ".idea", ".cache", ".direnv"}
)  # fmt: skip
"""Folders that are left out wherever they are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, by its path below the folder."""

    path: str
    size: int


@dataclass(slots=True)
class Listing:
    """What was found."""

    files: list[Entry] = field(default_factory=list[Entry])
    huge: list[Entry] = field(default_factory=list[Entry])
    not_listed: int = 0
    """Files beyond `MOST_FILES`."""


def list_files(folder: Path) -> Listing:
    """List the regular files below a folder, sorted; links are not followed."""
    listing = Listing()
    for path in sorted(set(_from_git(folder) or _from_walk(folder))):
        size = _size(folder / path)
        if size is None:
            continue
        if size > LARGEST_FILE_BYTES:
            listing.huge.append(Entry(path, size))
        elif len(listing.files) == MOST_FILES:
            listing.not_listed += 1
        else:
            listing.files.append(Entry(path, size))
    return listing


def share_out(files: Iterable[Entry], parts: int) -> list[list[Entry]]:
    """Split into so many parts of about the same number of bytes; the same files give the same parts.

    The largest file goes first, each to the part that has the least so far.
    """
    shares: list[list[Entry]] = [[] for _ in range(parts)]
    weights = [0] * parts
    for entry in sorted(files, key=lambda entry: (-entry.size, entry.path)):
        lightest = weights.index(min(weights))
        shares[lightest].append(entry)
        weights[lightest] += entry.size + 1  # an empty file is work too
    return [sorted(share, key=lambda entry: entry.path) for share in shares]


def _from_git(folder: Path) -> list[str]:
    """Ask git; nothing where the folder is no work tree, is itself ignored, or git is not installed."""
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        answer = subprocess.run(command, capture_output=True, check=True, timeout=GIT_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        return []
    paths = os.fsdecode(answer.stdout).split("\0")
    return [path for path in paths if path and NO_SOURCE.isdisjoint(path.split("/"))]


def _from_walk(folder: Path) -> Iterator[str]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - NO_SOURCE)
        for name in files:
            yield os.path.relpath(os.path.join(here, name), folder)


def _size(path: Path) -> int | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
