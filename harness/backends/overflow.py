"""A session that holds more than its model can read: it is asked once to become shorter, and else it is left behind.

A program whose turn ended so is asked to compact, by its own means, before its next prompt is put. Where that fails,
or the turn behind it ends so again, a new session begins, and the old one is not asked again. How far that went is
kept with the session, over restarts. It is deliberately *not* about mail: what counts against it is the loop's word.
"""

from typing import Protocol

from harness.backends.protocol import Ended
from harness.backends.session_file import Overflowing
from wire.logs import get_logger
from wire.turns import Outcome

PASSING: frozenset[str] = frozenset(
    {"offline", "rate_limited", "overloaded", "auth", "credit", "bad_model", "budget", "mcp_missing", "missing_program"}
)
"""Ends that say nothing of whether the history can become shorter: it is asked again once they are over."""
BROKEN_OFF: frozenset[str | None] = frozenset({None, "interrupted", "stopped"})
"""Somebody ended it in the middle: it is asked a second time, and then no more."""

log = get_logger("harness")


class Remembering(Protocol):
    """Which session a program goes on with."""

    @property
    def overflow(self) -> Overflowing:
        """How far its overflow was dealt with."""
        ...

    def note(self, overflow: Overflowing) -> None:
        """Keep that, on disk too."""
        ...

    def forget(self) -> None:
        """Begin anew with the next start."""
        ...


class Overflow:
    """That of the session that an agent goes on with."""

    def __init__(self, memory: Remembering) -> None:
        self._memory = memory
        self.asking = False
        """The program was asked to compact in this turn, and has not answered yet."""

    def recall(self) -> None:
        """Leave a session behind that was asked twice and never came to an end; called before a program is started."""
        self.asking = False
        if self._memory.overflow == "asked_again":
            self._leave("it was asked twice to compact and did not come to an end")

    @property
    def is_due(self) -> bool:
        """Whether the program has to be asked to compact before it gets a prompt."""
        return self._memory.overflow in ("full", "asked")

    def ask(self) -> None:
        """Note that it is asked now, before it is: a harness that dies in the middle knows of it."""
        self.asking = True
        self._memory.note("asked_again" if self._memory.overflow == "asked" else "asked")

    def shortened(self) -> None:
        """The history is shorter; whether that helps is seen by the turn that follows."""
        self.asking = False
        self._memory.note("shortened")
        log.info("session_compacted")

    def failed(self, ended: Ended) -> Ended:
        """Give how the turn ends that got no further, as the program said how its compaction ended."""
        if ended.outcome in PASSING or ended.outcome in BROKEN_OFF:
            return ended
        reason = f"its history could not be made shorter ({ended.reason}); a new session begins"
        return Ended("context_full", reason, ended.usage)

    def ended(self, outcome: Outcome | None) -> None:
        """Take in how the turn ended; None where it was left before it did."""
        asking, self.asking = self.asking, False
        if asking:
            self._gave_up(outcome)
        elif outcome == "completed":
            self._memory.note("")
        elif outcome != "context_full":
            pass
        elif self._memory.overflow == "shortened":
            self._leave("compacted, it was too long again")
        else:
            self._memory.note("full")

    def _gave_up(self, outcome: Outcome | None) -> None:
        if outcome in PASSING:
            self._memory.note("full")
        elif outcome not in BROKEN_OFF:
            self._leave("it could not be compacted")

    def _leave(self, why: str) -> None:
        log.warning("session_left", reason=why)
        self._memory.forget()
