"""When crashes are a loop."""

from harness.crashes import CRASHES, WITHIN_S, Crashes


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_five_within_a_minute_are_a_loop() -> None:
    """Ours: and then it is counted anew."""
    crashes = Crashes(Clock())
    assert [crashes.note() for _ in range(CRASHES + 1)] == [False] * (CRASHES - 1) + [True, False]


def test_five_over_a_longer_time_are_not() -> None:
    """Ours: a program that crashes now and then is not left alone."""
    clock = Clock()
    crashes = Crashes(clock)
    for _ in range(20):
        assert not crashes.note()
        clock.now += WITHIN_S / (CRASHES - 1) + 1


def test_a_finished_turn_makes_them_forgotten() -> None:
    """Ours: mail that crashes its turn is the post office's business, not a broken program."""
    crashes = Crashes(Clock())
    for _ in range(CRASHES - 1):
        crashes.note()
    crashes.clear()
    assert not crashes.note()
