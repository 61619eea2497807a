"""SIGKILL, EIO and ENOSPC at single system calls of a script of 200 operations: every reply stays true.

QUEENPOST_TORTURE_POINTS says at how many of them, QUEENPOST_TORTURE_SEED with which dice; both are printed.
"""

import os
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.torture.script import OPERATIONS
from tests.torture.strace import CALLS, FAULTS, Point, count, run_with, strace
from tests.torture.verdict import disagreements

POINTS = int(os.environ.get("QUEENPOST_TORTURE_POINTS", "300"))
SHARES = 4
"""Parts that may run side by side."""
SEED = int(os.environ.get("QUEENPOST_TORTURE_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)


@pytest.fixture(scope="module")
def program() -> str:
    """Give strace; skips, by name, where the machine does not let it trace."""
    found = strace()
    if found is None:
        pytest.skip("SIGKILL, EIO and ENOSPC at system calls were NOT RUN: strace is missing or may not trace here")
    return found


def sample(calls: dict[str, int], points: int, rng: random.Random) -> list[Point]:
    """Choose points evenly over faults, and over the calls as often as the script makes them."""
    every = [(call, when) for call, times in calls.items() for when in range(1, times + 1)]
    faults = list(FAULTS)
    return [Point(*rng.choice(every), faults[number % len(faults)]) for number in range(points)]


@pytest.mark.torture
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("share", range(SHARES))
def test_a_fault_at_any_system_call_makes_no_reply_a_lie(share: int, program: str, tmp_path: Path) -> None:
    """[P09] Reliability 5, goal 3: 300 sampled points; the store is whole, every answer true, all is worked off."""
    calls = count(program, tmp_path / "unharmed")
    assert calls["pwrite64"] > OPERATIONS / 2, calls
    assert calls["fdatasync"] > OPERATIONS / 4, calls
    rng = random.Random(SEED + share)
    points = sample(calls, -(-POINTS // SHARES), rng)
    sys.stderr.write(f"QUEENPOST_TORTURE_SEED={SEED}, share {share}: {len(points)} points of {calls}\n")
    ends: Counter[str] = Counter()
    for point in points:
        folder = tmp_path / "harmed"
        folder.mkdir()
        ran = run_with(program, folder, point)
        ends[f"{point.fault}: {'to its end' if ran.code == 0 else 'ended early'}"] += 1
        assert "Traceback" not in ran.errors or point.fault != "kill", (point, ran.errors)
        assert disagreements(folder, ran.lines) == [], (point, ran.errors)
        shutil.rmtree(folder)
    sys.stderr.write(f"{dict(ends)}\n")
    assert ends["kill: ended early"] > len(points) / len(FAULTS) / 2, ends


@pytest.mark.timeout(60)
def test_the_verdict_finds_a_lie(program: str, tmp_path: Path) -> None:
    """Reliability 5: a control that must fail; a message that was answered and is not there."""
    ran = run_with(program, tmp_path, Point("fdatasync", 60_000, "kill"))
    assert ran.code == 0, ran.errors
    assert [line["n"] for line in ran.lines if "told" in line or "refused" in line] == list(range(OPERATIONS))
    assert set(CALLS) == set(count(program, tmp_path / "again"))
    sent = next(line["told"] for line in ran.lines if "message" in line.get("told", {}))
    assert disagreements(tmp_path, ran.lines) == []
    lie = {"n": 0, "told": {**sent, "body": sent["body"] + 1}}
    assert len(disagreements(tmp_path, [*ran.lines, lie])) == 1
