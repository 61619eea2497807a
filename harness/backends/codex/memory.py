"""Which thread of Codex the agent goes on with, and what of it has to outlive the process."""

from collections.abc import Sequence
from dataclasses import replace

from harness.backends import session_file
from harness.backends.codex.rules import Use, hold
from harness.backends.codex.shapes import object_of, whole
from harness.backends.seat import Seat
from harness.backends.session_file import Overflowing, Session
from wire.turns import Usage, by_tool

BACKEND = "codex"


class Memory:
    """The thread of one agent; kept in its file from the moment in which the program has begun it."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._session = self._new()
        self._total = (0, 0)
        """What the program says that the whole thread has used so far: tokens in, tokens out."""

    @property
    def id(self) -> str | None:
        """The program's own name of the thread; None: a new one has to be begun."""
        return self._session.id or None

    def recall(self) -> None:
        """Go on with the thread of the file, where this process of ours has not begun one yet."""
        found = None if self.id else session_file.read(self._seat.workspace.session_file, BACKEND, self._seat.cwd)
        if found is not None:
            self._session = found
        self._total = (self._session.spent_input_tokens, self._session.spent_output_tokens)

    def keep(self, thread: str) -> None:
        """The program works in this thread now."""
        if thread and thread != self._session.id:
            self._session = replace(self._session, id=thread)
            self._write()

    def forget(self) -> None:
        """Begin anew with the next start."""
        session_file.forget(self._seat.workspace.session_file)
        self._session, self._total = self._new(), (0, 0)

    def count(self, total: object) -> None:
        """The program said what the whole thread has used, in the words of the app-server or of `exec`."""
        found = object_of(total)
        tokens_in = found.get("inputTokens", found.get("input_tokens"))
        self._total = whole(tokens_in), whole(found.get("outputTokens", found.get("output_tokens")))

    def usage(self, tools: Sequence[str]) -> Usage:
        """Give what came on top since the last turn; a count that begins anew is taken as it is."""
        spent = self._session.spent_input_tokens, self._session.spent_output_tokens
        more = tuple(now - then if now >= then else now for now, then in zip(self._total, spent, strict=True))
        if self._total != spent:
            spent_in, spent_out = self._total
            self._session = replace(self._session, spent_input_tokens=spent_in, spent_output_tokens=spent_out)
            self._write()
        return Usage(input_tokens=more[0], output_tokens=more[1], tool_calls=len(tools), tools=by_tool(tools))

    def hold(self, uses: list[Use]) -> bool:
        """Say whether all of it is allowed, by the settings or since a person said `always`."""
        return hold((*self._seat.settings.allowed_tools, *self._session.allowed), uses)

    def add(self, uses: list[Use]) -> None:
        """Let this be allowed for the rest of the session."""
        rules = (use.rule for use in uses)
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
        return Session(BACKEND, "", str(self._seat.cwd))

    def _write(self) -> None:
        if self.id:
            session_file.write(self._seat.workspace.session_file, self._session)
