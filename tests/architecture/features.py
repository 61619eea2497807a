"""The record of what Queenpost promises (docs/features.md) and the tests that show it.

A test names the rows it shows by their ids in square brackets, in its docstring. `python -m
tests.architecture.features --write` puts the names of the tests into the last column; without --write it
prints what is out of step. It does not judge whether a test shows what its row says.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.tree import ROOT, files_of_tests, name_of, parsed

RECORD = ROOT / "docs" / "features.md"
LATER = "later"
"""What stands in the last column of a row that no test shows."""

ROW = re.compile(r"^\| (?P<id>[A-Z]\d{1,2}) \| (?P<what>.*?) \| (?P<shown_by>.*) \|$")
MENTION = re.compile(r"\[([A-Z]\d{1,2})\]")


def rows(record: str) -> dict[str, str]:
    """Id and wording of every row, in their order. An id that stands twice is an error."""
    found: dict[str, str] = {}
    for line in record.splitlines():
        if match := ROW.match(line):
            if match["id"] in found:
                raise ValueError(f"{RECORD.name} has two rows {match['id']}; give the later one an id of its own")
            found[match["id"]] = match["what"]
    return found


def shown_by() -> dict[str, list[str]]:
    """For every id that a test names: the tests, by file and function, in the order of the files."""
    found: dict[str, list[str]] = {}
    for path in files_of_tests():
        for name, docstring in _documented_tests(path):
            for row_id in dict.fromkeys(MENTION.findall(docstring)):
                found.setdefault(row_id, []).append(f"{name_of(path)}::{name}")
    return found


def brought_up_to_date(record: str, tests: dict[str, list[str]]) -> str:
    """The record with its last column as the tests have it; everything else as it was."""
    return "\n".join(_row(line, tests) for line in record.split("\n"))


def _row(line: str, tests: dict[str, list[str]]) -> str:
    match = ROW.match(line)
    if match is None:
        return line
    names = "<br>".join(f"`{name}`" for name in tests.get(match["id"], [])) or LATER
    return f"| {match['id']} | {match['what']} | {names} |"


def _documented_tests(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(parsed(path)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name.startswith("test_"):
                yield name, ast.get_docstring(node) or ""
            case ast.ClassDef(name=name):
                yield name, ast.get_docstring(node) or ""
            case _:
                pass


def main(arguments: list[str]) -> int:
    """Compare, or write with --write; 1 when the record was out of step and not written."""
    before = RECORD.read_text(encoding="utf-8")
    after = brought_up_to_date(before, shown_by())
    if before == after:
        return 0
    if "--write" in arguments:
        RECORD.write_text(after, encoding="utf-8")
        return 0
    sys.stderr.write(f"{name_of(RECORD)} is out of step with the tests: make features\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
