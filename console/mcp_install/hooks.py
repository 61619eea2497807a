"""The hooks of a session in the JSON of a client: put, kept in step, taken out. Foreign hooks stay."""

import shlex
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from console.mcp_install.clients import Hooks
from console.mcp_install.json_text import JsonText, Way
from wire.errors import Invalid
from wire.home import Home

OURS = "mcp_tools/hooks/session.py"
"""By which a hook is known as ours, wherever the package was installed when it was put."""


def command(moment: str, agent: str, home: Home) -> str:
    """Give the shell command of a hook. It may be shown to a model: short, and without any secret."""
    return shlex.join([sys.executable, "-I", "-S", str(program()), moment, agent, str(home.root)])


def program() -> Path:
    """Find the program without loading its package, which the command line has nothing to do with.

    Raises:
        Invalid: it was not installed.
    """
    spec = find_spec("mcp_tools")
    if spec is None or spec.origin is None:
        raise Invalid("this installation is not whole: it has no mcp_tools; install queenpost again")
    return Path(spec.origin).parent / "hooks" / "session.py"


def are_in(text: JsonText) -> bool:
    """Say whether hooks of ours are in these settings."""
    return any(True for event in _events(text) for _ in _ours(text, event))


def with_hooks(text: JsonText, hooks: Hooks, agent: str, home: Home) -> JsonText:
    """Put a hook for each moment; hooks of ours that are there already become these.

    Raises:
        NotEditable: `hooks` is not what the client means by it.
    """
    for event, moment in hooks.moments.items():
        wanted = hooks.entry(command(moment, agent, home))
        present = list(_ours(text, event))
        for spare in reversed(present[1:]):
            text = _without(text, spare)
        if not present:
            text = text.put(("hooks", event, len(text.get(("hooks", event)) or [])), {"hooks": [wanted]})
        elif text.get(present[0]) != wanted:
            text = text.put(present[0], wanted)
    return text


def without_hooks(text: JsonText) -> JsonText:
    """Take every hook of ours out."""
    for event in _events(text):
        for way in reversed(list(_ours(text, event))):
            text = _without(text, way)
    return text


def _without(text: JsonText, way: Way) -> JsonText:
    """Take one hook out, with its group if it is alone in it: a matcher without hooks means nothing."""
    group = way[:3]
    return text.take(group if len(text.get((*group, "hooks"))) == 1 else way)


def _events(text: JsonText) -> list[str]:
    hooks = text.get(("hooks",))
    return list(hooks) if isinstance(hooks, dict) else []  # pyright: ignore[reportUnknownArgumentType]  # any JSON


def _ours(text: JsonText, event: str) -> Iterator[Way]:
    """Give the ways to our hooks of one event."""
    for group, entry in enumerate(_list(text.get(("hooks", event)))):
        inner = _list(entry.get("hooks")) if isinstance(entry, dict) else []  # pyright: ignore[reportUnknownMemberType]
        for place, hook in enumerate(inner):
            if isinstance(hook, dict) and OURS in str(hook.get("command")):  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
                yield ("hooks", event, group, "hooks", place)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]  # any JSON
