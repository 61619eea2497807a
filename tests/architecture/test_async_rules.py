"""Structured concurrency: anyio everywhere, asyncio in two places, and tests that do not sleep."""

import ast
from pathlib import Path

from tests.architecture.tree import all_files, files_of_tests, imports, name_of, parsed, product_files

MAY_IMPORT_ASYNCIO = {"broker/store/writer.py", "wire/transport.py"}
"""The Protocol at the byte transport, and the one hop from the writer thread back to the loop."""

LOOSE_TASKS = {"create_task", "ensure_future", "gather", "run_coroutine_threadsafe"}


def test_asyncio_is_imported_in_two_places_only() -> None:
    """Ours: STYLE of async; everything else is anyio."""
    found = {name_of(path) for path in product_files() for _, name in imports(path) if name.split(".")[0] == "asyncio"}
    assert found <= MAY_IMPORT_ASYNCIO


def test_no_task_runs_outside_a_task_group() -> None:
    """Ours: nothing is started that nobody waits for."""
    found = [f"{name_of(path)}:{line} {call}" for path in all_files() for line, call in _loose_tasks(path)]
    assert not found


def test_no_test_sleeps() -> None:
    """Ours: tests wait for events under a deadline, on an injected clock."""
    found = [
        f"{name_of(path)}:{line}"
        for path in files_of_tests()
        for line in (*_attribute(path, "time", "sleep"), *_imported(path, "time.sleep"))
    ]
    assert not found


def _loose_tasks(path: Path) -> list[tuple[int, str]]:
    used = [(line, f"asyncio.{name}") for name in LOOSE_TASKS for line in _attribute(path, "asyncio", name)]
    taken = [(line, name) for line, name in imports(path) if name in {f"asyncio.{task}" for task in LOOSE_TASKS}]
    return used + taken


def _attribute(path: Path, owner: str, name: str) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == owner
    ]


def _imported(path: Path, full_name: str) -> list[int]:
    return [line for line, name in imports(path) if name == full_name]
