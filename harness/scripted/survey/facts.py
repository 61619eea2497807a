"""What is in the files of one part: counted by a worker, sent as JSON, added up by the manager."""

import ast
import hashlib
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.scripted.survey.languages import language_of
from harness.scripted.survey.listing import LARGEST_FILE_BYTES

LONGEST = 10
"""So many of the longest files and functions are worth a line."""
EXCERPT = 120

MARKS = ("TO" + "DO", "FIX" + "ME", "X" * 3)
"""Words that say something is left to do; put together from parts, or this file would find itself."""

_MARK = re.compile(rf"\b({'|'.join(MARKS)})\b[:\s]*(.*)")
_CONFLICT = re.compile(r"^(<{7}|>{7}) \S", re.MULTILINE)
_BINARY_PROBE_BYTES = 8192


@dataclass(slots=True)
class Count:
    """Figures of one language."""

    files: int = 0
    lines: int = 0
    blank: int = 0
    size: int = 0


@dataclass(slots=True)
class Facts:
    """All that is known of some files; lists hold paths, or `path:line text`."""

    languages: dict[str, Count] = field(default_factory=dict[str, Count])
    longest_files: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    longest_functions: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    marks: list[str] = field(default_factory=list[str])
    conflicts: list[str] = field(default_factory=list[str])
    no_newline: list[str] = field(default_factory=list[str])
    not_utf8: list[str] = field(default_factory=list[str])
    empty: list[str] = field(default_factory=list[str])
    binary: list[str] = field(default_factory=list[str])
    unreadable: list[str] = field(default_factory=list[str])
    digests: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Paths by the SHA-256 of their content, to find the same file twice, in another part too."""

    def as_json(self) -> dict[str, Any]:
        """Give plain data for a mail."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Facts":
        """Read what a worker sent.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        counts = {str(name): Count(**count) for name, count in data["languages"].items()}
        tops = {key: [(int(n), str(what)) for n, what in data[key]] for key in ("longest_files", "longest_functions")}
        lists = {key: [str(line) for line in data[key]] for key in _LISTS}
        digests = {str(digest): [str(path) for path in paths] for digest, paths in data["digests"].items()}
        return cls(languages=counts, digests=digests, **tops, **lists)  # pyright: ignore[reportArgumentType]  # by key


_LISTS = ("marks", "conflicts", "no_newline", "not_utf8", "empty", "binary", "unreadable")


def gather(folder: Path, paths: Iterable[str]) -> Facts:
    """Read the files and count; one that cannot be read is a fact too."""
    facts = Facts()
    for path in paths:
        try:
            data = _read(folder / path)
        except OSError:
            facts.unreadable.append(path)
            continue
        _count(facts, path, data)
    facts.longest_files = sorted(facts.longest_files, key=_longest_first)[:LONGEST]
    facts.longest_functions = sorted(facts.longest_functions, key=_longest_first)[:LONGEST]
    return facts


def add_up(parts: Iterable[Facts]) -> Facts:
    """Make one out of many."""
    whole = Facts()
    for part in parts:
        for language, count in part.languages.items():
            _add(whole.languages.setdefault(language, Count()), count)
        for key in _LISTS:
            getattr(whole, key).extend(getattr(part, key))
        for digest, paths in part.digests.items():
            whole.digests.setdefault(digest, []).extend(paths)
        whole.longest_files += part.longest_files
        whole.longest_functions += part.longest_functions
    for key in _LISTS:
        getattr(whole, key).sort(key=_by_place)
    whole.longest_files = sorted(whole.longest_files, key=_longest_first)[:LONGEST]
    whole.longest_functions = sorted(whole.longest_functions, key=_longest_first)[:LONGEST]
    return whole


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_FILE_BYTES + 1)


def _count(facts: Facts, path: str, data: bytes) -> None:
    if b"\0" in data[:_BINARY_PROBE_BYTES]:
        facts.binary.append(path)
        return
    text = _decode(facts, path, data)
    lines = text.splitlines()
    blank = sum(not line.strip() for line in lines)
    _add(facts.languages.setdefault(language_of(path), Count()), Count(1, len(lines), blank, len(data)))
    facts.longest_files.append((len(lines), path))
    facts.marks += _marks(path, lines)
    facts.conflicts += _conflicts(path, text)
    if not data:
        facts.empty.append(path)
        return
    if not text.endswith("\n"):
        facts.no_newline.append(path)
    facts.digests.setdefault(hashlib.sha256(data).hexdigest(), []).append(path)
    if path.endswith(".py"):
        facts.longest_functions += _functions(path, text)


def _decode(facts: Facts, path: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        facts.not_utf8.append(path)
        return data.decode(errors="replace")


def _marks(path: str, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if match := _MARK.search(line):
            yield f"{path}:{number} {match[1]} {match[2].strip()}"[: len(path) + EXCERPT].rstrip()


def _conflicts(path: str, text: str) -> list[str]:
    return [f"{path}:{text.count(chr(10), 0, match.start()) + 1}" for match in _CONFLICT.finditer(text)]


def _functions(path: str, text: str) -> list[tuple[int, str]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # somebody else's escape sequences
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [
        ((node.end_lineno or node.lineno) - node.lineno + 1, f"{path}:{node.lineno} {node.name}")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def _add(to: Count, more: Count) -> None:
    to.files += more.files
    to.lines += more.lines
    to.blank += more.blank
    to.size += more.size


def _longest_first(item: tuple[int, str]) -> tuple[int, str]:
    return -item[0], item[1]


def _by_place(line: str) -> tuple[str, int]:
    place = line.partition(" ")[0]
    path, colon, number = place.rpartition(":")
    return (path, int(number)) if colon and number.isdigit() else (line, 0)
