"""What the real Claude Code shows at its terminal, brought about by what its model says.

`python -m tests.e2e.pty_cases` records it anew, into `tests/golden/pty/claude-<version>/`: the bytes that the program
had written by the moment in which each thing was to be seen, without what differs from machine to machine.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import anyio

from harness.backends.choose import backend_for
from harness.backends.protocol import Ended, Permission, Permitted, ToolUse, TurnRequest
from harness.backends.pty.backend import PtyBackend
from harness.backends.pty.screen import Screen
from harness.backends.seat import Seat
from harness.backends.tool_calls import ToolCalls
from harness.workspace import Workspace
from mcp_tools import http
from mcp_tools.bearers import Bearers
from mcp_tools.desk import R
from tests.architecture.tree import ROOT
from tests.e2e.programs import Program, find
from tests.e2e.surroundings import KEY, surround
from tests.fakes.desk import FakeDesk
from tests.fakes.models.brains import Script
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Brain, Failing, Heard, Reply, Tool, ToolCall
from tests.harness.backends.playing import Played
from wire.home import Home
from wire.model import Request
from wire.settings import AgentSettings

GOLDEN = ROOT / "tests" / "golden" / "pty"
LONGEST_S = 60
SERVERS = "servers.json"

ARGS = (
    "--strict-mcp-config",
    "--mcp-config",
    SERVERS,
    "--permission-mode",
    "default",
    "--allowedTools",
    "mcp__queenpost",
)
TABLE: dict[str, Any] = {
    "ready": r"^─+\n❯",
    "busy": r"^[·✢✳✶✻✽*] \S+…|esc to interrupt",
    "interrupt": "\x1b",
    "quit": "\x03\x03",
    "answers": [
        {"screen": r"^ ❯ No, exit\n +Yes, I trust this folder", "send": "\x1b[B\r"},
        {"screen": r"^ ❯ 1\. Yes, I trust this folder", "send": "1"},
        {
            "screen": r"^ (?P<tool>\w+) command\n[\s\S]*?^╌+\n(?P<detail>[\s\S]+?)^╌+\n[\s\S]*?^ ❯ 1\. Yes",
            "allow": "1",
            "deny": "\x1b",
        },
        {
            "screen": r"^─+\n (?P<tool>\w.*)\n(?P<detail>[\s\S]+?)\n Do you want to .*\?\n ❯ 1\. Yes",
            "allow": "1",
            "deny": "\x1b",
        },
    ],
    "failures": [
        {"screen": r"^● .*(?:\(429\)|hit your .*limit).*", "outcome": "rate_limited"},
        {"screen": r"^● API Error: (?:5\d\d|.*\(5\d\d\)|.*verloaded).*", "outcome": "overloaded"},
        {"screen": r"^\s+⎿\s+(?:Invalid API key|Not logged in|Please run /login).*", "outcome": "auth"},
    ],
    "forgets": r"Conversation compacted",
}
"""As docs/backends.md gives it."""

LOOK = Reply(calls=(ToolCall(Tool("whoami"), {}),))
RUN = Reply(calls=(ToolCall(Tool("Bash", None), {"command": "python3 -c 'print(6*7)'", "description": "a try"}),))


def furnish(env: Mapping[str, str], cwd: Path) -> None:
    """Write what the program asks a new user for, but for the trust in the folder, and its list of MCP servers."""
    config = Path(env["CLAUDE_CONFIG_DIR"])
    config.mkdir(parents=True, exist_ok=True)
    keys = {"approved": [KEY[-20:]], "rejected": []}
    known = {"hasCompletedOnboarding": True, "theme": "dark", "customApiKeyResponses": keys}
    (config / ".claude.json").write_text(json.dumps(known), encoding="utf-8")
    headers = {"Authorization": "Bearer ${QUEENPOST_MCP_TOKEN}"}
    server = {"type": "http", "url": "${QUEENPOST_MCP_URL}", "headers": headers}
    (cwd / SERVERS).write_text(json.dumps({"mcpServers": {"queenpost": server}}), encoding="utf-8")


@dataclass(frozen=True)
class Case:
    """How it comes about."""

    brain: Brain = field(default_factory=lambda: Script(Reply("All done.")))
    pty: dict[str, Any] = field(default_factory=dict[str, Any])
    at: Literal["end", "permission", "tool"] = "end"
    """When it is to be seen."""
    permitted: Permitted = field(default_factory=lambda: Permitted(allow=True))


def failing(kind: Failing) -> Brain:
    """Fail whenever it is asked."""
    return lambda heard: Reply.failing(kind)


def stuck(heard: Heard) -> Reply:
    """Never answer."""
    return Reply("never").once(anyio.Event())


def cases() -> dict[str, Case]:
    """Make them anew: a brain is good for one turn."""
    refused = Permitted(allow=False, why="denied by the operator")
    return {
        "trust": Case(pty={"answers": [], "start_s": 8.0}),
        "completed": Case(Script(LOOK, Reply("All done."))),
        "working": Case(Script(LOOK, stuck), at="tool"),
        "permission": Case(Script(RUN, LOOK, Reply("All done.")), at="permission"),
        "allowed": Case(Script(RUN, LOOK, Reply("All done."))),
        "denied": Case(Script(RUN, LOOK, Reply("Without it."), then=Reply("That is all.")), permitted=refused),
        "no_tool": Case(Script(Reply("I only talk."), then=Reply("And talk."))),
        "rate_limited": Case(failing("rate_limit")),
        "overloaded": Case(failing("overloaded")),
        "bad_key": Case(failing("bad_key")),
        "interrupted": Case(Script(LOOK, stuck)),
    }


class CallingDesk(FakeDesk):
    """Notes what is called, as the desk of a hosted agent does."""

    def __init__(self) -> None:
        super().__init__()
        self.tools = ToolCalls()

    async def call(self, request: Request, result: type[R], *, timeout_s: float = 30.0) -> R:
        """See `Desk`."""
        with self.tools.call("whoami"):
            return await super().call(request, result, timeout_s=timeout_s)


class Tape(Screen):
    """Keeps what it is fed with."""

    reel = bytearray()

    def feed(self, data: bytes) -> str:
        """See `Screen`."""
        self.reel += data
        return super().feed(data)


class Recorder(PtyBackend):
    """Draws on a tape."""

    screen = Tape


@dataclass(frozen=True)
class Door:
    """Our tools for one agent."""

    url: str
    bearers: Bearers


@dataclass
class Shown:
    """What a case gave."""

    ended: Ended
    screen: bytes


async def play(name: str, program: Program, talk: Conversation, home: Path, door: Door) -> Shown:
    """Run a turn; gives what was on the screen at the moment that the case is about."""
    case, tape, desk = cases()[name], Tape.reel, CallingDesk()
    tape.clear()
    talk.brain = case.brain
    env = surround("claude", home, talk)
    workspace = Workspace(Home(home / "fleet"), "alice")
    workspace.home.create()
    workspace.make()
    furnish(env, workspace.state)
    given = {
        "backend": "pty",
        "command": list(program.command),
        "args": list(ARGS),
        "env": env,
        "pty": {**TABLE, **case.pty},
    }
    settings = AgentSettings.model_validate(given)
    expect = partial(door.bearers.expect, desk.agent)
    seat = Seat(workspace, settings, door.url, door.bearers.issue(desk), attached=expect, tools=desk.tools)
    assert settings.pty is not None
    assert isinstance(backend_for(seat), PtyBackend)
    backend, played, seen = Recorder(seat, settings.pty), Played(), list[bytes]()

    async def permit(permission: Permission) -> Permitted:
        seen.append(bytes(tape))
        return case.permitted

    with anyio.fail_after(LONGEST_S):
        async with (
            backend.open(),
            backend.run(TurnRequest("t1", "You have 1 message.\nplease go on", permit)) as running,
        ):
            async for event in running.events():
                played.events.append(event)
                if isinstance(event, ToolUse) and name in ("working", "interrupted"):
                    await anyio.sleep(1.0)  # the program draws its next step
                    seen.append(bytes(tape))
                    await running.interrupt()
            seen.append(bytes(tape))
    return Shown(played.ended, seen[-1] if case.at == "end" else seen[0])


# --- recording --------------------------------------------------------------------------------------


def tidy(screen: bytes) -> bytes:
    """Give the bytes without folders of this machine; what takes its place is as long, as it is drawn by columns."""
    screen = re.sub(rb"/var/tmp/qp-\w{8}", b"/srv/homes-of-alice1", screen)
    return re.sub(rb"127\.0\.0\.1:\d+", lambda found: b"its-model".ljust(len(found[0]), b"-"), screen)


async def record() -> None:
    """Record every case with the program that is there."""
    program, bearers, stop = find("claude"), Bearers(), anyio.Event()
    folder = GOLDEN / f"claude-{program.version}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    async with ModelServer() as models, anyio.create_task_group() as group:
        port: int = await group.start(http.serve, http.build_app(bearers), stop)
        door = Door(f"http://127.0.0.1:{port}{http.PATH}", bearers)
        for name in cases():
            talk = models.open(name.replace("_", "-"), Script())
            with tempfile.TemporaryDirectory(prefix="qp-", dir="/var/tmp", ignore_cleanup_errors=True) as home:
                shown = await play(name, program, talk, Path(home), door)
            (folder / f"{name}.bytes").write_bytes(tidy(shown.screen))
            print(f"{name}: {shown.ended.outcome} {shown.ended.reason}")  # noqa: T201
        stop.set()


if __name__ == "__main__":
    anyio.run(record)
