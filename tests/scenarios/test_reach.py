"""From another machine, and with a token that changes: real programs, a real broker, something in the place of ssh."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from subprocess import PIPE

import anyio
import pytest
from mcp import Client, StdioServerParameters

from tests.fakes.ssh import StandIn
from tests.mcp_tools.reading import framed, text_of
from tests.scenarios.programs import Fleet, fleet_in
from wire.agents import AgentsRotate, AgentsTokenPath
from wire.client import BrokerClient, new_key
from wire.jobs import JobsRegister, JobsRegistered, JobsShow, JobsShown, JobsWatch
from wire.private_files import read_secret

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

PATIENT = 50

WAITS_FOR_GO = """
import time
def run(agent):
    agent.say(agent.prompt)
    (agent.state / "begun").touch()
    while not (agent.state / "go").exists():
        time.sleep(0.01)
    for letter in agent.mail:
        agent.send(letter.sender, "done", in_reply_to=letter.id, key=letter.id)
"""


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    """A broker of one's own, and a scene in which programs are started."""
    async with fleet_in(tmp_path) as fleet, fleet.scene():
        yield fleet


@pytest.fixture
def ssh(tmp_path: Path) -> StandIn:
    """Something in the place of ssh."""
    return StandIn(tmp_path)


def elsewhere(ssh: StandIn) -> dict[str, str]:
    """Give the environment of a program on another machine: it knows no home."""
    return {key: value for key, value in os.environ.items() if not key.startswith("QUEENPOST_")} | dict(ssh.env)


def queenpost(*words: str) -> list[str]:
    """Give the command line of `queenpost WORDS`."""
    return [str(Path(sys.executable).with_name("queenpost")), *words]


async def type_there(ssh: StandIn, *words: str) -> str:
    """Run a command on the other machine; it has to succeed. Gives its output."""
    with anyio.fail_after(PATIENT):
        done = await anyio.run_process(queenpost(*words), env=elsewhere(ssh), check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


async def test_mail_goes_there_and_back_over_ssh(fleet: Fleet, ssh: StandIn) -> None:
    """DESIGN 4: every command that speaks to the broker, as operator and as an agent; no token is an argument."""
    await fleet.add("bob")
    address = f"ssh://post.example{fleet.home.root}"
    sent = json.loads(await type_there(ssh, "--broker", address, "send", "bob", "how far are you?", "--json"))
    assert "how far are you?" in await type_there(ssh, "--broker", address, "recv", "--as", "bob")
    assert (await fleet.handled(sent["id"])).attempt == 1
    reply = ("send", "operator", "half-way", "--as", "bob")
    await type_there(ssh, "--broker", address, *reply)
    assert [item.body for item in await fleet.mailbox()] == ["half-way"]
    tokens = {read_secret(fleet.home.operator_secret), read_secret(fleet.home.agent_secret("bob"))}
    assert not any(token in line for line in ssh.command_lines for token in tokens)


async def test_an_mcp_client_on_another_machine_is_an_agent(fleet: Fleet, ssh: StandIn) -> None:
    """DESIGN 4, 5.4: `queenpost mcp --broker ssh://…`; mail that it was given is handled, by its answer."""
    await fleet.add("bob")
    message = await fleet.send("bob", "how far are you?")
    words = queenpost("mcp", "--agent", "bob", "--broker", f"ssh://post.example{fleet.home.root}")
    server = StdioServerParameters(command=words[0], args=words[1:], env=elsewhere(ssh))
    with anyio.fail_after(PATIENT):
        async with Client(server) as client:
            (letter,) = framed(text_of(await client.call_tool("recv", {})))
            assert letter.body == "how far are you?"
            await client.call_tool("send", {"to": "operator", "body": "half-way", "in_reply_to": message})
            await fleet.handled(message)


async def test_a_lost_ssh_connection_is_made_again_and_keeps_the_turn(fleet: Fleet, ssh: StandIn) -> None:
    """DESIGN 5.4: over ssh the attended turn lives 60 s after its connection ended; the session goes on in it."""
    await fleet.add("bob")
    message = await fleet.send("bob", "how far are you?")
    words = queenpost("mcp", "--agent", "bob", "--broker", f"ssh://post.example{fleet.home.root}")
    server = StdioServerParameters(command=words[0], args=words[1:], env=elsewhere(ssh))
    with anyio.fail_after(PATIENT):
        async with Client(server) as client:
            assert framed(text_of(await client.call_tool("recv", {})))
            os.kill(ssh.far_pid, signal.SIGKILL)
            await client.call_tool("send", {"to": "operator", "body": "half-way", "in_reply_to": message})
            assert (await fleet.handled(message)).attempt == 1
    assert len(ssh.command_lines) == 2


async def test_an_mcp_client_on_another_machine_says_how_its_job_goes(
    fleet: Fleet, ssh: StandIn, tmp_path: Path
) -> None:
    """DESIGN 4, 7: claimed with its mail, said with publish_event, though the connection breaks; kept over there."""
    await fleet.add("bob")
    job = await fleet.operator.call(JobsRegister(key=new_key(), prompt="count", to="bob"), JobsRegistered)
    words = queenpost("mcp", "--agent", "bob", "--broker", f"ssh://post.example{fleet.home.root}")
    env = elsewhere(ssh) | {"XDG_STATE_HOME": str(tmp_path / "state")}
    with anyio.fail_after(PATIENT):
        async with Client(StdioServerParameters(command=words[0], args=words[1:], env=env)) as client:
            assert framed(text_of(await client.call_tool("recv", {})))
            said = text_of(await client.call_tool("publish_event", {"event": "progress", "detail": "half"}))
            assert f"progress is event 2 of job {job.job}" in said
            os.kill(ssh.far_pid, signal.SIGKILL)
            await client.call_tool("publish_event", {"event": "completed", "detail": "12"})
            watch = JobsWatch(job=job.job, after=0, wait_s=30)
            while (shown := await fleet.operator.call(watch, JobsShown)).job is None or shown.job.state == "running":
                watch = watch.model_copy(update={"after": shown.events[-1].number if shown.events else watch.after})
    assert shown.job.state == "completed"
    events = (await fleet.operator.call(JobsShow(job=job.job), JobsShown)).events
    assert [(event.event, event.detail) for event in events] == [
        ("started", ""), ("progress", "half"), ("completed", "12")
    ]  # fmt: skip
    (outbox,) = (tmp_path / "state").glob("queenpost/elsewhere/*/agents/bob/outbox.db")
    assert outbox.stat().st_mode & 0o777 == 0o600
    assert outbox.parent.parent.parent.stat().st_mode & 0o777 == 0o700


async def test_a_hosted_agent_lives_on_through_a_rotation(fleet: Fleet) -> None:
    """DESIGN 4 Tokens: its turn goes back uncounted, the harness reads the new token and hosts it again."""
    script = fleet.home.root.parent / "waits.py"
    script.write_text(WAITS_FOR_GO, encoding="utf-8")
    await fleet.add("alice", backend="scripted", script=str(script))
    harness = await fleet.start_harness()
    with anyio.fail_after(PATIENT):
        assert await harness.becomes_ready()
        message = await fleet.send("alice", "count to three")
        await fleet.file(fleet.home.agent_state("alice") / "begun")
        await fleet.operator.call(AgentsRotate(key=new_key(), agent="alice"), AgentsTokenPath)
        (fleet.home.agent_state("alice") / "go").touch()
        story = await fleet.handled(message)
        assert (story.attempt, story.failures) == (2, 0)
        assert (await fleet.account()).lost == 0


async def test_a_harness_lives_on_through_a_rotation_of_its_own_token(fleet: Fleet) -> None:
    """DESIGN 5.7: it says hello with the new token; instance and turn are as they were."""
    script = fleet.home.root.parent / "waits.py"
    script.write_text(WAITS_FOR_GO, encoding="utf-8")
    await fleet.add("alice", backend="scripted", script=str(script))
    harness = await fleet.start_harness()
    with anyio.fail_after(PATIENT):
        assert await harness.becomes_ready()
        message = await fleet.send("alice", "count to three")
        await fleet.file(fleet.home.agent_state("alice") / "begun")
        await fleet.operator.call(AgentsRotate(key=new_key(), agent="harness"), AgentsTokenPath)
        (fleet.home.agent_state("alice") / "go").touch()
        assert (await fleet.handled(message)).attempt == 1


async def test_an_operator_lives_on_through_a_rotation_of_its_own_token(fleet: Fleet) -> None:
    """DESIGN 4 Tokens: a client that reads the file comes back by itself; a copy of the old token opens nothing."""
    token = fleet.home.operator_secret
    with anyio.fail_after(PATIENT):
        async with BrokerClient(fleet.home.socket, lambda: read_secret(token), "test") as other:
            await fleet.operator.call(AgentsRotate(key=new_key(), agent="operator"), AgentsTokenPath)
            assert (await fleet.account()).lost == 0
            assert other.welcome.principal.name == "operator"


async def test_a_token_comes_by_descriptor_too(fleet: Fleet) -> None:
    """[Z7] T40, DESIGN 4 Tokens: `queenpost mcp --token-fd`, through the exec and into the program."""
    await fleet.add("bob")
    reading, writing = os.pipe()
    os.write(writing, read_secret(fleet.home.agent_secret("bob")).encode())
    os.close(writing)
    address = f"unix:{fleet.home.socket}"
    words = queenpost("mcp", "--agent", "bob", "--broker", address, "--token-fd", str(reading))
    try:
        with anyio.fail_after(PATIENT):
            process = await anyio.open_process(words, stdin=PIPE, stderr=PIPE, pass_fds=[reading])
            async with process:
                assert process.stdin is not None
                await process.stdin.aclose()
                assert await process.wait() == 0
    finally:
        os.close(reading)
