"""The files that the rules of this folder apply to, parsed once. It judges nothing itself."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

PRODUCT = ("broker", "console", "harness", "mcp_tools", "node", "prompts", "wire")
"""The root packages that go into the wheel."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def product_files() -> list[Path]:
    """Every Python file of the wheel."""
    return _files(PRODUCT)


def files_of_tests() -> list[Path]:
    """Every Python file below tests/."""
    return _files(("tests",))


def all_files() -> list[Path]:
    """Every Python file of ours: product, tests, benchmarks."""
    return _files((*PRODUCT, "tests", "benchmarks"))


def name_of(path: Path) -> str:
    """How a file is called in messages and records: its path from the checkout, with slashes."""
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of one file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=name_of(path))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, nested ones and methods too."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, _FUNCTIONS):
            yield node


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of every import of a file, at whatever depth it stands."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string constant that is not documentation, parts of f-strings too."""
    documentation = {
        id(node.value)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


def _files(tops: tuple[str, ...]) -> list[Path]:
    return sorted(path for top in tops for path in (ROOT / top).rglob("*.py"))
