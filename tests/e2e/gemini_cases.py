"""Every way in which a turn of the real Gemini CLI ends, brought about by what its model says.

`python -m tests.e2e.gemini_cases` records them anew, into `tests/golden/gemini/<version>/`: what the program wrote,
without what differs from run to run and from machine to machine.
"""

import json
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio

from harness.backends import session_file
from harness.backends.gemini.backend import GeminiBackend
from harness.backends.protocol import ToolUse, TurnRequest
from harness.backends.seat import Seat, attached_already
from harness.backends.session_file import Session
from harness.workspace import Workspace
from tests.architecture.tree import ROOT
from tests.e2e.claude_cases import failing, tools
from tests.e2e.headless import Door
from tests.e2e.kinds import GEMINI, shell
from tests.e2e.programs import Program, find
from tests.e2e.surroundings import surround
from tests.fakes.models.brains import Script
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Brain, Reply
from tests.harness.backends.gemini.table import EXPECTED
from tests.harness.backends.playing import Played
from wire.home import Home
from wire.settings import AgentSettings

GOLDEN = ROOT / "tests" / "golden" / "gemini"
LONGEST_S = 60
NOWHERE = "http://127.0.0.1:1"
"""Nobody listens there."""

LOOK = Reply.calling("whoami")
CALCULATE = shell("python3 -c 'print(6*7)'")
"""Not among the commands that it allows by itself."""
DEPLETED = "Your prepayment credits are depleted. Please go to AI Studio to manage your project and billing."
WRONG_KEY = "API key not valid. Please pass a valid API key."


@dataclass(frozen=True)
class Case:
    """How it comes about."""

    brain: Brain = field(default_factory=lambda: Script(Reply("All done.")))
    env: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """None takes a variable away."""
    args: list[str] = field(default_factory=list[str])
    model: dict[str, Any] = field(default_factory=dict[str, Any])
    """In its own settings."""
    prompt: str = "please go on"
    interrupt: bool = False
    session: str | None = None
    door: str | None = None


def cases() -> dict[str, Case]:
    """Make them anew: a brain is good for one turn."""
    stuck = Reply("never").once(anyio.Event())
    return {
        "completed": Case(Script(LOOK, Reply("All done."))),
        "no_last_words": Case(Script(LOOK, then=Reply(""))),
        "tool_denied": Case(Script(CALCULATE, Reply("Without it, then."))),
        "too_long_an_answer": Case(lambda heard: Reply("and so on", stop="max_tokens")),
        "unknown_session": Case(session="00000000-0000-4000-8000-000000000000"),
        "refused": Case(lambda heard: Reply("", stop="refusal")),
        "interrupted": Case(Script(LOOK, stuck), interrupt=True),
        "max_turns": Case(lambda heard: LOOK, model={"maxSessionTurns": 2}),
        "overflow": Case(prompt="so many words " * 400_000),
        "context_full": Case(failing("context")),
        "bad_key": Case(failing("bad_key")),
        "bad_key_400": Case(failing("context", words=WRONG_KEY)),
        "forbidden": Case(failing("forbidden")),
        "no_login": Case(env={"GEMINI_API_KEY": None}),
        "no_model": Case(failing("no_model")),
        "credit": Case(failing("credit", words=DEPLETED)),
        "rate_limited": Case(failing("rate_limit")),
        "quota": Case(failing("credit", words="You exceeded your current quota, please check your plan.")),
        "quota_until": Case(failing("rate_limit", retry_after_s=3600)),
        "overloaded": Case(failing("overloaded")),
        "broken": Case(failing("broken")),
        "connection_lost": Case(failing("disconnect")),
        "unreachable": Case(env={"GOOGLE_GEMINI_BASE_URL": NOWHERE}),
        "no_tools": Case(door=NOWHERE),
        "unknown_flag": Case(args=["--no-such-flag"]),
    }


async def play(name: str, program: Program, models: ModelServer, home: Path, door: Door) -> Played:
    """Run the turn of a case."""
    case = cases()[name]
    talk = models.open(name.replace("_", "-"), case.brain)
    env = {key: value for key, value in surround("gemini", home, talk).items() if key not in case.env}
    env |= {key: value for key, value in case.env.items() if value is not None}
    workspace = Workspace(Home(home / "fleet"), "alice")
    workspace.home.create()
    workspace.make()
    own = workspace.programs / "gemini/.gemini/settings.json"
    own.parent.mkdir(parents=True)
    own.write_text(json.dumps({"general": {"maxAttempts": 2}, "model": case.model}), encoding="utf-8")
    given = {"backend": "gemini", "command": list(program.command), "env": env, **GEMINI.settings, "args": case.args}
    settings = AgentSettings.model_validate(given)
    attached = attached_already if case.door is None else anyio.Event
    seat = Seat(workspace, settings, case.door or door.url, door.token, attached=attached)
    if case.session is not None:
        session_file.write(workspace.session_file, Session("gemini", case.session, str(seat.cwd)))
    backend = GeminiBackend(seat)
    with anyio.fail_after(LONGEST_S):
        async with backend.open():
            return await _turn(backend, case)


async def _turn(backend: GeminiBackend, case: Case) -> Played:
    played = Played()
    async with backend.run(TurnRequest("t1", case.prompt)) as running:
        async for event in running.events():
            played.events.append(event)
            if case.interrupt and isinstance(event, ToolUse):
                await running.interrupt()
    return played


# --- recording --------------------------------------------------------------------------------------

_DROPPED = re.compile(r"authMethods|agentCapabilities|modes|models|availableCommands|content")
"""Fields that are long and say nothing of how a turn went."""
_NAME = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|fc_[0-9a-f]{16,}")


def tidy(played: Played) -> str:
    """Give what the program wrote in a form that is the same for each run; stderr as the last line."""
    kept = [_without(json.loads(line)) for line in played.text().splitlines()]
    if errors := played.text("stderr").strip():
        kept.append({"stderr": errors.splitlines()[-1]})
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
    names: dict[str, str] = {}
    text = _NAME.sub(lambda found: names.setdefault(found[0], f"id-{len(names) + 1}"), text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", text)
    return re.sub(r"(/[\w.-]+)*/qp-[\w./-]+", "/work", text)


def _without(value: object) -> object:
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {key: _without(item) for key, item in fields.items() if not _DROPPED.fullmatch(key)}
    return [_without(item) for item in cast("list[object]", value)] if isinstance(value, list) else value


async def record() -> None:
    """Record every case with the program that is there."""
    program = find("gemini")
    folder = GOLDEN / program.version
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    async with ModelServer() as models, tools() as door:
        for name in EXPECTED:
            with tempfile.TemporaryDirectory(prefix="qp-", dir="/var/tmp", ignore_cleanup_errors=True) as home:
                played = await play(name, program, models, Path(home), door)
            (folder / f"{name}.jsonl").write_text(tidy(played), encoding="utf-8")
            print(f"{name}: {played.ended.outcome} {played.ended.reason} {played.began}")  # noqa: T201


if __name__ == "__main__":
    anyio.run(record)
