"""What the turn loop adds to Claude Code: to the first request of its model, and to a whole turn."""

import json
from pathlib import Path
from time import perf_counter

import anyio

from benchmarks.claude import Direct, Instants, direct
from benchmarks.figures import percentile
from benchmarks.hosted import Hosted, hosted, settings_of
from benchmarks.plan import Plan
from benchmarks.rows import Series
from tests.e2e.programs import MissingProgramError, Program, find
from tests.e2e.surroundings import surround
from tests.fakes.models.brains import Drain
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.server import ModelServer
from wire.inbox import InboxExplained

WORDS = "Please look at the queue."
WARM_UP = 3
SETTLE_S = 0.03
"""Behind a turn: the agent is parked again, and the program has put away what it keeps of it."""
MODEL_WITHIN_S = 60.0


async def beside_claude(series: Series, plan: Plan, folder: Path) -> None:
    """Take the rows of a real program, or say why they are left out."""
    program = _program(plan)
    if isinstance(program, str):
        series.left_out["claude"] = program
        return
    async with ModelServer() as models:
        alone, inside = Instants(), Instants()
        talks = {"alice": models.open("alice", inside), "bob": models.open("bob", Drain(lambda _: None))}
        agents = {name: _agent(program, folder / name, talk) for name, talk in talks.items()}
        environment = surround("claude", folder / "alone", models.open("alone", alone))
        async with (
            hosted(folder / "home", settings_of(agents)) as fleet,
            direct(program, environment, folder / "alone" / "work") as floor,
        ):
            await _round(Series(), WARM_UP, fleet, floor, inside)
            for _ in range(plan.turn_rounds):
                await _round(series, plan.turns, fleet, floor, inside)
            series.add("claude burst", await fleet.turns_for("bob", plan.burst))


def _program(plan: Plan) -> Program | str:
    if not plan.real_programs:
        return "this run does without real programs"
    try:
        return find("claude")
    except MissingProgramError as exc:
        return str(exc)


def _agent(program: Program, home: Path, talk: Conversation) -> list[str]:
    pairs = surround("claude", home, talk).items()
    environment = ", ".join(f"{name} = {json.dumps(value)}" for name, value in pairs)
    command = json.dumps(list(program.command))
    return ['backend = "claude"', f"command = {command}", f"env = {{ {environment} }}"]


async def _round(series: Series, count: int, fleet: Hosted, floor: Direct, model: Instants) -> None:
    """A turn of the program alone and one in the fleet, by turns; both are warm, and wait."""
    own: list[float] = []
    to_model: list[float] = []
    turns: list[float] = []
    for _ in range(count):
        own.append(await floor.turn(WORDS))
        asked = len(model.asked)
        message = await fleet.send("alice", WORDS)
        accepted_at = perf_counter()
        with anyio.fail_after(MODEL_WITHIN_S):
            await model.count(asked + 1)
        to_model.append(model.asked[asked] - accepted_at)
        turns.append(_seconds(await fleet.handled(message)))
        await anyio.sleep(SETTLE_S)
    series.add("own turn", percentile(own, 50))
    series.add("send to model p95", percentile(to_model, 95))
    series.add("send to model p50", percentile(to_model, 50))
    series.add("hosted turn", percentile(turns, 50))
    series.add("loop", percentile(turns, 50) - percentile(own, 50))


def _seconds(story: InboxExplained) -> float:
    """From the acceptance to the end of the turn, by the broker's clock: whole milliseconds."""
    at_ms = {step.event: step.at_ms for step in story.history}
    return (at_ms["handled"] - at_ms["accepted"]) / 1000
