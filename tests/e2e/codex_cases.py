"""Every way in which a turn of the real Codex ends, brought about by what its model says.

`python -m tests.e2e.codex_cases` records them anew, into `tests/golden/codex/<version>/`: what the program wrote,
without what differs from run to run and from machine to machine. Those of `codex exec` have `exec_` before their name.
"""

import json
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio

from harness.backends.choose import backend_for
from harness.backends.protocol import Backend, Output, Permission, Permitted, ToolUse, TurnRequest
from harness.backends.seat import Seat
from harness.workspace import Workspace
from tests.architecture.tree import ROOT
from tests.e2e.claude_cases import tools
from tests.e2e.headless import Door
from tests.e2e.programs import Program, find
from tests.e2e.surroundings import surround
from tests.fakes.models.brains import Script
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Brain, Failing, Reply, Tool, ToolCall
from tests.harness.backends.codex.table import COLD, EXPECTED
from tests.harness.backends.playing import Played
from wire.home import Home
from wire.settings import AgentSettings

GOLDEN = ROOT / "tests" / "golden" / "codex"
LONGEST_S = 60
NOWHERE = "http://127.0.0.1:1/v1"
"""Nobody listens there."""

LOOK = Reply(calls=(ToolCall(Tool("whoami"), {}),))
QUOTA = {
    "x-codex-primary-used-percent": "100",
    "x-codex-primary-window-minutes": "300",
    "x-codex-primary-reset-at": "4000000000",
}
COLD_SETTINGS: dict[str, Any] = {"warm": False, "permissions": "bypass"}


def run(command: str, **more: Any) -> Reply:
    """Run a command."""
    return Reply(calls=(ToolCall(Tool("exec_command", None), {"cmd": command, **more}),))


@dataclass(frozen=True)
class Case:
    """How it comes about."""

    brain: Brain = field(default_factory=lambda: Script(Reply("All done.")))
    interrupt: bool = False
    url: str | None = None
    """Of the model."""


def failing(kind: Failing, **more: Any) -> Brain:
    """Fail whenever it is asked."""
    return lambda heard: Reply.failing(kind, **more)


def cases() -> dict[str, Case]:
    """Make them anew: a brain is good for one turn."""
    stuck = Reply("never").once(anyio.Event())
    asking = run("touch notes", sandbox_permissions="require_escalated", justification="It is my work.")
    return {
        "completed": Case(Script(LOOK, Reply("All done."))),
        "permission": Case(Script(asking, Reply("Written."))),
        "lost_once": Case(Script(Reply.failing("disconnect"), Reply("All done."))),
        "interrupted": Case(Script(LOOK, stuck), interrupt=True),
        "rate_limited": Case(failing("rate_limit")),
        "quota": Case(failing("quota", headers=QUOTA, resets_at_s=4_000_000_000)),
        "overloaded": Case(failing("overloaded")),
        "broken": Case(failing("broken")),
        "bad_key": Case(failing("bad_key")),
        "forbidden": Case(failing("forbidden")),
        "no_model": Case(failing("no_model")),
        "credit": Case(failing("credit")),
        "context_full": Case(failing("context")),
        "connection_lost": Case(failing("disconnect")),
        "unreachable": Case(url=NOWHERE),
        "too_long_an_answer": Case(lambda heard: Reply("and so on", stop="max_tokens")),
        "refused": Case(lambda heard: Reply("I will not.", stop="refusal")),
    }


async def play(name: str, program: Program, models: ModelServer, home: Path, door: Door, **settings: Any) -> Played:
    """Run the turn of a case."""
    case = cases()[name]
    talk = models.open(name.replace("_", "-"), case.brain)
    env = surround("codex", home, talk)
    config = home / ".codex" / "config.toml"
    if case.url is not None:
        config.write_text(config.read_text(encoding="utf-8").replace(talk.url_v1, case.url), encoding="utf-8")
    workspace = Workspace(Home(home / "fleet"), "alice")
    workspace.home.create()
    workspace.make()
    given = {"backend": "codex", "command": list(program.command), "env": env, **settings}
    backend = backend_for(Seat(workspace, AgentSettings.model_validate(given), door.url, door.token))
    assert backend is not None
    with anyio.fail_after(LONGEST_S):
        async with backend.open():
            return await _turn(backend, case)


async def _turn(backend: Backend, case: Case) -> Played:
    async def permit(permission: Permission) -> Permitted:
        return Permitted(allow=True)

    played = Played()
    async with backend.run(TurnRequest("t1", "please go on", permit)) as running:
        async for event in running.events():
            played.events.append(event)
            if case.interrupt and isinstance(event, ToolUse):
                await running.interrupt()
    return played


# --- recording --------------------------------------------------------------------------------------

_DROPPED = re.compile(
    r"emittedAtMs|(started|completed|updated|created|recency)At(Ms)?|durationMs|processId|cwd|path|instructionSources|"
    r"arguments|result|structured_?[cC]ontent|environments|installationId|serverName|cliVersion|gitInfo|"
    r"aggregated_?[oO]utput|headers|thread"
)
"""Fields that differ from run to run or from machine to machine, or are long and say nothing of how a turn went."""
_NAME = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?:call|msg)_[0-9a-f]{16,}")


def tidy(played: Played) -> str:
    """Give what the program wrote in a form that is the same for each run."""
    written = b"".join(event.data for event in played.events if isinstance(event, Output) and event.stream == "stdout")
    kept = [_without(json.loads(line)) for line in written.decode().splitlines()]
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
    program = find("codex")
    folder = GOLDEN / program.version
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    warm: dict[str, Any] = {}
    wanted = [(name, name, warm) for name in EXPECTED] + [(name, f"exec_{name}", COLD_SETTINGS) for name in COLD]
    async with ModelServer() as models, tools() as door:
        for name, file, settings in wanted:
            with tempfile.TemporaryDirectory(prefix="qp-", dir="/var/tmp", ignore_cleanup_errors=True) as home:
                played = await play(name, program, models, Path(home), door, **settings)
            (folder / f"{file}.jsonl").write_text(tidy(played), encoding="utf-8")
            print(f"{file}: {played.began} {played.ended}")  # noqa: T201


if __name__ == "__main__":
    anyio.run(record)
