"""kill -9 of the harness and of the agent's program at each step of the loop; the store itself is asked what became."""

from collections.abc import AsyncGenerator, Iterable
from typing import Literal, get_args

import anyio
import pytest

from harness.checkpoints import STEPS
from tests.fakes.json_lines import lines_in
from tests.scenarios.forks import Forks, forks
from tests.scenarios.programs import Fleet, fleet_in, is_gone
from tests.scenarios.truth import Store, told
from wire.inbox import DeliveryStory

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

Victim = Literal["harness", "program"]

OFTEN = 20
PATIENT = 50

KEEPS_A_DIARY = """
import json, time
def run(agent):
    with (agent.state / "prompts").open("a") as file:
        file.write(json.dumps(agent.prompt) + "\\n")
    agent.say("I have read it")
    while (agent.state / "hold").exists():
        time.sleep(0.005)
    letters = [letter for letter in agent.all_mail() if letter.kind != "system"]
    for letter in letters:
        agent.send(letter.sender, f"done: {letter.body}", in_reply_to=letter.id, key=letter.id)
    with (agent.state / "finished").open("a") as file:
        file.write(json.dumps([letter.id for letter in letters]) + "\\n")
"""
"""It says what it was told, and that it came to its end: so a test need not believe anybody else."""

PROGRAM_RUNS = ("started", "begun", "called")
"""Steps at which a program that lives for one turn is there to be killed."""

HAD_SENT = {("program", "called"), ("harness", "called"), ("harness", "ran"), ("harness", "settled")}
"""Deaths behind the answer of the program: the next attempt has to be told of it."""


@pytest.fixture(scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Fleet]:
    """One broker for all; each test has an agent of its own."""
    async with fleet_in(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="module")
async def nursery(fleet: Fleet) -> AsyncGenerator[Forks]:
    """Where harnesses come from."""
    async with forks(fleet) as opened:
        yield opened


@pytest.fixture
async def harnesses(fleet: Fleet, nursery: Forks) -> AsyncGenerator[Forks]:
    """The same; what a test that fails has left there is ended."""
    yield nursery
    await nursery.end()
    fleet.armed.unlink(missing_ok=True)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("victim", get_args(Victim))
async def test_a_death_at_any_step_loses_nothing(fleet: Fleet, harnesses: Forks, victim: Victim, step: str) -> None:
    """[H21] [Z1] Issue 4: three times over the same agent; the next prompt says so, and what was already sent."""
    await survive(fleet, harnesses, victim, step, times=3)


@pytest.mark.torture
@pytest.mark.timeout(400)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("victim", get_args(Victim))
async def test_twenty_deaths_at_one_step(fleet: Fleet, harnesses: Forks, victim: Victim, step: str) -> None:
    """[Z1]: the same, twenty times."""
    await survive(fleet, harnesses, victim, step, times=OFTEN)


async def survive(fleet: Fleet, harnesses: Forks, victim: Victim, step: str, *, times: int) -> None:
    """Kill with mail in hand, again and again, and look into the store and the agent's diary."""
    agent = f"{victim}-{step}-{times}"
    path = fleet.home.root.parent / "diary.py"
    path.write_text(KEEPS_A_DIARY)
    await fleet.add(agent, backend="scripted", script=str(path))
    await harnesses.start(agent, "--takeover")
    hold = fleet.home.agent_state(agent) / "hold"
    sent: list[str] = []
    for number in range(times):
        with anyio.fail_after(PATIENT):
            if step == "begun":  # else it might be done before the harness has read its first word
                hold.touch()
            fleet.arm(step, victim)
            sent.append(await fleet.send(agent, f"{agent} {number}"))
            await strike(fleet, harnesses, agent, victim, step)
            hold.unlink(missing_ok=True)
            check_story(await fleet.handled(sent[-1]), victim, step)
            check_prompt(fleet, agent, sent[-1], had_sent=(victim, step) in HAD_SENT)
    await harnesses.stop()
    assert Store(fleet.home.database).wrong(sent) == []
    assert set(sent) <= finished(fleet, agent)
    answers = [item.in_reply_to for item in await fleet.mailbox() if item.sender == agent]
    assert sorted(filter(None, answers)) == sorted(sent)
    assert (await fleet.account()).lost == 0


async def strike(fleet: Fleet, harnesses: Forks, agent: str, victim: Victim, step: str) -> None:
    """Wait until the one that is armed for was killed; a harness gets a successor."""
    pids = await fleet.killed()
    assert bool(pids) is (victim == "harness" or step in PROGRAM_RUNS)
    if victim == "harness":
        await harnesses.dies()
        await harnesses.start(agent, "--takeover")
    else:
        await fleet.until(lambda: all_gone(pids), bool)


async def all_gone(pids: Iterable[int]) -> bool:
    """Say whether nothing of these process groups runs."""
    return all(is_gone(pid) for pid in pids)


def check_story(story: DeliveryStory, victim: Victim, step: str) -> None:
    """A death behind the close, or of nobody, is none of the mail's; a harness is never its fault."""
    again = step != "closed" if victim == "harness" else step in PROGRAM_RUNS
    assert story.attempt == (2 if again else 1)
    assert story.failures == int(victim == "program" and step in {"begun", "called"})
    assert story.restarts == int(victim == "harness" and again)


def check_prompt(fleet: Fleet, agent: str, message: str, *, had_sent: bool) -> None:
    """The prompt under which it was handled says its attempt, and all that the store knows to be sent."""
    prompts = lines_in(fleet.home.agent_state(agent) / "prompts")
    prompt = next(words for words in reversed(prompts) if f' id="{message}"' in words)
    attempt, sent = told(prompt, message)
    already = Store(fleet.home.database).already_sent(message, agent)
    assert sent == already
    assert bool(already) is had_sent
    assert attempt > 1 or not already


def finished(fleet: Fleet, agent: str) -> set[str]:
    """Give the mail with which the program itself came to its end."""
    return {message for line in lines_in(fleet.home.agent_state(agent) / "finished") for message in line}
