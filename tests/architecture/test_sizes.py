"""How long a file and a function may be, and that each module says what it is."""

import ast
from pathlib import Path

from tests.architecture.tree import all_files, functions, name_of, parsed, product_files

LONGEST_FILE = 500
LONG_FILE = 300
LONGEST_FUNCTION = 40
REASON = "Long because"
"""How the sentence of a module docstring begins that says why its file is over LONG_FILE lines."""


def test_no_file_is_over_500_lines() -> None:
    """Ours: a file that long has two nouns in it."""
    too_long = {name_of(path): lines for path in all_files() if (lines := _lines(path)) > LONGEST_FILE}
    assert not too_long


def test_a_file_over_300_lines_says_why() -> None:
    """Ours: the module docstring holds a sentence that begins with REASON."""
    silent = [
        name_of(path)
        for path in product_files()
        if _lines(path) > LONG_FILE and REASON not in (ast.get_docstring(parsed(path)) or "")
    ]
    assert not silent


def test_no_function_is_over_40_lines() -> None:
    """Ours: counted without its docstring and without the functions in it, which count for themselves."""
    too_long = {
        f"{name_of(path)}:{function.lineno} {function.name}": lines
        for path in product_files()
        for function in functions(path)
        if (lines := _own_lines(function)) > LONGEST_FUNCTION
    }
    assert not too_long


def test_every_module_says_what_it_is() -> None:
    """Ours: what it owns and, where that is not obvious, what it does not."""
    silent = [name_of(path) for path in all_files() if not ast.get_docstring(parsed(path))]
    assert not silent


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = set(range(function.lineno, (function.end_lineno or function.lineno) + 1))
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    for inner in ast.walk(function):
        if inner is not function and isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            start = min([inner.lineno, *(decorator.lineno for decorator in inner.decorator_list)])
            lines -= set(range(start, (inner.end_lineno or start) + 1))
    return len(lines)
