"""Each program by its plain command line: one prompt, our tools over HTTP, its events, its end; without a backend.

A backend's own test compares with this; what is asserted of the events here is what the backends rely on.
"""

import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
from anyio.abc import ByteReceiveStream

from tests.e2e.programs import Program
from tests.e2e.surroundings import surround
from tests.fakes.models.conversation import Conversation

Json = dict[str, Any]
TOKEN = "QUEENPOST_MCP_TOKEN"
LONGEST_S = 60
WORK = "work"


@dataclass(frozen=True)
class Door:
    """Where the tools are, and who may use them."""

    url: str
    token: str


@dataclass(frozen=True)
class Ran:
    """How a run went."""

    code: int
    events: list[Json]
    """The lines of stdout."""
    errors: str
    """What was on stderr."""

    def of(self, *types: str) -> list[Json]:
        """Give the events of some types, in their order."""
        return [event for event in self.events if event["type"] in types]


@dataclass(frozen=True)
class _Line:
    """What is behind the executable, and what else the program is given."""

    arguments: list[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    stdin: str = ""


async def run(
    program: Program, home: Path, talk: Conversation, door: Door, prompt: str, session: str | None = None
) -> Ran:
    """Let a program answer one prompt; `session` takes up the one with that id. Nothing of it is left running."""
    environment = {**surround(program.name, home, talk), TOKEN: door.token}
    work = home / WORK
    work.mkdir(exist_ok=True)
    line = _LINES[program.name](home, door, prompt, session)
    return await _finished([*program.command, *line.arguments], {**environment, **line.environment}, work, line.stdin)


async def _finished(command: list[str], environment: Mapping[str, str], work: Path, stdin: str) -> Ran:
    out, err = bytearray(), bytearray()
    process = await anyio.open_process(
        command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment, cwd=work, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with anyio.fail_after(LONGEST_S):
            await process.stdin.send(stdin.encode())
            await process.stdin.aclose()
            async with anyio.create_task_group() as group:
                group.start_soon(_collect, process.stdout, out)
                group.start_soon(_collect, process.stderr, err)
            code = await process.wait()
    except TimeoutError:
        raise AssertionError(f"{command[0]} did not end: {out.decode()[-2000:]} {err.decode()[-2000:]}") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with anyio.CancelScope(shield=True):
            await process.aclose()
    return Ran(code, [json.loads(line) for line in out.decode().splitlines() if line], err.decode())


async def _collect(stream: ByteReceiveStream, into: bytearray) -> None:
    async for data in stream:
        into += data


def _claude(home: Path, door: Door, prompt: str, session: str | None) -> _Line:
    headers = {"Authorization": f"Bearer ${{{TOKEN}}}"}
    server = {"type": "http", "url": door.url, "headers": headers, "alwaysLoad": True}
    line = ["-p", "--output-format", "stream-json", "--verbose", "--strict-mcp-config"]
    line += ["--mcp-config", json.dumps({"mcpServers": {"queenpost": server}})]
    line += ["--allowedTools", "mcp__queenpost", "--permission-mode", "dontAsk"]
    return _Line([*line, *(["--resume", session] if session else []), "--", prompt])


def _codex(home: Path, door: Door, prompt: str, session: str | None) -> _Line:
    settings = {
        "approval_policy": "never",
        "sandbox_mode": "danger-full-access",
        "mcp_servers.queenpost.url": door.url,
        "mcp_servers.queenpost.bearer_token_env_var": TOKEN,
        "mcp_servers.queenpost.default_tools_approval_mode": "approve",
    }
    given = [word for name, value in settings.items() for word in ("-c", f"{name}={json.dumps(value)}")]
    resumed = ["resume", session] if session else []
    return _Line(["exec", *resumed, "--json", "--skip-git-repo-check", *given, prompt])


def _opencode(home: Path, door: Door, prompt: str, session: str | None) -> _Line:
    headers = {"Authorization": f"Bearer {{env:{TOKEN}}}"}
    server = {"type": "remote", "url": door.url, "headers": headers, "oauth": False, "timeout": 20_000}
    config = {"mcp": {"queenpost": server}, "permission": {"*": "allow"}}
    line = ["run", "--format", "json", *(["-s", session] if session else [])]
    # As an argument it would reach the model within quotation marks, and those in it with a backslash.
    return _Line(line, {"OPENCODE_CONFIG_CONTENT": json.dumps(config)}, prompt)


def _gemini(home: Path, door: Door, prompt: str, session: str | None) -> _Line:
    headers = {"Authorization": f"Bearer ${TOKEN}"}
    server = {"httpUrl": door.url, "headers": headers, "trust": True, "timeout": 300_000}
    settings = home / WORK / ".gemini" / "settings.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(json.dumps({"mcpServers": {"queenpost": server}}), encoding="utf-8")
    line = ["--output-format", "stream-json", "--skip-trust", "--approval-mode", "yolo", "-m", "gemini-2.5-pro"]
    resumed = ["--resume", session] if session else []
    return _Line([*line, *resumed, "-p", prompt])


_LINES = {"claude": _claude, "codex": _codex, "opencode": _opencode, "gemini": _gemini}
