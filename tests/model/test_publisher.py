"""A publisher's side of events: the real outbox and the real registry, and any mix of kills, resends and new claims.

What is between them is only a shuffled list: MQTT may lose, keep and repeat what it likes.
"""

import os
import random
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from broker.services import job_events
from tests.fakes.jobs import claim, fates, heard, register
from tests.fakes.office import FakeOffice
from tests.torture.job_noise import Claim
from wire import outbox as module
from wire.errors import Stale
from wire.outbox import Outbox

SEED = int(os.environ.get("QUEENPOST_MODEL_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
RUNS = 25
STEPS = 60
ACTS = ("add",) * 6 + ("publish",) * 4 + ("settle",) * 3 + ("claim", "reopen", "restart", "killed")

Numbered = tuple[str, int, int]
"""Job, epoch, sequence number."""


class Killed(Exception):
    """The publisher died while it signed."""


@dataclass
class Desk:
    """One publisher, and a registry that hears whatever the dice let through."""

    office: FakeOffice
    path: Path
    rng: random.Random
    claims: list[Claim] = field(default_factory=list[Claim])
    kept: dict[Numbered, bytes] = field(default_factory=dict[Numbered, bytes])
    """What `add` returned for."""
    said: int = 0

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.path)
        self.jobs = [register(self.office).job for _ in range(2)]
        for job in self.jobs:
            self.claims.append(Claim.of(claim(self.office, job=job)))

    def claim(self) -> None:
        """A newer claim takes a job, as of now."""
        job = self.rng.choice(self.jobs)
        if self.office.row("SELECT state FROM jobs WHERE id = :id", id=job)["state"] == "running":
            self.claims.append(Claim.of(claim(self.office, job=job)))

    def add(self) -> None:
        """26: whoever has a claim, also one that is over, publishes; no number is given to two events."""
        one = self.claims[-1 - self.rng.randrange(min(len(self.claims), 4))]
        self.said += 1
        detail, event = f"word {self.said}", "completed" if self.rng.random() < 0.02 else "progress"

        def sign(seq: int) -> bytes:
            return one.signed(event, seq=seq, detail=detail)

        try:
            seq = self.outbox.add(one.job, one.epoch, one.topic, sign, retain=False)
        except Stale:
            newest = max(other.epoch for other in self.claims if other.job == one.job)
            assert one.epoch < newest, "the newest claim was refused"
            return
        number = (one.job, one.epoch, seq)
        assert number not in self.kept, f"26: {number} was given to two events"
        self.kept[number] = sign(seq)

    def killed(self) -> None:
        """It dies in the middle of an event: that one was never there."""

        def die(_seq: int) -> bytes:
            raise Killed

        one, before = self.claims[-1], self.outbox.count()
        with pytest.raises((Killed, Stale)):
            self.outbox.add(one.job, one.epoch, one.topic, die, retain=False)
        self.reopen()
        assert self.outbox.count() == before

    def publish(self) -> None:
        """Some of what waits arrives, in any order, some of it twice."""
        waiting = self.outbox.waiting()
        for one in self.rng.choices(waiting, k=self.rng.randrange(8)) if waiting else []:
            heard(self.office, one.topic, one.payload)

    def settle(self) -> None:
        """It asks what was recorded, and forgets what is decided."""
        waiting = self.outbox.waiting()
        told = fates(self.office, *((one.job, one.epoch, one.seq) for one in waiting)) if waiting else []
        settled = zip(waiting, told, strict=True)
        self.outbox.settle([one.number for one, fate in settled if fate != "unknown"])

    def reopen(self) -> None:
        """Another publisher takes over the file."""
        self.outbox.close()
        self.outbox = Outbox(self.path)

    def restart(self) -> None:
        """The broker dies, and comes back."""
        self.office.restart()

    def check(self) -> None:
        """23: what is recorded was kept, as it is, and is there once."""
        rows = self.office.rows("SELECT job, epoch, seq, detail FROM job_events")
        times = Counter((row["job"], row["epoch"], row["seq"]) for row in rows)
        assert max(times.values(), default=1) == 1
        for row in rows:
            payload = self.kept[row["job"], row["epoch"], row["seq"]]
            assert f'"detail":"{row["detail"]}"'.encode() in payload

    def end(self) -> None:
        """Everything that waits arrives: nothing is left, and nothing of the newest claims was lost."""
        for one in self.outbox.waiting():
            heard(self.office, one.topic, one.payload)
        self.settle()
        assert self.outbox.waiting() == []
        self.check()
        rows = self.office.rows("SELECT job, epoch, seq FROM job_events")
        newest = {job: max(one.epoch for one in self.claims if one.job == job) for job in self.jobs}
        lost = {n for n in self.kept if n[1] == newest[n[0]]} - {tuple(row) for row in rows}
        assert not lost, f"kept and never recorded: {lost}"


def run(folder: Path, seed: int) -> None:
    """Do some steps on a new office and a new file."""
    folder.mkdir(mode=0o700)
    with FakeOffice() as office:
        desk = Desk(office, folder / "private" / "outbox.db", random.Random(seed))
        try:
            for _ in range(STEPS):
                getattr(desk, desk.rng.choice(ACTS))()
                desk.check()
            desk.end()
        finally:
            desk.outbox.close()


@pytest.mark.timeout(120)
def test_no_mix_of_kills_and_resends_breaks_an_invariant(tmp_path: Path) -> None:
    """Reliability 4.3: 23 and 26 after every step; at the end nothing that was kept is lost."""
    sys.stdout.write(f"replay: QUEENPOST_MODEL_SEED={SEED}\n")
    for number in range(RUNS):
        run(tmp_path / f"run-{number}", SEED + number)


QUERY_DEFECTS: dict[str, tuple[str, str, str]] = {
    "a number is given again once it is settled": ("last", "SELECT seq", "SELECT seq * 0"),
    "an old claim begins anew": ("newer", "WHERE", "WHERE 0 AND"),
    "what waits is forgotten": ("forget", "WHERE number = :number", "WHERE number >= :number"),
}
"""Statement, what stands there, and what stands there in the defect."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("defect", QUERY_DEFECTS)
def test_a_defect_of_the_outbox_is_found(tmp_path: Path, defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: each of these it has to see."""
    name, right, wrong = QUERY_DEFECTS[defect]
    queries: Mapping[str, str] = module._queries()  # pyright: ignore[reportPrivateUsage]  # to break it
    assert right in queries[name], f"{name} reads differently now; put the defect in anew"
    monkeypatch.setattr(module, "_queries", lambda: {**queries, name: queries[name].replace(right, wrong)})
    assert finds(tmp_path)


@pytest.mark.timeout(120)
def test_a_window_that_is_not_kept_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: a registry that settles what it has not recorded loses it."""

    def recorded(*_args: object) -> tuple[str, None]:
        return "recorded", None

    monkeypatch.setattr(job_events, "fate_of", recorded)
    assert finds(tmp_path)


def finds(folder: Path) -> bool:
    """Search for a failure, with dice that are always the same."""
    for number in range(RUNS):
        try:
            run(folder / f"run-{number}", number)
        except Exception:  # noqa: BLE001  # whatever it is, it was noticed
            return True
    return False
