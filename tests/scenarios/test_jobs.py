"""Agents that work on jobs, with every program of ours and both MQTT brokers: what is claimed, said, and what dies."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from functools import partial
from subprocess import PIPE

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client

from tests.architecture.tree import ROOT
from tests.fakes.jobbing import PROGRAMS
from tests.mcp_tools.reading import framed, text_of
from tests.scenarios.jobs import (
    COMPLETED,
    PROGRESS,
    STARTED,
    WHOLE,
    WORKS,
    attended,
    fleet_with,
    register,
    said,
    sessions,
    write_script,
)
from tests.scenarios.jobs import until as until_job
from tests.scenarios.programs import Fleet
from wire.asks import AsksAnswer, AsksAnswered
from wire.client import new_key
from wire.jobs import JobsCancel, JobsChanged

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]

PATIENCE_S = 60
CLAUDE = [sys.executable, "-I", "-S", str(ROOT / "tests/fakes/claude.py")]

TWO_AT_ONCE = """
def run(agent):
    jobs = [letter.job for letter in agent.all_mail()]
    try:
        agent.publish("progress", "which one?")
    except Exception as exc:
        agent.say(f"refused: {exc}")
    for job in jobs:
        agent.publish("completed", "this one", job=job)
"""

REGISTERS = """
def run(agent):
    for letter in agent.mail:
        if letter.kind == "operator":
            agent.say(agent.register_job("count the valves", timeout_s=60, key=f"job:{letter.id}"))
            agent.send("bob", "there is work", key=letter.id)
        else:
            agent.say(f"told: {letter.body}")
"""

CLAIMS = """
def run(agent):
    while (job := agent.claim_job()) is not None:
        agent.publish("completed", f"done: {job.task}")
"""

ENDS_LATER = """
def run(agent):
    for letter in agent.mail:
        if letter.job is None and letter.kind == "operator":
            agent.publish("completed", "now it is", job=letter.body)
"""

MORTAL = """
import json, sys, anyio
from mcp import Client, StdioServerParameters

async def main():
    async with Client(StdioServerParameters(**json.loads(sys.argv[1]))) as client:
        await client.call_tool("recv", {})
        said = await client.call_tool("publish_event", {"event": "progress", "detail": "half"})
        print(json.dumps(said.content[0].text), flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""
"""A client of an attended session, to be killed with a job in its hands."""


@pytest.fixture(scope="module", params=PROGRAMS)
async def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Fleet]:
    """One broker with the one or the other MQTT broker; each test has agents of its own."""
    async with fleet_with(tmp_path_factory.mktemp("fleet"), f'program = "{request.param}"') as fleet:
        yield fleet


@pytest.fixture
async def fleet(broker: Fleet) -> AsyncGenerator[Fleet]:
    """The broker, and a scene in which harnesses are started."""
    async with broker.scene():
        yield broker


async def hosted(fleet: Fleet, agent: str, code: str, **settings: object) -> None:
    """Add a scripted agent, and a harness for it."""
    await fleet.add(agent, backend="scripted", script=write_script(fleet, agent, code), **settings)
    harness = await fleet.start_harness(agent)
    assert await harness.becomes_ready(), harness.said.read_text()


async def test_a_job_is_claimed_with_its_mail_and_ended_by_its_agent(fleet: Fleet) -> None:
    """[X04] [X08] Issue 5: started by the harness, the rest by the agent; the model is told in its prompt."""
    with anyio.fail_after(PATIENCE_S):
        await hosted(fleet, "alice", WORKS)
        made = await register(fleet, "alice")
        shown = await until_job(fleet, made.job, "completed")
        assert said(shown) == WHOLE
        assert [event.data for event in shown.events] == [{}, {"percent": 50}, {}]
        assert made.message is not None
        turn = (await fleet.handled(made.message)).turn
        (session,) = await sessions(fleet, made.job)
        assert (session.claimed_by, session.turn, session.state) == ("alice", turn, "stopped")
        told = await fleet.transcripts("alice")
        assert f'from="operator" kind="operator" job="{made.job}">\ncount the pumps\n' in told
        assert "Mail with `job` is a job" in told


async def test_several_jobs_in_one_turn_are_told_apart_by_name(fleet: Fleet) -> None:
    """DESIGN 7: publish_event without a job is an error that lists them."""
    with anyio.fail_after(PATIENCE_S):
        await fleet.add("carol", backend="scripted", script=write_script(fleet, "carol", TWO_AT_ONCE))
        jobs = [(await register(fleet, "carol")).job for _ in range(2)]
        harness = await fleet.start_harness("carol")
        assert await harness.becomes_ready()
        for job in jobs:
            shown = await until_job(fleet, job, "completed")
            assert said(shown) == [STARTED, ("completed", 1, 2)]
        words = f"several jobs are worked on in this turn: {', '.join(jobs)}; say which with job_id"
        assert words in await fleet.transcripts("carol")


async def test_a_job_for_whoever_is_free(fleet: Fleet) -> None:
    """[X19] Registered by one agent's tool, claimed by another's; who registered it gets mail about its end."""
    with anyio.fail_after(PATIENCE_S):
        await fleet.add("bob", backend="scripted", script=write_script(fleet, "bob", CLAIMS))
        await fleet.add("boss", role="manager", backend="scripted", script=write_script(fleet, "boss", REGISTERS))
        harness = await fleet.start_harness("bob", "boss")
        assert await harness.becomes_ready()
        await fleet.handled(await fleet.send("boss", "begin"))
        told = await fleet.until(partial(fleet.transcripts, "boss"), lambda told: "has ended" in told)
        job = told.partition("\n")[0]
        assert f'told: job {job} has ended: completed. It says: "done: count the valves"' in told
        assert said(await until_job(fleet, job, "completed")) == [STARTED, ("completed", 1, 2)]


@pytest.mark.parametrize("victim", ["harness", "program"])
async def test_a_death_in_the_turn_of_a_job_claims_it_again(fleet: Fleet, victim: str) -> None:
    """[P14] DESIGN 7: redelivered mail, a new epoch, the earlier claim fenced; each event recorded once."""
    agent = f"mortal-{victim}"
    with anyio.fail_after(PATIENCE_S):
        hold = fleet.home.agent_state(agent) / "hold"
        await fleet.add(agent, backend="scripted", script=write_script(fleet, agent, WORKS))
        hold.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        hold.touch()
        harness = await fleet.start_harness(agent)
        made = await register(fleet, agent)
        await until_job(fleet, made.job, "running", said=2)
        if victim == "harness":
            await harness.kill()
        else:
            os.killpg((await fleet.running(agent))["pid"], signal.SIGKILL)
        hold.unlink()
        if victim == "harness":
            await fleet.start_harness(agent, "--takeover")
        shown = await until_job(fleet, made.job, "completed")
        again = [(event, 2, seq) for event, _, seq in WHOLE]
        assert said(shown) == [STARTED, PROGRESS, *again]
        first, second = await sessions(fleet, made.job)
        assert (first.epoch, first.state, first.reason) == (1, "terminated", "claimed again")
        assert (second.epoch, second.state) == (2, "stopped")


async def test_a_turn_that_says_no_end_leaves_the_job_running(fleet: Fleet) -> None:
    """DESIGN 7: handled is not completed; a later turn ends it by its name, under a new claim."""
    with anyio.fail_after(PATIENCE_S):
        await hosted(fleet, "dora", ENDS_LATER)
        made = await register(fleet, "dora")
        assert made.message is not None
        await fleet.handled(made.message)
        shown = await until_job(fleet, made.job, "running", said=1)
        assert said(shown) == [STARTED]
        await fleet.handled(await fleet.send("dora", made.job))
        shown = await until_job(fleet, made.job, "completed")
        assert said(shown) == [STARTED, ("started", 2, 1), ("completed", 2, 2)]


async def test_a_cancelled_job_takes_no_word_of_its_agent(fleet: Fleet) -> None:
    """Issue 5: the claimant is fenced, its turn goes on, the record ends with the cancel."""
    with anyio.fail_after(PATIENCE_S):
        hold = fleet.home.agent_state("emil") / "hold"
        hold.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        hold.touch()
        await hosted(fleet, "emil", WORKS)
        made = await register(fleet, "emil")
        await until_job(fleet, made.job, "running", said=2)
        await fleet.operator.call(JobsCancel(key=new_key(), job=made.job, reason="enough"), JobsChanged)
        hold.unlink()
        assert made.message is not None
        await fleet.handled(made.message)
        shown = await until_job(fleet, made.job, "cancelled")
        assert said(shown) == [STARTED, PROGRESS, ("cancelled", 2, 1)]


async def test_a_job_that_ended_before_its_mail_was_read_is_said_to_be_over(fleet: Fleet) -> None:
    """Issue 5: nobody shall work for nothing; its mail is handled all the same, and nothing was said."""
    with anyio.fail_after(PATIENCE_S):
        script = write_script(fleet, "hans", "def run(agent):\n    agent.say(agent.prompt)\n")
        await fleet.add("hans", backend="scripted", script=script)
        made = await register(fleet, "hans")
        await fleet.operator.call(JobsCancel(key=new_key(), job=made.job), JobsChanged)
        harness = await fleet.start_harness("hans")
        assert await harness.becomes_ready(), harness.said.read_text()
        assert made.message is not None
        await fleet.handled(made.message)
        words = f"Job {made.job} has ended or is somebody else's by now: there is nothing left to do for it."
        assert words in await fleet.transcripts("hans")
        assert [event for event, *_ in said(await until_job(fleet, made.job, "cancelled"))] == ["cancelled"]


async def test_a_permission_of_a_turn_is_asked_once_and_linked_to_its_job(fleet: Fleet) -> None:
    """[X20] Issue 5: the ask that the harness puts, and the event that names it; the decision is on the job."""
    with anyio.fail_after(PATIENCE_S):
        await fleet.add("fred", backend="claude", command=CLAUDE)
        harness = await fleet.start_harness("fred")
        assert await harness.becomes_ready(), harness.said.read_text()
        made = await register(fleet, "fred", "may rm -r build")
        shown = await until_job(fleet, made.job, "running", said=2)
        assert said(shown) == [STARTED, ("permission_required", 1, 2)]
        event = shown.events[-1]
        (ask,) = shown.asks
        assert event.data == {"ask": ask.id}
        assert (ask.kind, ask.asker, ask.state) == ("permission", "fred", "open")
        assert "rm -r build" in event.detail
        await fleet.operator.call(AsksAnswer(key=new_key(), ask=ask.id, answer="allow"), AsksAnswered)
        assert made.message is not None
        await fleet.handled(made.message)
        (decided,) = (await until_job(fleet, made.job, "running", said=2)).asks
        assert (decided.id, decided.answer) == (ask.id, "allow")


async def test_an_attended_session_works_on_jobs_too(fleet: Fleet) -> None:
    """Issue 5: claimed by the recv that brings the mail; a client that is killed loses its claim with its mail."""
    with anyio.fail_after(PATIENCE_S):
        await fleet.add("gina")
        made = await register(fleet, "gina")
        server = attended(fleet, "gina")
        told = json.dumps({"command": server.command, "args": server.args})
        mortal = [sys.executable, "-P", "-c", MORTAL, told]
        async with await anyio.open_process(mortal, stdin=None, stdout=PIPE, stderr=None) as client:
            assert client.stdout is not None
            words = await BufferedByteReceiveStream(client.stdout).receive_until(b"\n", 65_536)
            assert f"progress is event 2 of job {made.job}" in json.loads(words)
            client.kill()
        async with Client(server) as client:
            reply = await client.call_tool("recv", {"wait_seconds": 30})
            (letter,) = framed(text_of(reply))
            assert (letter.attributes["job"], letter.attributes["attempt"]) == (made.job, "2")
            assert "Mail with `job` is a job" in text_of(reply)
            await client.call_tool("publish_event", {"event": "completed", "detail": "done"})
            shown = await until_job(fleet, made.job, "completed")
            again = await client.call_tool("publish_event", {"event": "completed", "detail": "again"})
            assert text_of(again) == f"closed: the end of job {made.job} was said already; nothing was published"
        assert said(shown)[-2:] == [("started", 2, 1), ("completed", 2, 2)]
        assert COMPLETED not in said(shown)
