"""Jobs while something is away: the MQTT broker for a long time, our own broker in the middle of a turn."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from os import environ
from typing import Literal

import anyio
import pytest

from broker.bridge.child import Choice, choose, running
from tests.fakes.jobbing import PROGRAMS
from tests.scenarios.jobs import PROGRESS, STARTED, WHOLE, WORKS, fleet_with, register, said, until, write_script
from tests.scenarios.programs import Fleet, Program
from wire.errors import QueenpostError
from wire.home import Home
from wire.jobs import JobsShown
from wire.outbox import Outbox
from wire.settings import MqttSettings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]

PATIENCE_S = 90


@dataclass
class Elsewhere:
    """An MQTT broker that is not the fleet's own, and is not there yet."""

    home: Home
    choice: Choice
    fleet: Fleet


async def unrecorded(fleet: Fleet, agent: str, count: int) -> None:
    """Wait until so many events of an agent wait to be recorded."""
    path = fleet.home.agent_harness(agent) / "outbox.db"
    await fleet.file(path)
    with Outbox(path) as box:
        while box.count() != count:  # noqa: ASYNC110  # the other process has no event for it
            await anyio.sleep(0.01)


@pytest.fixture(params=PROGRAMS)
async def elsewhere(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Elsewhere]:
    """A fleet with the address, the user and the password of an MQTT broker that nobody has started."""
    program: Literal["mosquitto", "amqtt"] = request.param
    folder = tmp_path_factory.mktemp("far")
    other = Home(folder / "other")
    other.create()
    choice, _ = choose(other, MqttSettings(program=program), "queenpost/far", environ)
    url, password = f"mqtt://127.0.0.1:{choice.port}", other.mqtt_secret("bridge")
    mqtt = f'url = "{url}"\nuser = "bridge"\npassword_file = "{password}"\n[fleet]\nname = "far"'
    async with fleet_with(folder, mqtt) as fleet:
        yield Elsewhere(other, choice, fleet)


async def started(fleet: Fleet, agent: str, *words: str) -> Program:
    """Start a harness for an agent."""
    harness = await fleet.start_harness(agent, *words)
    assert await harness.becomes_ready(), harness.said.read_text()
    return harness


async def test_events_wait_for_an_mqtt_broker_that_is_away(elsewhere: Elsewhere) -> None:
    """Issue 5: down at start and for as long as it likes; turns go on, what was said outlives the harness too."""
    fleet = elsewhere.fleet
    with anyio.fail_after(PATIENCE_S):
        await fleet.add("alice", backend="scripted", script=write_script(fleet, "alice", WORKS))
        harness = await started(fleet, "alice")
        made = await register(fleet, "alice")
        assert made.message is not None
        await fleet.handled(made.message)
        await unrecorded(fleet, "alice", 3)
        assert said(await until(fleet, made.job, "running")) == []
        await harness.stop()
        await started(fleet, "alice", "--takeover")
        async with running(elsewhere.home, elsewhere.choice):
            assert said(await until(fleet, made.job, "completed")) == WHOLE
            await unrecorded(fleet, "alice", 0)


async def test_what_waited_for_an_earlier_claim_is_never_recorded(elsewhere: Elsewhere) -> None:
    """[P14] A harness that died with events in its outbox: its mail came again, and only the new claim speaks."""
    fleet = elsewhere.fleet
    with anyio.fail_after(PATIENCE_S):
        hold = fleet.home.agent_state("bob") / "hold"
        hold.parent.mkdir(mode=0o700, parents=True)
        hold.touch()
        await fleet.add("bob", backend="scripted", script=write_script(fleet, "bob", WORKS))
        harness = await started(fleet, "bob")
        made = await register(fleet, "bob")
        await unrecorded(fleet, "bob", 2)
        await harness.kill()
        hold.unlink()
        await started(fleet, "bob", "--takeover")
        assert made.message is not None
        await fleet.handled(made.message)
        async with running(elsewhere.home, elsewhere.choice):
            shown = await until(fleet, made.job, "completed")
            assert said(shown) == [(event, 2, seq) for event, _, seq in WHOLE]
            await unrecorded(fleet, "bob", 0)


@pytest.fixture(params=PROGRAMS)
async def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Fleet]:
    """A fleet with an MQTT broker of its own."""
    async with fleet_with(tmp_path_factory.mktemp("own"), f'program = "{request.param}"') as fleet:
        yield fleet


async def test_a_broker_that_dies_in_the_turn_of_a_job_takes_up_its_claim(own: Fleet) -> None:
    """Issue 5: broker and MQTT broker go together; the turn goes on under the same claim, every event is there once."""
    with anyio.fail_after(PATIENCE_S):
        hold = own.home.agent_state("carol") / "hold"
        hold.parent.mkdir(mode=0o700, parents=True)
        hold.touch()
        await own.add("carol", backend="scripted", script=write_script(own, "carol", WORKS))
        await started(own, "carol")
        made = await register(own, "carol")
        assert said(await until(own, made.job, "running", said=2)) == [STARTED, PROGRESS]
        await unrecorded(own, "carol", 0)  # the harness knows of both
        await own.broker.kill()
        hold.unlink()
        await unrecorded(own, "carol", 1)
        await own.start_broker()
        assert said(await patiently(own, made.job)) == WHOLE
        assert made.message is not None
        await own.handled(made.message)


async def patiently(fleet: Fleet, job: str) -> JobsShown:
    """Wait for the end of a job; the operator's connection may still be on its way to the new broker."""
    while True:
        try:
            return await until(fleet, job, "completed")
        except QueenpostError:
            await anyio.sleep(0.05)
