"""The environment of an agent's program: the user's, without anything of ours but the one door to its tools.

Secrets travel here, never in argv: a command line can be read by other users of the machine.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from harness.backends.protocol import NotStartedError

PREFIX = "QUEENPOST_"
"""Ours. What the harness inherited under it would let the agent's program act as the operator."""

MCP_URL = "QUEENPOST_MCP_URL"
MCP_TOKEN = "QUEENPOST_MCP_TOKEN"  # noqa: S105  # the name of the variable


def environment(
    added: Mapping[str, str], *, mcp_url: str, mcp_token: str, inherited: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Put the environment together: inherited, then added, then exactly our two variables."""
    merged = {**(os.environ if inherited is None else inherited), **added}
    kept = {name: value for name, value in merged.items() if not name.startswith(PREFIX)}
    return {**kept, MCP_URL: mcp_url, MCP_TOKEN: mcp_token}


def read_env_file(path: Path) -> dict[str, str]:
    """Read NAME=VALUE lines; blank lines and lines that begin with # are left out, quotes around a value too.

    Raises:
        NotStartedError: it cannot be read, or a line is something else. The message holds no value.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise NotStartedError("missing_program", f"env_file {path} cannot be read: {why}") from None
    return dict(
        _pair(path, number, line.strip())
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    )


def _pair(path: Path, number: int, line: str) -> tuple[str, str]:
    name, equals, value = line.removeprefix("export ").partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not name.isidentifier():
        raise NotStartedError("missing_program", f"{path}:{number}: a line has to be NAME=VALUE")
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return name, value
