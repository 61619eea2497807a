"""Signs of life, on a clock that the test moves."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from wire import pulse
from wire.pulse import DEAD_AFTER_S, PING_AFTER_S, Pulse


class Time:
    """A monotonic clock with alarms, in the place of the loop's."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.alarms: list[FakeAlarm] = []

    def advance(self, seconds: float) -> None:
        """Let time pass; what is due rings at its instant."""
        end = self.now + seconds
        while due := [alarm for alarm in self.alarms if alarm.instant is not None and alarm.instant <= end]:
            alarm = min(due, key=lambda one: one.instant or 0.0)
            assert alarm.instant is not None
            self.now = max(self.now, alarm.instant)
            alarm.instant = None
            alarm.ring()
        self.now = end


class FakeAlarm:
    """As `wire.transport.Alarm`."""

    def __init__(self, time: Time, ring: Callable[[], None]) -> None:
        self.ring = ring
        self.instant: float | None = None
        time.alarms.append(self)

    def set(self, instant: float) -> None:
        """Ring at this instant, unless it rings before."""
        self.instant = instant if self.instant is None else min(self.instant, instant)

    def stop(self) -> None:
        """Ring no more."""
        self.instant = None


@dataclass
class FakeLine:
    """Keeps when something came and went."""

    heard_at: float
    said_at: float


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Give a clock that stands still."""
    time = Time()
    monkeypatch.setattr(pulse, "monotonic", lambda: time.now)
    monkeypatch.setattr(pulse, "Alarm", partial(FakeAlarm, time))
    return time


class Watched:
    """A line with its pulse; an answer comes to each ping, unless the other side is gone."""

    def __init__(self, time: Time, *, pings: bool = True, answers: bool = True) -> None:
        self.line = FakeLine(time.now, time.now)
        self.pings: list[float] = []
        self.died: list[float] = []
        self._time = time
        self._answers = answers
        self._start = time.now
        self.pulse = Pulse(self.line, ping=self._ping if pings else None, dead=self._die)
        self.pulse.start()

    def _ping(self) -> None:
        self.pings.append(self._time.now - self._start)
        self.line.said_at = self._time.now
        if self._answers:
            self.line.heard_at = self._time.now

    def _die(self) -> None:
        self.died.append(self._time.now - self._start)


def test_a_silent_client_pings_every_20_s_and_lives(time: Time) -> None:
    """DESIGN 4 Bounds: ping after 20 s of silence."""
    watched = Watched(time)
    time.advance(100)
    assert watched.pings == [20, 40, 60, 80, 100]
    assert watched.died == []
    assert (PING_AFTER_S, DEAD_AFTER_S) == (20, 60)


def test_who_talks_does_not_ping(time: Time) -> None:
    """Ours: any frame is a sign of life."""
    watched = Watched(time)
    for _ in range(20):
        time.advance(10)
        watched.line.heard_at = watched.line.said_at = time.now
    assert watched.pings == []


@pytest.mark.parametrize("silent", ["heard_at", "said_at"])
def test_silence_of_one_side_is_silence(time: Time, silent: str) -> None:
    """Ours: a broker that only pushes, or a request that is parked for 180 s, says nothing of the other direction."""
    watched = Watched(time)
    for _ in range(6):
        time.advance(10)
        setattr(watched.line, "said_at" if silent == "heard_at" else "heard_at", time.now)
    assert watched.pings[0] == 20
    assert watched.died == []


def test_a_broker_that_is_gone_is_noticed_after_60_s(time: Time) -> None:
    """DESIGN 4 Bounds: closed after 60 s, in which the client has asked."""
    watched = Watched(time, answers=False)
    time.advance(200)
    assert watched.pings == [20, 40]
    assert watched.died == [60]


def test_the_broker_drops_who_was_not_heard_for_60_s(time: Time) -> None:
    """DESIGN 4 Bounds: it never pings itself; each frame gives another 60 s."""
    watched = Watched(time, pings=False)
    time.advance(50)
    watched.line.heard_at = time.now
    time.advance(59)
    assert watched.died == []
    time.advance(1)
    assert watched.died == [110]


def test_stopped_it_rings_no_more(time: Time) -> None:
    """Ours: with the connection, its timer goes."""
    watched = Watched(time)
    watched.pulse.stop()
    watched.pulse.stop()
    time.advance(200)
    assert watched.pings == watched.died == []
