"""Suspects: events behind which connections ended, so that one that no MQTT broker takes keeps back none but itself.

An MQTT broker may end the connection over a message that is longer than it takes, and says no word of why. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

STRIKES = 2
"""Connections that ended behind an event that was sent alone, until it is put off."""
CAP_S = 60.0


@dataclass(slots=True)
class Suspects:
    """Of one publisher; by the numbers of its outbox."""

    _alone: set[int] = field(default_factory=set[int])
    _strikes: dict[int, int] = field(default_factory=dict[int, int])
    _until_s: dict[int, float] = field(default_factory=dict[int, float])

    def accuse(self, numbers: Iterable[int], now_s: float) -> None:
        """Note what was on the way when a connection ended: it is sent alone from now on, and in the end put off."""
        accused = set(numbers)
        if len(accused) == 1:
            (number,) = accused
            self._strikes[number] = strikes = self._strikes.get(number, 0) + 1
            if strikes > STRIKES:
                self._until_s[number] = now_s + min(CAP_S, 2.0**strikes)
        self._alone |= accused

    def clear(self, number: int) -> None:
        """Note that an event has arrived, or is settled."""
        self._alone.discard(number)
        self._strikes.pop(number, None)
        self._until_s.pop(number, None)

    def is_alone(self, number: int) -> bool:
        """Say whether an event is to be sent alone."""
        return number in self._alone

    def is_put_off(self, number: int, now_s: float) -> bool:
        """Say whether an event waits, so that the others go on."""
        return now_s < self._until_s.get(number, 0.0)

    def strikes(self, number: int) -> int:
        """Count the connections that ended behind it alone."""
        return self._strikes.get(number, 0)
