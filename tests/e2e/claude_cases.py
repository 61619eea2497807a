"""Every way in which a turn of the real Claude Code ends, brought about by what its model says.

`python -m tests.e2e.claude_cases` records them anew, into `tests/golden/claude/<version>/`: what the program wrote,
without what differs from run to run and from machine to machine.
"""

import json
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio

from harness.backends import session_file
from harness.backends.claude.backend import ClaudeBackend
from harness.backends.protocol import Output, ToolUse, TurnRequest
from harness.backends.seat import Seat
from harness.backends.session_file import Session
from harness.workspace import Workspace
from mcp_tools import http
from mcp_tools.bearers import Bearers
from tests.architecture.tree import ROOT
from tests.e2e.headless import Door
from tests.e2e.programs import Program, find
from tests.e2e.surroundings import surround
from tests.fakes.desk import FakeDesk
from tests.fakes.models.brains import Script
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Brain, Failing, Heard, Reply, Tool, ToolCall, Usage
from tests.harness.backends.playing import Played
from wire.home import Home
from wire.settings import AgentSettings

GOLDEN = ROOT / "tests" / "golden" / "claude"
LONGEST_S = 60
NOWHERE = "http://127.0.0.1:1"
"""Nobody listens there."""

LOOK = Reply(calls=(ToolCall(Tool("whoami"), {}),))
RUN = Reply(calls=(ToolCall(Tool("Bash", None), {"command": "python3 -c 1", "description": "a try"}),))
DEAR = Reply(calls=LOOK.calls, usage=Usage(input=100_000, output=1000))
NOT_BY_ITSELF: dict[str, str | None] = {"DISABLE_AUTO_COMPACT": "1"}
"""It compacts only if it is asked."""
QUOTA = {
    "anthropic-ratelimit-unified-status": "rejected",
    "anthropic-ratelimit-unified-reset": "4000000000",
    "anthropic-ratelimit-unified-representative-claim": "five_hour",
}


@dataclass(frozen=True)
class Case:
    """How it comes about."""

    brain: Brain = field(default_factory=lambda: Script(Reply("All done.")))
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    env: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """None takes a variable away."""
    before: tuple[str, ...] = ()
    """Prompts of turns before it."""
    aside: Brain | None = None
    """Makes summaries; unset: they succeed."""
    interrupt: bool = False
    line: str | None = None
    """Put in when the model is asked, and before it answers."""
    session: str | None = None
    door: str | None = None


def failing(kind: Failing, **more: Any) -> Brain:
    """Fail whenever it is asked."""
    return lambda heard: Reply.failing(kind, **more)


def full_once() -> Script:
    """A history that the model finds too long; shortened, it is read."""
    return Script(Reply("one"), Reply("two"), Reply.failing("context"), then=Reply("Where was I?"))


def cases() -> dict[str, Case]:
    """Make them anew: a brain is good for one turn."""
    stuck = Reply("never").once(anyio.Event())
    token: dict[str, str | None] = {"ANTHROPIC_API_KEY": None, "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-fake-000000"}
    return {
        "completed": Case(Script(LOOK, Reply("All done."))),
        "tool_denied": Case(Script(RUN, Reply("Without it, then.")), {"permissions": "deny"}),
        "late_line": Case(Script(Reply("one"), Reply("two")), line="one more thing"),
        "compacted": Case(full_once(), before=("one", "two")),
        "shortened": Case(full_once(), before=("one", "two", "three"), env=NOT_BY_ITSELF),
        "not_shortened": Case(full_once(), before=("one", "two", "three"), env=NOT_BY_ITSELF, aside=failing("context")),
        "lost_once": Case(Script(Reply.failing("disconnect"), Reply("All done."))),
        "rate_limited": Case(failing("rate_limit")),
        "quota": Case(failing("rate_limit", headers=QUOTA), env=token),
        "overloaded": Case(failing("overloaded")),
        "broken": Case(failing("broken")),
        "bad_key": Case(failing("bad_key")),
        "forbidden": Case(failing("forbidden")),
        "no_login": Case(env={"ANTHROPIC_API_KEY": None}),
        "no_model": Case(failing("no_model")),
        "credit": Case(failing("credit")),
        "context_full": Case(failing("context")),
        "max_turns": Case(lambda heard: LOOK, {"args": ["--max-turns", "2"]}),
        "budget": Case(lambda heard: DEAR, {"args": ["--max-budget-usd", "0.01"]}),
        "connection_lost": Case(failing("disconnect")),
        "unreachable": Case(env={"ANTHROPIC_BASE_URL": NOWHERE}),
        "refused": Case(lambda heard: Reply("I will not.", stop="refusal")),
        "too_long_an_answer": Case(lambda heard: Reply("and so on", stop="max_tokens")),
        "interrupted": Case(Script(LOOK, stuck), interrupt=True),
        "no_tools": Case(door=NOWHERE),
        "unknown_flag": Case(settings={"args": ["--no-such-flag"]}),
        "unknown_session": Case(session="00000000-0000-4000-8000-000000000000"),
    }


async def play(name: str, program: Program, models: ModelServer, home: Path, door: Door) -> Played:
    """Run the last turn of a case."""
    case, holding = cases()[name], anyio.Event()
    talk = models.open(name.replace("_", "-"), case.brain)
    talk.aside = case.aside or talk.aside
    if case.line is not None:
        answer = case.brain

        async def brain(heard: Heard) -> Reply:
            reply = answer(heard)
            return (reply if isinstance(reply, Reply) else await reply).once(holding)

        talk.brain = brain
    env = {key: value for key, value in surround("claude", home, talk).items() if key not in case.env}
    env |= {key: value for key, value in case.env.items() if value is not None}
    workspace = Workspace(Home(home / "fleet"), "alice")
    workspace.home.create()
    workspace.make()
    settings = {"backend": "claude", "command": list(program.command), "env": env, **case.settings}
    seat = Seat(workspace, AgentSettings.model_validate(settings), case.door or door.url, door.token)
    if case.session is not None:
        session_file.write(workspace.session_file, Session("claude", case.session, str(seat.cwd)))
    backend = ClaudeBackend(seat)
    with anyio.fail_after(LONGEST_S):
        async with backend.open():
            for prompt in case.before:
                await _turn(backend, prompt)
            return await _turn(backend, "please go on", case, holding)


async def _turn(
    backend: ClaudeBackend, prompt: str, case: Case | None = None, holding: anyio.Event | None = None
) -> Played:
    played, put_in = Played(), case is None or case.line is None
    async with backend.run(TurnRequest("t1", prompt)) as running:
        async for event in running.events():
            played.events.append(event)
            if case is not None and case.interrupt and isinstance(event, ToolUse):
                await running.interrupt()
            if not put_in and case is not None and case.line and b'"init"' in _written(played):
                put_in = await running.nudge(case.line)
                if holding is not None:
                    holding.set()
    return played


def _written(played: Played) -> bytes:
    return b"".join(event.data for event in played.events if isinstance(event, Output) and event.stream == "stdout")


# --- recording --------------------------------------------------------------------------------------

_DROPPED = re.compile(
    r"tools|(terminal_)?slash_commands|agents|skills|plugins|capabilities|messaging_socket_path|memory_paths|"
    r"(original_)?cwd|additional_directories|timestamp|duration(_api)?_ms|ttft(_stream)?_ms|time_to_request_ms|"
    r"request_id|subagent_stats|tool_use_(meta|result)|output_style|fast_mode_\w+|diagnostics|container|stop_details|"
    r"context_management|hostname|pid"
)
"""Fields that differ from run to run or from machine to machine, or are long and say nothing of how a turn went."""
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?:toolu|msg|req)_[0-9a-f]{16,}")


def tidy(played: Played) -> str:
    """Give what the program wrote in a form that is the same for each run; stderr as the last line."""
    kept = [_without(json.loads(line)) for line in _written(played).decode().splitlines()]
    if errors := played.text("stderr").strip():
        kept.append({"stderr": errors})
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
    names: dict[str, str] = {}
    text = _UUID.sub(lambda found: names.setdefault(found[0], f"id-{len(names) + 1}"), text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", text)
    return re.sub(r"(/[\w.-]+)*/qp-[\w./-]+", "/work", text)


def _without(value: object) -> object:
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {key: _without(item) for key, item in fields.items() if not _DROPPED.fullmatch(key)}
    return [_without(item) for item in cast("list[object]", value)] if isinstance(value, list) else value


@asynccontextmanager
async def tools() -> AsyncGenerator[Door]:
    """Our tools, at a desk that knows nothing."""
    bearers, stop = Bearers(), anyio.Event()
    async with anyio.create_task_group() as group:
        port: int = await group.start(http.serve, http.build_app(bearers), stop)
        yield Door(f"http://127.0.0.1:{port}{http.PATH}", bearers.issue(FakeDesk()))
        stop.set()


async def record() -> None:
    """Record every case with the program that is there."""
    program = find("claude")
    folder = GOLDEN / program.version
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    async with ModelServer() as models, tools() as door:
        for name in cases():
            with tempfile.TemporaryDirectory(prefix="qp-", dir="/var/tmp", ignore_cleanup_errors=True) as home:
                played = await play(name, program, models, Path(home), door)
            (folder / f"{name}.jsonl").write_text(tidy(played), encoding="utf-8")
            print(f"{name}: {played.ended.outcome} {played.ended.reason}")  # noqa: T201


if __name__ == "__main__":
    anyio.run(record)
