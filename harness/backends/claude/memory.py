"""Which session of Claude Code the agent goes on with, and what of it has to outlive the process."""

import uuid
from dataclasses import replace

from harness.backends import session_file
from harness.backends.seat import Seat
from harness.backends.session_file import Overflowing, Session

BACKEND = "claude"


class Memory:
    """The session of one agent; kept in its file from the moment in which the program has begun it."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._session = self._new()
        self.kept = False
        """The program knows the session: it is resumed, not begun."""

    @property
    def id(self) -> str:
        """The program's own name of it."""
        return self._session.id

    def recall(self) -> None:
        """Go on with the session of the file, where this process of ours has not begun one yet."""
        found = None if self.kept else session_file.read(self._seat.workspace.session_file, BACKEND, self._seat.cwd)
        if found is not None:
            self._session, self.kept = found, True

    def keep(self, session: str) -> None:
        """The program works in this session now."""
        if session and (session != self._session.id or not self.kept):
            self._session, self.kept = replace(self._session, id=session), True
            self._write()

    def forget(self) -> None:
        """Begin anew with the next start."""
        session_file.forget(self._seat.workspace.session_file)
        self._session, self.kept = self._new(), False

    def cost_of(self, total_usd: float) -> float:
        """Give what came on top since the last turn: the program adds up over the session.

        A sum that begins anew is taken as it is: some versions lose it with their process.
        """
        spent = self._session.spent_usd
        cost = total_usd - spent if total_usd >= spent else total_usd
        self._session = replace(self._session, spent_usd=total_usd)
        self._write()
        return cost

    def hold(self, rules: list[str]) -> bool:
        """See `asking.Rules`."""
        return bool(rules) and set(rules) <= set(self._session.allowed)

    def add(self, rules: list[str]) -> None:
        """See `asking.Rules`."""
        allowed = (*self._session.allowed, *(rule for rule in rules if rule not in self._session.allowed))
        if allowed != self._session.allowed:
            self._session = replace(self._session, allowed=allowed)
            self._write()

    @property
    def overflow(self) -> Overflowing:
        """See `harness.backends.overflow.Remembering`."""
        return self._session.overflow

    def note(self, overflow: Overflowing) -> None:
        """See `harness.backends.overflow.Remembering`."""
        if overflow != self._session.overflow:
            self._session = replace(self._session, overflow=overflow)
            self._write()

    def _new(self) -> Session:
        return Session(BACKEND, str(uuid.uuid4()), str(self._seat.cwd))

    def _write(self) -> None:
        if self.kept:
            session_file.write(self._seat.workspace.session_file, self._session)
