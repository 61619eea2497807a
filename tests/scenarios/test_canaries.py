"""Secrets of a fleet with jobs are planted or read, and searched for wherever anybody could look.

They belong into `secrets/`, into `broker.db` with its backups (0600, and said so in docs/operating.md), into the files
with which amqtt is started, and into the memory of who signs. Everything else is searched here.
"""

import base64
import json
import os
import sqlite3
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from mcp import Client

from tests.fakes.jobbing import PROGRAMS
from tests.mcp_tools.reading import framed, text_of
from tests.scenarios.jobs import attended, fleet_with, register, until, write_script
from tests.scenarios.programs import Fleet
from wire.client import new_key
from wire.home import Home
from wire.jobs import JobsRegister, JobsRegistered, JobsTransport, JobsTransported
from wire.mqtt import MqttLine, connected
from wire.private_files import write_secret
from wire.records import transport_of
from wire.topics import events_filter

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(200)]

PATIENCE_S = 140
PLANTED = "canary-of-a-job-that-was-agreed-on-0123456789"

TELLS_ALL = """
import json, os, time
def run(agent):
    agent.say(agent.prompt)
    agent.say(json.dumps(dict(os.environ)))
    agent.say(agent.whoami())
    agent.say(agent.publish("progress", "half done", {"percent": 50}))
    for wrong in ({"job": "j-nobodys"}, {"data": {"auth_token": "x"}}, {"data": {"a": 0.5}}):
        try:
            agent.publish("progress", "wrong", **wrong)
        except Exception as exc:
            agent.say(str(exc))
    (agent.state / "held").touch()
    while not (agent.state / "go").exists():
        time.sleep(0.01)
    agent.say(agent.publish("completed", "all done"))
    for letter in agent.mail:
        agent.send(letter.sender, "done", in_reply_to=letter.id, key=letter.id)
"""


@dataclass
class Canaries:
    """What nobody may find."""

    secrets: dict[str, str] = field(default_factory=dict[str, str])

    def of_files(self, home: Home) -> None:
        """Take in every token and password of a home."""
        for path in home.secrets.rglob("*"):
            if path.is_file() and path.name != "mosquitto_sub":  # it repeats one
                self.secrets[str(path.relative_to(home.root))] = path.read_text(encoding="utf-8").strip()

    def of_jobs(self, home: Home) -> None:
        """Take in the secrets of all jobs, from the one place where they are kept."""
        with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)) as database:
            for job, secret in database.execute("SELECT id, secret FROM jobs"):
                self.secrets[job] = secret

    def found(self, where: str, data: bytes) -> list[str]:
        """Say which of them stand in data: as they are, in hexadecimal, in base64 as a header has it."""
        return [
            f"{name} in {where}"
            for name, secret in self.secrets.items()
            if any(form in data for form in forms(secret.encode()))
        ]

    def found_in_files(self, paths: Iterable[Path]) -> list[str]:
        """Say the same of files, their names included."""
        return [
            words
            for path in paths
            for words in self.found(str(path), path.name.encode() + path.read_bytes() if path.is_file() else b"")
        ]


def forms(secret: bytes) -> list[bytes]:
    """Give how a secret could be written down."""
    return [secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"="), base64.urlsafe_b64encode(secret)]


def beyond_the_safe(home: Home) -> list[Path]:
    """Give every file of a home that is no place for secrets: logs, transcripts, prompts, outboxes, what MQTT keeps."""
    mqtt_users = home.mqtt_run / "amqtt.json"
    return [
        path
        for path in home.root.rglob("*")
        if path.is_file()
        and home.secrets not in path.parents
        and not path.name.startswith(home.database.name)
        and path != mqtt_users
    ]


def descendants() -> list[int]:
    """Give all processes that this test has started, and theirs."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [os.getpid()]
    for one in found:  # it grows meanwhile
        found += [pid for pid, parent in parents.items() if parent == one]
    return found[1:]


def shown_by(pid: int) -> bytes:
    """Give what everybody can see of a process, and its environment."""
    seen = b""
    for name in ("cmdline", "environ"):
        try:
            seen += Path(f"/proc/{pid}/{name}").read_bytes()
        except OSError:
            continue
    return seen


@pytest.fixture(params=PROGRAMS)
async def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Fleet]:
    """A fleet; the passwords at its MQTT broker were there before it."""
    folder = tmp_path_factory.mktemp("canary")
    home = Home(folder / "home")
    home.create()
    home.mqtt_secrets.mkdir(mode=0o700, parents=True)
    for user in ("bridge", "harness", "publisher", "watcher"):
        write_secret(home.mqtt_secret(user), f"canary-of-{user}-0123456789abcdef")
    async with fleet_with(folder, f'program = "{request.param}"') as fleet:
        yield fleet


async def traffic(line: MqttLine, heard: list[bytes]) -> None:
    """Take down what travels, topics too."""
    async for message in line.heard:
        heard.append(message.topic.encode() + b" " + message.payload)
        line.settle(message)


async def printed(fleet: Fleet, *words: str) -> bytes:
    """Give all that a command prints."""
    queenpost = str(Path(sys.executable).with_name("queenpost"))
    done = await anyio.run_process([queenpost, "--home", str(fleet.home.root), *words], check=False)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout + done.stderr


@dataclass
class Seen:
    """What anybody could have looked at while three jobs were worked on."""

    fleet: Fleet
    first: JobsRegistered
    second: JobsRegistered
    third: JobsRegistered
    told: JobsTransported
    canaries: Canaries = field(default_factory=Canaries)
    heard: list[bytes] = field(default_factory=list[bytes])
    said: list[bytes] = field(default_factory=list[bytes])
    processes: dict[int, bytes] = field(default_factory=dict[int, bytes])

    async def look(self, client: Client) -> None:
        """See the session's job to its end; look while the agent is in the middle of its own; see that to its end."""
        fleet, state = self.fleet, self.fleet.home.agent_state("alice")
        (letter,) = framed(text_of(await client.call_tool("recv", {"wait_seconds": 30})))
        assert letter.attributes["job"] == self.second.job
        await client.call_tool("publish_event", {"event": "completed", "detail": "done"})
        self.said.append(await printed(fleet, "job", "claim", self.third.job))
        self.said.append(await all_printed(fleet, self.first, self.third))
        await fleet.file(state / "held")
        self.canaries.of_files(fleet.home)
        self.canaries.of_jobs(fleet.home)
        self.processes |= {pid: shown_by(pid) for pid in descendants()}
        (state / "go").touch()
        for job in (self.first.job, self.second.job):
            await until(fleet, job, "completed")
        while sum(b'"completed"' in one for one in self.heard) < 2:  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)
        assert self.first.message is not None
        await fleet.handled(self.first.message)
        self.said.append(await all_printed(fleet, self.first, self.third, "--all"))

    def found(self) -> list[str]:
        """Say which secrets stand where none belongs."""
        canaries, home = self.canaries, self.fleet.home
        found = canaries.found("MQTT", b"\n".join(self.heard))
        found += canaries.found("what commands print", b"\n".join(self.said))
        for pid, seen in self.processes.items():
            found += canaries.found(f"process {pid}: {seen!r}", seen)
        return found + canaries.found_in_files([*beyond_the_safe(home), *home.root.parent.glob("said-*")])


@pytest.fixture
async def seen(fleet: Fleet) -> Seen:
    """A job with a secret that was agreed on, one of an attended session, one of a program outside."""
    await fleet.add("alice", backend="scripted", script=write_script(fleet, "alice", TELLS_ALL))
    await fleet.add("bob")
    harness = await fleet.start_harness("alice")
    assert await harness.becomes_ready(), harness.said.read_text()
    agreed = JobsRegister(key=new_key(), prompt="count the pumps", to="alice", secret=PLANTED)
    first = await fleet.operator.call(agreed, JobsRegistered)
    second, third = (await register(fleet, "bob")), (await register(fleet, None, "for a program outside"))
    told = await fleet.operator.call(JobsTransport(user="watcher"), JobsTransported, timeout_s=40)
    return Seen(fleet, first, second, third, told)


async def test_no_secret_is_anywhere_but_where_it_belongs(seen: Seen) -> None:
    """[X17] [X16] Issue 5: argv, environments, logs, MQTT, prompts, transcripts, exports, status, explain."""
    told = seen.told
    with anyio.fail_after(PATIENCE_S):
        async with (
            connected(transport_of(told), "canary", clean=True) as line,
            Client(attended(seen.fleet, "bob")) as client,
            anyio.create_task_group() as tasks,
        ):
            await line.subscribe("#" if told.kind == "mosquitto" else events_filter(told.prefix))
            tasks.start_soon(traffic, line, seen.heard)
            await seen.look(client)
            tasks.cancel_scope.cancel()
    secrets = seen.canaries.secrets
    assert {PLANTED, "canary-of-harness-0123456789abcdef"} <= set(secrets.values())
    assert len(secrets) >= 11, "three jobs, four passwords, two agents, operator and harness"
    assert len(seen.processes) >= 5, "broker, MQTT broker, harness, the agent's program, the session's server"
    assert sum(len(one) for one in seen.processes.values()) > 1000
    assert seen.found() == []
    check_the_search(seen)


async def all_printed(fleet: Fleet, first: JobsRegistered, third: JobsRegistered, *more: str) -> bytes:
    """Give what an operator can have printed of all of it."""
    commands: list[tuple[str, ...]] = [
        ("status", "--json"),
        ("explain", first.message or "", "--json"),
        ("job", "list", "--json", *more),
        ("job", "show", first.job, "--json"),
        ("job", "export", "--format", "json"),
        ("job", "export", first.job, third.job),
        ("agent", "show", "alice", "--json"),
        ("prompt", "show", "alice"),
        ("stats", "--json"),
    ]
    return b"\n".join([await printed(fleet, *words) for words in commands])


def check_the_search(seen: Seen) -> None:
    """The control: where secrets do stand, every one of them is found, and nobody else may read it."""
    home, canaries, told = seen.fleet.home, seen.canaries, seen.told
    safe = [path for path in home.secrets.rglob("*") if path.is_file()]
    database = [path for path in home.root.iterdir() if path.name.startswith(home.database.name)]
    found = {words.partition(" in ")[0] for words in canaries.found_in_files([*safe, *database])}
    assert found == set(canaries.secrets)
    users = [home.mqtt_run / "amqtt.json"] if told.kind == "amqtt" else []
    for path in (*safe, *database, *users):
        assert path.stat().st_mode & 0o077 == 0, path
    transcript = "".join(path.read_text() for path in home.agent_transcripts("alice").glob("*"))
    assert json.dumps("QUEENPOST_MCP_TOKEN") in transcript, "it told its environment"
    assert "auth_token" in transcript
