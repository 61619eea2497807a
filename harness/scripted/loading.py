"""The scripts that are shipped, found by name; or a file of the user's own.

A script is a module with `def run(agent: ScriptedAgent) -> None`.
"""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.scripted.agent import ScriptedAgent

FOLDER = Path(__file__).parent / "scripts"


def script_names() -> list[str]:
    """List what is shipped."""
    return sorted(path.stem.replace("_", "-") for path in FOLDER.glob("*.py") if path.stem != "__init__")


def script_problem(script: str) -> str | None:
    """Say why a script cannot be followed; None if it can."""
    if _is_file(script):
        return None if Path(script).is_file() else f"there is no script file {script!r}"
    if script in script_names():
        return None
    return f"there is no script {script!r}; choose one of: {', '.join(script_names())}"


def load(script: str) -> Callable[["ScriptedAgent"], None]:
    """Give the script's `run`.

    Raises:
        LookupError: there is no such script.
    """
    if problem := script_problem(script):
        raise LookupError(problem)
    module = _from_file(script) if _is_file(script) else _shipped(script)
    return module.run


def _is_file(script: str) -> bool:
    return script.endswith(".py")


def _shipped(script: str) -> ModuleType:
    return importlib.import_module(f"harness.scripted.scripts.{script.replace('-', '_')}")


def _from_file(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("script_of_the_user", path)
    if spec is None or spec.loader is None:
        raise LookupError(f"{path!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
