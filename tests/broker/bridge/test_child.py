"""The fleet's own MQTT broker as a process: it lives as long as the broker does, and no longer."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import anyio
import pytest

from broker.bridge import child, mosquitto, users
from broker.bridge.child import Child, Choice, choose, end_left_behind, running
from tests.fakes.broker import short_home
from tests.fakes.jobbing import PROGRAMS
from wire.errors import Denied, QueenpostError, Unavailable
from wire.home import Home
from wire.jobs import MqttUser
from wire.mqtt import MqttLine, connected
from wire.mqtt_peer import Transport
from wire.private_files import read_secret
from wire.processes import Process
from wire.settings import MqttSettings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that is made."""
    with short_home() as home:
        home.create()
        yield home


def chosen(home: Home, program: str) -> Choice:
    """Choose a program."""
    return choose(home, MqttSettings.model_validate({"program": program}), "queenpost/demo", os.environ)[0]


def as_user(home: Home, choice: Choice, user: MqttUser) -> AbstractAsyncContextManager[MqttLine]:
    """Connect as one of its users."""
    password = home.mqtt_secret(user).read_text(encoding="ascii").strip()
    return connected(Transport(f"mqtt://127.0.0.1:{choice.port}", user, password), user, clean=True)


KILLED = """
import os, signal, sys
from pathlib import Path
from broker.bridge.child import Child, choose
from wire.home import Home
from wire.settings import MqttSettings
home = Home(Path(sys.argv[1]))
choice, _ = choose(home, MqttSettings(program=sys.argv[2]), "queenpost/demo", os.environ)
child = Child(choice, home.mqtt_run / "process")
import anyio
anyio.run(child.becomes_ready)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("program", PROGRAMS)
async def test_it_ends_with_a_broker_that_is_killed(home: Home, program: str) -> None:
    """DESIGN 7: a child: nothing of it is left behind a kill -9, and its port is free again."""
    root = Path(child.__file__).parents[2]
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run([sys.executable, "-P", "-c", KILLED, str(home.root), program], cwd=root, check=False)
    )
    assert done.returncode == -9
    pid, name = json.loads((home.mqtt_run / "process").read_text(encoding="ascii"))
    with anyio.fail_after(20):
        while Process(pid, name).is_alive():  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)
    async with running(home, chosen(home, program)) as again:
        assert again.choice.port == int((home.mqtt_run / "port").read_text(encoding="ascii"))


@pytest.mark.skipif(mosquitto.find({}) is None, reason="left out: mosquitto is not installed")
async def test_what_is_retained_outlives_an_orderly_stop(home: Home) -> None:
    """[X06] Whoever comes late sees the end of a job, also behind `down` and `up`; amqtt keeps nothing."""
    topic = "queenpost/demo/jobs/j-a/events"
    for said in (b"the end", None):
        choice = chosen(home, "mosquitto")
        async with running(home, choice):
            peer = Transport(f"mqtt://127.0.0.1:{choice.port}", "bridge", read_secret(home.mqtt_secret("bridge")))
            async with connected(peer, "t", clean=True) as line:
                if said is not None:
                    await line.publish(topic, said, retain=True)
                else:
                    await line.subscribe(topic)
                    with anyio.fail_after(20):
                        heard = await line.heard.receive()
                    assert (heard.topic, heard.payload, heard.retained) == (topic, b"the end", True)
                    line.settle(heard)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_it_listens_on_loopback_and_lets_in_its_own_users_alone(home: Home, program: str) -> None:
    """[X22] [X17] Never a public default; no anonymous client; passwords in files of 0600."""
    choice = chosen(home, program)
    async with running(home, choice):
        url = f"mqtt://127.0.0.1:{choice.port}"
        for user in users.RIGHTS:
            path = home.mqtt_secret(user)
            assert path.stat().st_mode & 0o777 == 0o600
            async with connected(Transport(url, user, path.read_text(encoding="ascii").strip()), "t", clean=True):
                pass
        with pytest.raises(Denied, match="does not let in somebody without a name"):
            async with connected(Transport(url), "t", clean=True):
                pass
    for file in home.mqtt_run.iterdir():
        assert file.stat().st_mode & 0o077 == 0 or file.name in {"port", "process", "last-words"}, file


@pytest.mark.parametrize("program", PROGRAMS)
async def test_each_user_is_kept_to_its_own_direction(home: Home, program: str) -> None:
    """[X17] DESIGN 7: a publisher hears nothing, a watcher says nothing, nobody leaves the topics of jobs."""
    choice = chosen(home, program)
    topic, topics = "queenpost/demo/jobs/j-a/events", "queenpost/demo/jobs/+/events"
    async with (
        running(home, choice),
        as_user(home, choice, "bridge") as bridge,
        as_user(home, choice, "harness") as harness,
        as_user(home, choice, "watcher") as watcher,
    ):
        await bridge.subscribe(topics)
        await watcher.subscribe(topics)
        with suppress(QueenpostError):  # some say yes, and let nothing through
            await harness.subscribe(topics)
        for line, where, payload in (
            (watcher, topic, b"a watcher's"),
            (harness, "queenpost/demo/elsewhere", b"off the topics"),
            (harness, topic, b"a publisher's"),
            (bridge, topic, b"the broker's"),
        ):
            with suppress(QueenpostError):
                await line.publish(where, payload)
        for line in (bridge, watcher):
            with anyio.fail_after(30):
                heard = [(await anext(aiter(line.heard))).payload for _ in range(2)]
            assert heard == [b"a publisher's", b"the broker's"]
        assert harness.heard.statistics().current_buffer_used == 0


async def test_its_last_words_are_told_where_it_does_not_start(home: Home) -> None:
    """Ours: a port that cannot be had, a broken installation: the reason is in the error."""
    (home.mqtt_run).mkdir()
    choice = Choice("mosquitto", ["/bin/sh", "-c", "echo no such luck >&2; exit 3"], 1)
    with pytest.raises(Unavailable, match="no such luck"):
        async with running(home, choice):
            pass


async def test_what_an_earlier_one_left_is_ended_and_a_stranger_is_not(home: Home) -> None:
    """Ours: a pid may have been given to somebody else meanwhile."""
    home.mqtt_run.mkdir()
    note = home.mqtt_run / "process"
    left = Child(Choice("mosquitto", ["/bin/sleep", "600"], 1), note)
    end_left_behind(note)
    assert await left.ends() == -9
    await left.stop()
    stranger = Child(Choice("mosquitto", ["/bin/sleep", "600"], 1), note)
    pid, _ = json.loads(note.read_text(encoding="ascii"))
    note.write_text(json.dumps([pid, "another boot"]), encoding="ascii")
    end_left_behind(note)
    assert stranger.is_running
    await stranger.stop()


def test_a_program_that_is_wanted_and_missing_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: no silent change to another one."""
    monkeypatch.setattr("broker.bridge.mosquitto.PLACES", ())
    with pytest.raises(Unavailable, match="mosquitto is not installed"):
        choose(home, MqttSettings(program="mosquitto"), "p", {"PATH": ""})
    assert choose(home, MqttSettings(), "p", {"PATH": ""})[0].kind == "amqtt"
