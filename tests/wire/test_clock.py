"""Steady instants, wall instants, and what a suspend does to them."""

import time

import pytest

from wire.clock import Clock, FakeClock, SystemClock


def test_the_steady_clock_starts_at_the_wall_and_does_not_go_back() -> None:
    """Ours: instants can be shown to people and compared with each other."""
    clock = SystemClock()
    readings = [clock.now_ms() for _ in range(1000)]
    assert readings == sorted(readings)
    assert abs(clock.now_ms() - clock.wall_ms()) < 60_000


def test_a_wall_clock_that_is_set_does_not_move_the_steady_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: leases do not end because NTP came by; re-anchoring says how far it was off."""
    clock = SystemClock()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 3_600_000_000_000)
    before = clock.now_ms()
    assert clock.wall_ms() - before > 3_500_000
    assert clock.now_ms() - before < 60_000
    assert 3_500_000 < clock.re_anchor() < 3_700_000
    assert clock.now_ms() - before > 3_500_000
    assert clock.re_anchor() < 60_000


def test_a_machine_without_a_boot_clock_has_the_monotonic_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: macOS."""
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    clock = SystemClock()
    assert abs(clock.now_ms() - clock.wall_ms()) < 60_000


def test_the_clock_of_a_test_moves_by_hand_only() -> None:
    """Ours: simulated days pass in no time."""
    clock = FakeClock(1000)
    assert (clock.now_ms(), clock.wall_ms(), clock.awake_ms()) == (1000, 1000, 1000)
    clock.advance(500)
    assert (clock.now_ms(), clock.wall_ms(), clock.awake_ms()) == (1500, 1500, 1500)


def test_a_suspended_machine_is_seen_by_the_difference() -> None:
    """DESIGN 5.7: boot time minus monotonic time."""
    clock = FakeClock(1000)
    clock.advance(6000, suspended=True)
    assert clock.now_ms() - clock.awake_ms() == 6000


def test_a_step_of_the_wall_is_taken_over_by_re_anchoring() -> None:
    """Ours: the same in the clock of a test."""
    clock = FakeClock(1000)
    clock.step_wall(-400)
    assert (clock.now_ms(), clock.wall_ms()) == (1000, 600)
    assert clock.re_anchor() == -400
    assert (clock.now_ms(), clock.wall_ms(), clock.awake_ms()) == (600, 600, 1000)
    assert clock.re_anchor() == 0


@pytest.mark.parametrize("clock", [SystemClock(), FakeClock()], ids=["system", "fake"])
def test_both_clocks_keep_the_same_promises(clock: Clock) -> None:
    """STYLE of fakes: a fake passes what the real thing passes."""
    first = (clock.now_ms(), clock.awake_ms())
    second = (clock.now_ms(), clock.awake_ms())
    assert first <= second
    assert abs(clock.re_anchor()) < 60_000
