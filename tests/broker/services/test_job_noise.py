"""Strange frames by the thousand against the judgement of events: nothing is taken that was not signed and due."""

import os
import random
import sys

import pytest

from broker.services import job_events
from tests.fakes.jobs import claim, heard, register
from tests.fakes.office import FakeOffice
from tests.torture.job_noise import FAR, Claim, Forger, Frame

FRAMES = 2000
SEED = int(os.environ.get("QUEENPOST_TORTURE_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
RESTART_EVERY = 400
SOME = 10
"""Frames between two looks at the registry."""
DUE = 0.2
"""How often a good event comes behind those."""


@pytest.fixture
def forger(office: FakeOffice) -> Forger:
    """Four jobs of which one was claimed before, each with its first events, the last of them far on."""
    jobs = [register(office).job for _ in range(4)]
    former = [Claim.of(claim(office, job=job)) for job in jobs[:1]]
    claims = [Claim.of(claim(office, job=job)) for job in jobs]
    for one in claims:
        for step in (1, FAR):
            assert heard(office, one.topic, one.due(step=step)).ruling == "accepted"
    return Forger(claims, former, random.Random(SEED))


def recorded(office: FakeOffice) -> list[tuple[str, int, int, bytes]]:
    """Give what was recorded."""
    return [tuple(row) for row in office.rows("SELECT job, epoch, seq, sha256 FROM job_events ORDER BY number")]


def windows(office: FakeOffice) -> list[tuple[str, int, bytes, str]]:
    """Give what the next event is judged by."""
    return [tuple(row) for row in office.rows("SELECT id, highest, seen, state FROM jobs ORDER BY id")]


def taken(office: FakeOffice, frames: list[Frame]) -> list[str]:
    """Let the bridge hear frames; gives those that had any effect."""
    before = (recorded(office), windows(office))
    found = [frame.name for frame in frames if heard(office, frame.topic, frame.payload).ruling not in QUIET]
    if (recorded(office), windows(office)) != before:
        found.append("the registry has changed")
    return found


QUIET = ("refused", "duplicate")


def test_every_trap_is_refused(office: FakeOffice, forger: Forger) -> None:
    """[X15] Reliability 4.2: each way to write, value and sign that the profile leaves out, over its own bytes."""
    traps = forger.traps()
    assert len({trap.name for trap in traps}) == len(traps)
    assert {trap.name: heard(office, trap.topic, trap.payload).ruling for trap in traps} == {
        trap.name: "refused" for trap in traps
    }
    good = forger.claims[0]
    assert heard(office, good.topic, good.signed("progress", seq=good.seq + 500)).ruling == "accepted"


@pytest.mark.timeout(120)
def test_thousands_of_strange_frames_change_nothing(office: FakeOffice, forger: Forger) -> None:
    """[X14] [X15] [X18] Reliability 5, goal 16: over restarts, good events between them are taken, and only those."""
    sys.stdout.write(f"replay: QUEENPOST_TORTURE_SEED={SEED}\n")
    wrong: list[str] = []
    due = 2 * len(forger.claims)
    for number in range(0, FRAMES, SOME):
        wrong += taken(office, [forger.frame() for _ in range(SOME)])
        if forger.rng.random() < DUE:
            one = forger.rng.choice(forger.claims)
            assert heard(office, one.topic, one.due()).ruling == "accepted"
            due += 1
        if number % RESTART_EVERY == 0:
            office.restart()
    assert wrong == []
    assert len(recorded(office)) == due
    kept = office.row("SELECT count(*) AS n, sum(times) AS times FROM quarantine")
    assert kept["n"] <= job_events.MAX_QUARANTINE
    assert kept["times"] > FRAMES // 2


def test_a_gate_without_one_of_its_checks_is_found_out(
    office: FakeOffice, forger: Forger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reliability 5: a control that must fail: where signatures are not looked at, forged events are taken."""

    def any_signature(*_args: object) -> bool:
        return True

    monkeypatch.setattr(job_events, "verify", any_signature)
    assert taken(office, [forger.frame() for _ in range(300)])
