"""The replay window: which sequence numbers of an epoch were taken. Pure; where it is kept is not its business."""

from dataclasses import dataclass
from typing import Literal

from wire.jobs import REPLAY_WINDOW, Replay

WIDTH = REPLAY_WINDOW
"""How far behind the highest number one may still come."""

Place = Literal["new", "taken", "behind"]


@dataclass(frozen=True, slots=True)
class Window:
    """The highest number that was taken, and which of those behind it."""

    highest: int = 0
    seen: int = 0
    """Bit n: `highest - n` was taken. Bit 0 is set as soon as anything was."""

    @staticmethod
    def of(highest: int, stored: bytes) -> "Window":
        """Read what `stored` gave."""
        return Window(highest, int.from_bytes(stored, "big"))

    @property
    def stored(self) -> bytes:
        """Give the bits as bytes, at most 128 of them."""
        return self.seen.to_bytes((self.seen.bit_length() + 7) // 8, "big")

    def place(self, seq: int, replay: Replay) -> Place:
        """Say whether a number is new. `behind`: too old to tell, or in `strict` not the next to grow."""
        if seq > self.highest:
            return "new"
        if self.highest - seq >= WIDTH:
            return "behind"
        if self.seen >> (self.highest - seq) & 1:
            return "taken"
        return "new" if replay == "window" else "behind"

    def take(self, seq: int) -> "Window":
        """Give the window with a new number in it."""
        if seq > self.highest:
            shift = min(seq - self.highest, WIDTH)
            return Window(seq, (self.seen << shift | 1) & (1 << WIDTH) - 1)
        return Window(self.highest, self.seen | 1 << (self.highest - seq))
