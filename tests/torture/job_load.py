"""A fleet whose jobs publish events, and the three that may die at any moment: publisher, broker and MQTT broker."""

import json
import random
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE

import anyio
from anyio.abc import Process

from tests.fakes.broker import START_S, environment
from tests.torture import publishing
from tests.torture.broker import BrokerNursery
from tests.torture.job_ledger import Book, Ends, altered, ends
from wire.client import new_key
from wire.home import Home
from wire.jobs import JobsClaim, JobsClaimed, JobsRegister, JobsRegistered
from wire.processes import Process as Known

JOBS = 3
DRAIN_S = 120.0
"""How long all that waits may take to be recorded when nobody is killed any more."""
VICTIMS: tuple[tuple[str, ...], ...] = (
    ("publisher",), ("mqtt",), ("broker",), ("publisher", "mqtt"), ("mqtt", "broker"), ("publisher", "mqtt", "broker"),
)  # fmt: skip


@dataclass
class Torture:
    """Publishers that go on through kills, and what was wrong meanwhile."""

    fleet: BrokerNursery
    folder: Path
    rng: random.Random
    wrong: list[str] = field(default_factory=list[str])
    kills: dict[str, int] = field(default_factory=lambda: {"publisher": 0, "mqtt": 0, "broker": 0})
    _publisher: Process | None = None
    _ends: Ends = field(default_factory=lambda: Ends({}))

    @property
    def home(self) -> Home:
        """The home of the fleet."""
        return self.fleet.home

    @property
    def book(self) -> Path:
        """What publishers write down."""
        return self.folder / "book"

    async def claim(self) -> None:
        """Register some jobs and claim them for the publishers."""
        operator = await self.fleet.operator()
        claims: list[dict[str, str | int]] = []
        for _ in range(JOBS):
            made = await operator.call(JobsRegister(key=new_key(), prompt="count"), JobsRegistered)
            one = await operator.call(JobsClaim(key=new_key(), job=made.job), JobsClaimed)
            assert one.job is not None
            claim = {"job": made.job, "epoch": one.job.epoch, "fleet": one.fleet, "topic": one.topic, "kid": one.kid}
            claims.append({**claim, "secret": one.secret})
        self.folder.mkdir(mode=0o700)
        (self.folder / "claims.json").write_text(json.dumps(claims), encoding="utf-8")

    async def start_publisher(self) -> None:
        """Start one; it goes on with the next number."""
        first = max(Book.read(self.book).asked, default=0) + 1 if self.book.exists() else 1
        options = [str(self.home.root), str(self.folder), str(first)]
        with self.fleet.errors.open("ab") as errors:
            self._publisher = await anyio.open_process(
                [sys.executable, "-P", str(publishing.__file__), *options],
                stdin=PIPE, stdout=DEVNULL, stderr=errors, env=environment(), start_new_session=True,
            )  # fmt: skip

    async def more(self, lines: int) -> None:
        """Return once so many more lines are in the book; a publisher whose events are not recorded waits meanwhile."""
        wanted = self._lines() + lines
        with anyio.fail_after(START_S):
            while self._lines() < wanted:  # noqa: ASYNC110  # nothing announces it
                await anyio.sleep(0.005)

    def _lines(self) -> int:
        return self.book.read_bytes().count(b"\n") if self.book.exists() else 0

    async def kill(self, *victims: str) -> None:
        """Kill them, as close to each other as can be, and start those again that are started by nobody else."""
        for victim in victims:
            self.kills[victim] += 1
        if "mqtt" in victims:
            await self._kill_mqtt()  # first: where all jobs have ended, it runs because a publisher wants it
        if "publisher" in victims:
            await self._end_publisher(signal.SIGKILL)
        if "broker" in victims:
            await self.fleet.kill()
            now = ends(self.home.database)
            self.wrong += altered(self._ends, now)
            self._ends = now
            await self.fleet.start()
        if "publisher" in victims:
            await self.start_publisher()

    async def drain(self) -> None:
        """Let the publisher say the ends, and wait until everything is recorded and it has ended."""
        assert self._publisher is not None
        assert self._publisher.stdin is not None
        await self._publisher.stdin.aclose()
        with anyio.fail_after(DRAIN_S):
            assert await self._publisher.wait() == 0
        await self._publisher.aclose()
        self._publisher = None

    async def end(self) -> None:
        """Leave no publisher behind."""
        if self._publisher is not None:
            with anyio.CancelScope(shield=True):
                await self._end_publisher(signal.SIGKILL)

    async def _end_publisher(self, how: signal.Signals) -> None:
        process, self._publisher = self._publisher, None
        assert process is not None
        with suppress(ProcessLookupError):
            process.send_signal(how)
        with anyio.fail_after(START_S):
            code = await process.wait()
        await process.aclose()
        if code != -how:
            self.wrong.append(f"died: the publisher ended by itself, with {code}")

    async def _kill_mqtt(self) -> None:
        """Kill the MQTT broker; where none runs, the next one as soon as it is there."""
        note = self.home.mqtt_run / "process"
        with anyio.fail_after(START_S):
            while not _killed(note):  # noqa: ASYNC110  # nothing announces it
                await anyio.sleep(0.005)


def _killed(note: Path) -> bool:
    with suppress(OSError, ValueError, TypeError):
        pid, name = json.loads(note.read_text(encoding="ascii"))
        return Known(pid, name).kill_group(signal.SIGKILL)
    return False


@asynccontextmanager
async def tortured(home: Home, program: str, seed: int) -> AsyncGenerator[Torture]:
    """Run a fleet whose own MQTT broker is this program, with a publisher; no process is left behind."""
    home.create()
    (home.root / "queenpost.toml").write_text(f'[mqtt]\nprogram = "{program}"\n', encoding="utf-8")
    async with BrokerNursery(home) as fleet:
        torture = Torture(fleet, home.root.with_name("publisher"), random.Random(seed))
        await torture.claim()
        await torture.start_publisher()
        try:
            yield torture
        finally:
            await torture.end()
