"""Every way in which a turn of the real opencode ends, brought about by what its model says.

`python -m tests.e2e.opencode_cases` records them anew, into `tests/golden/opencode/<version>/`: the events that a turn
hears and what its request is answered with, without what differs from machine to machine.
"""

import json
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from harness.backends.opencode.backend import OpencodeBackend
from harness.backends.opencode.server import RefusedError, Server
from harness.backends.protocol import ToolUse, TurnRequest
from harness.backends.seat import Seat
from harness.workspace import Workspace
from mcp_tools import http
from mcp_tools.bearers import Bearers
from tests.architecture.tree import ROOT
from tests.e2e.headless import Door
from tests.e2e.kinds import opencode_bash
from tests.e2e.programs import Program, find
from tests.e2e.surroundings import surround
from tests.fakes.desk import FakeDesk
from tests.fakes.models.brains import Script
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Brain, Failing, Reply
from tests.harness.backends.playing import Played
from wire.home import Home
from wire.settings import AgentSettings

GOLDEN = ROOT / "tests" / "golden" / "opencode"
LONGEST_S = 90
HEARD = ("message.updated", "message.part.", "session.status", "session.error", "session.compacted", "permission.")


@dataclass(frozen=True)
class Case:
    """How it comes about."""

    brain: Brain = field(default_factory=lambda: Script(then=Reply("All done.")))
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    interrupt: bool = False
    unreachable: bool = False


def failing(kind: Failing, **more: Any) -> Case:
    """Fail whenever it is asked."""
    return Case(lambda heard: Reply.failing(kind, **more))


def cases() -> dict[str, Case]:
    """Make them anew: a brain is good for one turn."""
    look = Reply.calling("whoami")
    mended = Script(Reply.failing("context"), Reply("A summary."), then=Reply("Done after all."))
    return {
        "completed": Case(Script(look, then=Reply("All done."))),
        "denied": Case(Script(opencode_bash("touch made"), then=Reply("Without it, then."))),
        "context_mended": Case(mended),
        "interrupted": Case(
            Script(opencode_bash("sleep 60"), then=Reply("x")), {"permissions": "bypass"}, interrupt=True
        ),
        "bad_key": failing("bad_key"),
        "forbidden": failing("forbidden"),
        "no_model": failing("no_model"),
        "bad_model": Case(settings={"model": "scripted/nope"}),
        "credit": failing("credit"),
        "context": failing("context"),
        "rate_limit": failing("rate_limit"),
        "limit_until": failing("rate_limit", retry_after_s=3600),
        "broken": failing("broken"),
        "overloaded": failing("overloaded"),
        "offline": Case(unreachable=True),
        "disconnect": failing("disconnect"),
    }


class Recorder(OpencodeBackend):
    """The backend, and what it hears."""

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self.heard: list[dict[str, Any]] = []

    async def _event(self, server: Server, event: dict[str, Any]) -> None:
        if str(event.get("type")).startswith(HEARD):
            self.heard.append(event)
        await super()._event(_Overheard(server, self.heard), event)

    async def _reached(self, program: Any) -> Server:
        return _Overheard(await super()._reached(program), self.heard)


class _Overheard(Server):
    """The server, and what it answers to a prompt."""

    def __init__(self, server: Server, heard: list[dict[str, Any]]) -> None:
        self.__dict__.update(server.__dict__)
        self._heard = heard

    async def prompt(self, session: str, text: str, model: dict[str, str] | None) -> dict[str, Any]:
        try:
            answer = await super().prompt(session, text, model)
        except RefusedError as exc:
            self._heard.append({"refused": exc.status, "error": exc.error})
            raise
        self._heard.append({"answer": answer})
        return answer


async def play(name: str, program: Program, models: ModelServer, home: Path, door: Door) -> tuple[Played, Recorder]:
    """Run the turn of a case."""
    case, played = cases()[name], Played()
    talk = models.open(name.replace("_", "-"), case.brain)
    env = surround("opencode", home, talk)
    if case.unreachable:
        config = home / ".config" / "opencode" / "opencode.json"
        config.write_text(config.read_text(encoding="utf-8").replace(talk.url_v1, "http://127.0.0.1:1/v1"))
    workspace = Workspace(Home(home / "fleet"), "alice")
    workspace.home.create()
    workspace.make()
    settings = {"backend": "opencode", "command": list(program.command), "env": env, **case.settings}
    backend = Recorder(Seat(workspace, AgentSettings.model_validate(settings), door.url, door.token))
    with anyio.fail_after(LONGEST_S):
        async with backend.open(), backend.run(TurnRequest("t1", "please go on")) as running:
            async for event in running.events():
                played.events.append(event)
                if case.interrupt and isinstance(event, ToolUse):
                    await running.interrupt()
    return played, backend


# --- recording --------------------------------------------------------------------------------------


def tidy(heard: list[dict[str, Any]]) -> str:
    """Give what was heard in a form that names no machine."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in heard)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", text)
    return re.sub(r"/?[\w./-]*/qp-[\w.-]+(/[\w.-]+)*", "/work", text)


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
    program = find("opencode")
    folder = GOLDEN / program.version
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    async with ModelServer() as models, tools() as door:
        for name in cases():
            with tempfile.TemporaryDirectory(prefix="qp-", dir="/var/tmp", ignore_cleanup_errors=True) as home:
                played, backend = await play(name, program, models, Path(home), door)
            (folder / f"{name}.jsonl").write_text(tidy(backend.heard), encoding="utf-8")
            print(f"{name}: {played.ended.outcome} {played.ended.reason}")  # noqa: T201


if __name__ == "__main__":
    anyio.run(record)
