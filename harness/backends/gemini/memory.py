"""Which session of Gemini CLI the agent goes on with, and what was allowed for the whole of it."""

from dataclasses import replace

from harness.backends import session_file
from harness.backends.seat import Seat
from harness.backends.session_file import Session

BACKEND = "gemini"


class Memory:
    """The session of one agent; kept in its file as soon as the program has something to go on with."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._session = self._new()
        self._kept = False

    @property
    def id(self) -> str | None:
        """The session that a new process goes on with; None: it begins one."""
        return self._session.id if self._kept else None

    def recall(self) -> None:
        """Go on with the session of the file, where this process of ours has not kept one yet."""
        found = None if self._kept else session_file.read(self._seat.workspace.session_file, BACKEND, self._seat.cwd)
        if found is not None:
            self._session, self._kept = found, True

    def keep(self, session: str) -> None:
        """A turn was completed in this session."""
        if session != self._session.id or not self._kept:
            self._session, self._kept = replace(self._session, id=session), True
            self._write()

    def forget(self) -> None:
        """Begin anew with the next process."""
        session_file.forget(self._seat.workspace.session_file)
        self._session, self._kept = self._new(), False

    def holds(self, rule: str) -> bool:
        """Say whether this was allowed for the whole session."""
        return rule in self._session.allowed

    def add(self, rule: str) -> None:
        """Let this hold from now on."""
        if not self.holds(rule):
            self._session = replace(self._session, allowed=(*self._session.allowed, rule))
            self._write()

    def _new(self) -> Session:
        return Session(BACKEND, "", str(self._seat.cwd))

    def _write(self) -> None:
        if self._kept:
            session_file.write(self._seat.workspace.session_file, self._session)
