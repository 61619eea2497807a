"""When a program is started again."""

from console.supervisor.policy import Patience, Restarts


def test_five_restarts_with_growing_waits_then_failed() -> None:
    """DESIGN 2: with back-off, 5 times in 60 s."""
    restarts = Restarts()
    assert [restarts.died(float(second)) for second in range(6)] == [0.25, 0.5, 1.0, 2.0, 4.0, None]


def test_old_deaths_are_forgiven() -> None:
    """DESIGN 2: what counts is the last 60 s."""
    restarts = Restarts()
    for second in range(5):
        assert restarts.died(float(second)) is not None
    assert restarts.died(61.5) == 2.0  # those of the seconds 0 and 1 are over
    assert restarts.died(200.0) == 0.25


def test_a_wait_is_bounded() -> None:
    """Ours: however patient."""
    restarts = Restarts(Patience(restarts=20))
    assert max(restarts.died(float(second)) or 0 for second in range(20)) == 5.0
