"""Further MCP servers of an agent: `mcp = "file.json"`, read for every start of its program, in no program's terms yet.

`${NAME}` and `${NAME:-else}` stand for what the agent's environment holds, so that secrets are neither in the file nor
in a command line. How each program is told of them is in the `launch` of its backend.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from harness.backends.environment import PREFIX
from harness.backends.protocol import NotStartedError

OURS = ("queenpost", "queenpost_fleet")
"""Names that our own server has at the programs."""
MAX_BYTES = 256 * 1024
STDIO = frozenset({"type", "command", "args", "env"})
HTTP = frozenset({"type", "url", "headers"})

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<otherwise>[^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Server:
    """One server, as the file has it: a program, or an address."""

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def expanded(self, environment: Mapping[str, str]) -> "Server":
        """Give it with what the environment holds: for a pipe, never for a command line or a file."""
        return Server(
            self.name,
            expand(self.command, environment),
            tuple(expand(arg, environment) for arg in self.args),
            {name: expand(value, environment) for name, value in self.env.items()},
            expand(self.url, environment),
            {name: expand(value, environment) for name, value in self.headers.items()},
        )

    def texts(self) -> list[str]:
        """Give all that may refer to the environment."""
        return [self.command, *self.args, *self.env.values(), self.url, *self.headers.values()]


def read_servers(path: Path | None, environment: Mapping[str, str]) -> list[Server]:
    """Read the servers of an agent; none where no file is named.

    Raises:
        NotStartedError: the file cannot be read, is none, or refers to what the environment does not hold. The message
            holds no value.
    """
    if path is None:
        return []
    servers = [_server(path, name, entry) for name, entry in _entries(path).items()]
    for server in servers:
        for text in server.texts():
            for found in _REFERENCE.finditer(text):
                _see_that_it_is_set(path, server, found, environment)
    return servers


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Put in what the environment holds; what it does not hold is `else`, or nothing."""
    return _REFERENCE.sub(lambda found: environment.get(found["name"]) or found["otherwise"] or "", text)


def refers(text: str) -> bool:
    """Say whether a text refers to the environment."""
    return _REFERENCE.search(text) is not None


# --- reading ----------------------------------------------------------------------------------------


def _refuse(path: Path, why: str) -> NotStartedError:
    return NotStartedError("missing_program", f"mcp {path}: {why}")


def _entries(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise _refuse(path, f"it cannot be read: {exc.strerror}") from None
    if len(data) > MAX_BYTES:
        raise _refuse(path, f"it is over {MAX_BYTES} bytes; is that the right file?")
    try:
        found: object = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as exc:
        line = f", line {exc.lineno}" if isinstance(exc, json.JSONDecodeError) else ""
        raise _refuse(path, f"it is no JSON{line}") from None
    if not isinstance(found, dict) or list(cast("dict[str, object]", found)) != ["mcpServers"]:
        raise _refuse(path, 'it has to be {"mcpServers": {"NAME": {…}}}, and nothing else')
    servers = cast("dict[str, object]", found)["mcpServers"]
    if not isinstance(servers, dict):
        raise _refuse(path, '"mcpServers" has to be an object of servers by name')
    return cast("dict[str, object]", servers)


def _server(path: Path, name: str, entry: object) -> Server:
    if name in OURS:
        raise _refuse(path, f"a server is called {name!r}, as our own is; give it another name")
    if not _NAME.fullmatch(name):
        raise _refuse(path, f"server {name!r}: a name has letters, digits, '_' and '-', at most 64")
    if not isinstance(entry, dict):
        raise _refuse(path, f"server {name!r} has to be an object")
    given = cast("dict[str, object]", entry)
    kind = given.get("type", "http" if "url" in given else "stdio")
    if kind not in ("stdio", "http"):
        raise _refuse(path, f"server {name!r}: type has to be stdio or http")
    known = STDIO if kind == "stdio" else HTTP
    if unknown := sorted(set(given) - known):
        raise _refuse(path, f"server {name!r}: unknown key {unknown[0]!r}; it takes {', '.join(sorted(known))}")
    if kind == "http":
        return Server(name, url=_url(path, name, given), headers=_texts_by_name(path, name, given, "headers"))
    command, args = given.get("command"), given.get("args", [])
    if not isinstance(command, str) or not command:
        raise _refuse(path, f"server {name!r}: command has to be the program that is to be started")
    if not isinstance(args, list) or not all(isinstance(arg, str) for arg in cast("list[object]", args)):
        raise _refuse(path, f"server {name!r}: args has to be a list of texts")
    return Server(name, command, tuple(cast("list[str]", args)), _texts_by_name(path, name, given, "env"))


def _url(path: Path, name: str, given: dict[str, object]) -> str:
    url = given.get("url")
    if not isinstance(url, str) or not url.startswith(("http://", "https://", "${")):
        raise _refuse(path, f"server {name!r}: url has to begin with http:// or https://")
    return url


def _texts_by_name(path: Path, name: str, given: dict[str, object], key: str) -> dict[str, str]:
    found = given.get(key, {})
    texts = cast("dict[str, object]", found) if isinstance(found, dict) else {"": None}
    if not all(isinstance(one, str) for one in texts.values()):
        raise _refuse(path, f"server {name!r}: {key} has to be an object of texts")
    if key == "env" and (odd := [one for one in texts if not _VARIABLE.fullmatch(one)]):
        raise _refuse(path, f"server {name!r}: {odd[0]!r} is no name of a variable")
    return cast("dict[str, str]", texts)


def _see_that_it_is_set(path: Path, server: Server, found: re.Match[str], environment: Mapping[str, str]) -> None:
    name = found["name"]
    if name.startswith(PREFIX):
        raise _refuse(path, f"server {server.name!r}: ${{{name}}} is Queenpost's own, and not for others")
    if not environment.get(name) and found["otherwise"] is None:
        raise _refuse(path, f"server {server.name!r}: ${{{name}}} is not set; put it into the agent's env_file")
