"""The fleet's own MQTT broker as a child process: started, watched, started again, ended. It knows no message."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
from anyio import to_thread

from broker.bridge import mosquitto, users
from broker.bridge.users import Credentials
from wire.errors import Unavailable
from wire.home import Home
from wire.logs import get_logger
from wire.private_files import make_private_folder
from wire.processes import Process, identity, kill_group
from wire.settings import MqttSettings

Kind = Literal["mosquitto", "amqtt"]

READY_S = 15.0
STOP_S = 3.0
POLL_S = 0.05

ENDS_WITH_ITS_STDIN = """
exec 3<&0
"$@" </dev/null 3<&- & child=$!
(cat <&3 >/dev/null; kill $child) 2>/dev/null & exec 3<&-
wait $child
"""
"""mosquitto would outlive a broker that is killed, and hold its port. The pipe that is its stdin ends with us."""

log = get_logger("broker")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which program serves, and under which port."""

    kind: Kind
    argv: list[str]
    port: int


def choose(home: Home, settings: MqttSettings, prefix: str, env: Mapping[str, str]) -> tuple[Choice, Credentials]:
    """Take mosquitto where it is installed, else amqtt; write what it is started with. The port stays over restarts.

    Raises:
        Unavailable: mosquitto is wanted and not there, or no port is free.
    """
    make_private_folder(home.mqtt_run)
    credentials = users.made(home)
    port = kept_port(home.mqtt_run / "port")
    program = None if settings.program == "amqtt" else mosquitto.find(env)
    if program is None and settings.program == "mosquitto":
        raise Unavailable('mosquitto is not installed; install it, or leave `program = "mosquitto"` out of [mqtt]')
    if program is not None:
        config = mosquitto.configure(home, credentials, prefix, port)
        argv = ["/bin/sh", "-c", ENDS_WITH_ITS_STDIN, "sh", str(program), "-c", str(config)]
        return Choice("mosquitto", argv, port), credentials
    file = home.mqtt_run / "amqtt.json"
    told = {"port": port, "prefix": prefix, "passwords": dict(credentials.passwords)}
    mosquitto.write_private(file, json.dumps(told))
    return Choice("amqtt", [sys.executable, "-P", "-m", "broker.bridge.embedded", str(file)], port), credentials


def kept_port(note: Path) -> int:
    """Give the port of last time where it is free, else one that is."""
    try:
        noted = int(note.read_text(encoding="ascii"))
    except (OSError, ValueError):
        noted = 0
    for wanted in (noted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", wanted))
            port: int = probe.getsockname()[1]
            note.write_text(f"{port}\n", encoding="ascii")
            return port
    raise Unavailable("no free port on 127.0.0.1 for the MQTT broker")


@asynccontextmanager
async def running(home: Home, choice: Choice) -> AsyncGenerator["Child"]:
    """Start the program and wait until it answers; ended, with its group, behind it.

    Raises:
        Unavailable: it ended at once or never answered; with its last words.
    """
    left = home.mqtt_run / "process"
    end_left_behind(left)
    child = Child(choice, left)
    try:
        await child.becomes_ready()
        log.info("mqtt_broker_started", program=choice.kind, port=choice.port)
        yield child
    finally:
        with anyio.CancelScope(shield=True):
            await child.stop()


def end_left_behind(note: Path) -> None:
    """End what a broker that was killed left running: it holds the port."""
    with suppress(OSError, ValueError, TypeError):
        pid, name = json.loads(note.read_text(encoding="ascii"))
        Process(int(pid), str(name)).kill_group()


class Child:
    """One run of the program."""

    def __init__(self, choice: Choice, note: Path) -> None:
        self.choice = choice
        self._words = note.with_name("last-words")
        with self._words.open("wb") as words:
            self._process = subprocess.Popen(
                choice.argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=words, start_new_session=True,
                env=_environment(),
            )  # fmt: skip
        self._note = note
        note.write_text(json.dumps([self._process.pid, identity(self._process.pid)]), encoding="ascii")

    @property
    def is_running(self) -> bool:
        """Say whether it has not ended."""
        return self._process.poll() is None

    async def becomes_ready(self) -> None:
        """Wait until it answers on its port.

        Raises:
            Unavailable: it does not; with its last words.
        """
        with anyio.move_on_after(READY_S):
            while self._process.poll() is None:
                with suppress(OSError):
                    stream = await anyio.connect_tcp("127.0.0.1", self.choice.port)
                    await stream.aclose()
                    return
                await anyio.sleep(POLL_S)
        raise Unavailable(f"{self.choice.kind} does not serve on port {self.choice.port}: {self.last_words()}")

    async def ends(self) -> int:
        """Wait for the end of the program."""
        return await to_thread.run_sync(self._process.wait, abandon_on_cancel=True)

    def last_words(self) -> str:
        """Give the end of what it wrote."""
        with suppress(OSError):
            return self._words.read_text(encoding="utf-8", errors="replace")[-500:].strip() or "it said nothing"
        return "it said nothing"

    async def stop(self) -> None:
        """End it, and after a while its whole group."""
        if self._process.stdin is not None:
            self._process.stdin.close()  # no signal: the shell would end before mosquitto has saved what it keeps
        with suppress(subprocess.TimeoutExpired):
            await to_thread.run_sync(self._process.wait, STOP_S)
        kill_group(self._process.pid)
        self._process.wait()
        self._note.unlink(missing_ok=True)


def _environment() -> dict[str, str]:
    """Nothing of ours: what the child is told stands in its files."""
    return {name: value for name, value in os.environ.items() if not name.startswith("QUEENPOST_")}
