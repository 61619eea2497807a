"""Full jitter: anything from nothing to a bound that doubles."""

import random

from wire.backoff import Backoff


class Highest(random.Random):
    """Dice that always fall on the bound."""

    def uniform(self, a: float, b: float) -> float:
        assert a == 0
        return b


def test_the_bound_doubles_up_to_the_cap_and_starts_anew() -> None:
    """DESIGN 4: reconnect 0.1–5 s."""
    backoff = Backoff(rng=Highest())
    assert [backoff.next_s() for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    backoff.reset()
    assert backoff.next_s() == 0.1


def test_years_of_trying_do_not_overflow() -> None:
    """Ours: a broker that never comes back."""
    backoff = Backoff(rng=Highest())
    assert [backoff.next_s() for _ in range(5000)][-1] == 5.0


def test_waits_are_spread_over_the_whole_range() -> None:
    """DESIGN 4: a thousand clients do not come back at once."""
    waits = [Backoff(1.0, 1.0, rng=random.Random(seed)).next_s() for seed in range(200)]
    assert min(waits) < 0.1
    assert max(waits) > 0.9
