"""Which session of opencode the agent goes on with, and what was allowed in it."""

from dataclasses import replace

from harness.backends import session_file
from harness.backends.seat import Seat
from harness.backends.session_file import Overflowing, Session

BACKEND = "opencode"


class Memory:
    """The session of one agent; kept in its file from the moment in which the program has begun it."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._session: Session | None = None

    def recall(self) -> str | None:
        """Give the session to go on with, if there is one."""
        if self._session is None:
            self._session = session_file.read(self._seat.workspace.session_file, BACKEND, self._seat.cwd)
        return None if self._session is None else self._session.id

    def keep(self, session: str) -> None:
        """The program works in this session now."""
        if self._session is None or self._session.id != session:
            self._write(Session(BACKEND, session, str(self._seat.cwd)))

    def forget(self) -> None:
        """Begin anew with the next turn."""
        session_file.forget(self._seat.workspace.session_file)
        self._session = None

    def holds(self, rules: list[str]) -> bool:
        """Say whether all of these were allowed for the session; of none that is not so."""
        return self._session is not None and bool(rules) and set(rules) <= set(self._session.allowed)

    def add(self, rules: list[str]) -> None:
        """Let these hold from now on."""
        if self._session is not None and not set(rules) <= set(self._session.allowed):
            new = tuple(rule for rule in rules if rule not in self._session.allowed)
            self._write(replace(self._session, allowed=(*self._session.allowed, *new)))

    @property
    def overflow(self) -> Overflowing:
        """See `harness.backends.overflow.Remembering`."""
        return "" if self._session is None else self._session.overflow

    def note(self, overflow: Overflowing) -> None:
        """See `harness.backends.overflow.Remembering`."""
        if self._session is not None and overflow != self._session.overflow:
            self._write(replace(self._session, overflow=overflow))

    def _write(self, session: Session) -> None:
        self._session = session
        session_file.write(self._seat.workspace.session_file, session)
