"""How soon an idle interactive Claude Code is woken: by mail through `queenpost claude`, and by its own `asyncRewake`.

The latter's hook waits on a file of its own (a named pipe, so that it loses no time with looking) and exits at once.
"""

import json
import os
import shlex
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

import anyio
import anyio.to_thread

from benchmarks.figures import Figure, Goal, percentile
from benchmarks.hosted import Hosted, hosted
from benchmarks.plan import Plan
from benchmarks.rows import Series
from tests.e2e.programs import MissingProgramError, Program, find
from tests.e2e.surroundings import KEY, surround
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Heard, Reply
from tests.fakes.person import Person, person, queenpost

WORDS = "Please look at the queue."
WARM_UP = 2
SETTLE_S = 0.3
"""Behind a turn: the screen is painted, and the hook that waits for the next wake is parked."""
WITHIN_S = 60.0


class Waking:
    """A model that says when it was asked first after it was woken, and takes the mail that a hook named."""

    def __init__(self) -> None:
        self.asked_at = 0.0
        self.asked = anyio.Event()

    def __call__(self, heard: Heard) -> Reply:
        """See `tests.fakes.models.talk.Brain`."""
        if heard.results:
            return Reply("Read.")
        self.asked_at = perf_counter()
        self.asked.set()
        return Reply.calling("recv") if "call recv" in heard.news else Reply("Read.")

    async def since(self, started: float) -> float:
        """Wait until it is asked; gives how long that took, in seconds."""
        with anyio.fail_after(WITHIN_S):
            await self.asked.wait()
        self.asked = anyio.Event()
        return self.asked_at - started


async def beside_sessions(series: Series, plan: Plan, folder: Path) -> None:
    """Take the rows of interactive sessions, or say why they are left out."""
    try:
        program = find("claude") if plan.real_programs else None
    except MissingProgramError as exc:
        series.left_out["session"] = str(exc)
        return
    if program is None:
        series.left_out["session"] = "this run does without real programs"
        return
    mail, file = Waking(), Waking()
    async with (
        ModelServer() as models,
        hosted(folder / "home", '[agents.alice]\nbackend = "none"\n') as fleet,
        _session(program, folder / "mail", models.open("mail", mail), fleet),
        _alone(program, folder / "file", models.open("file", file)) as pipe,
    ):
        await _attached(fleet)
        await _round(Series(), WARM_UP, fleet, mail, file, pipe)
        for _ in range(plan.turn_rounds):
            await _round(series, plan.turns, fleet, mail, file, pipe)


def session_goals(series: Series) -> list[Figure]:
    """Give the row that has to reach something."""
    name = "idle interactive session, send to first request of the model, p95 ÷ its own wake by a file, p95"
    goal = Goal("≤", 5)
    if why := series.left_out.get("session"):
        return [Figure(name, "×", [], goal, why)]
    return [series.ratio(name, "session woken", "session's own", goal)]


def session_figures(series: Series) -> list[Figure]:
    """Give what it is made of."""
    return [
        *series.figure("idle interactive session, send to first request of the model, p95", "ms", "session woken", 1e3),
        *series.figure("idle interactive session, file to first request of the model, p95", "ms", "session's own", 1e3),
    ]


async def _round(series: Series, count: int, fleet: Hosted, mail: Waking, file: Waking, pipe: Path) -> None:
    """One wake of each by turns; both sessions are idle in between."""
    by_mail: list[float] = []
    by_file: list[float] = []
    for _ in range(count):
        await anyio.sleep(SETTLE_S)
        # Opening it waits until the hook reads; the wake begins with what is written.
        with await anyio.to_thread.run_sync(lambda: pipe.open("wb", buffering=0)) as writer:
            await anyio.sleep(SETTLE_S)
            started = perf_counter()
            writer.write(b"go\n")
        by_file.append(await file.since(started))
        message = await fleet.send("alice", WORDS)
        by_mail.append(await mail.since(perf_counter()))
        await fleet.handled(message)
    series.add("session woken", percentile(by_mail, 95))
    series.add("session's own", percentile(by_file, 95))


async def _attached(fleet: Hosted) -> None:
    await fleet.agents_are(lambda agent: agent.attached)


@asynccontextmanager
async def _session(program: Program, home: Path, talk: Conversation, fleet: Hosted) -> AsyncGenerator[Person]:
    words = ["claude", "--home", str(fleet.home.root), "--name", "alice", "--program", program.command[0]]
    async with _in_terminal(queenpost(*words, "--", "--permission-mode", "default"), home, talk) as someone:
        yield someone


@asynccontextmanager
async def _alone(program: Program, home: Path, talk: Conversation) -> AsyncGenerator[Path]:
    """The program without Queenpost; gives the pipe into which a line has to be written to wake it."""
    home.mkdir(parents=True)
    pipe = home / "pipe"
    os.mkfifo(pipe)
    waits = {
        "type": "command",
        "command": f"read line < {shlex.quote(str(pipe))}; echo {shlex.quote(WORDS)} >&2; exit 2",
        "asyncRewake": True,
        "timeout": 86_400,
    }
    settings = {"hooks": {event: [{"hooks": [waits]}] for event in ("SessionStart", "Stop")}}
    line = [*program.command, "--settings", json.dumps(settings), "--permission-mode", "default"]
    async with _in_terminal(line, home, talk):
        yield pipe
    # The hook that still waits runs in a session of its own and outlives the program: an end of file ends it.
    os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))


@asynccontextmanager
async def _in_terminal(line: Sequence[str], home: Path, talk: Conversation) -> AsyncGenerator[Person]:
    work = home / "work"
    work.mkdir(parents=True)
    environment = {**surround("claude", home, talk), "TERM": "xterm-256color"}
    been_here(home, work)
    async with person(line, environment, work) as someone:
        yield someone


def been_here(home: Path, work: Path) -> None:
    """Let the program start without the questions of a first start."""
    config = home / ".claude" / ".claude.json"
    config.parent.mkdir(exist_ok=True)
    keys = {"approved": [KEY[-20:]], "rejected": []}
    about = {"hasCompletedOnboarding": True, "theme": "dark", "customApiKeyResponses": keys}
    config.write_text(json.dumps({**about, "projects": {str(work): {"hasTrustDialogAccepted": True}}}), "utf-8")
