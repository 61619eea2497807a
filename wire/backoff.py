"""Full-jitter back-off for whatever reconnects or restarts."""

import random


class Backoff:
    """Waits that grow from `first_s` to `cap_s`; each is drawn evenly from nothing to the current bound."""

    def __init__(self, first_s: float = 0.1, cap_s: float = 5.0, *, rng: random.Random | None = None) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._tries = 0
        self._rng = rng or random.Random()  # noqa: S311  # spreading reconnects needs no secrecy

    def next_s(self) -> float:
        """Give the next wait in seconds."""
        bound = min(self._cap_s, self._first_s * 2.0**self._tries)
        self._tries = min(self._tries + 1, 32)
        return self._rng.uniform(0, bound)

    def reset(self) -> None:
        """Start small again, after something worked."""
        self._tries = 0
