"""Making an agent's notes shorter: a short session of its own program beside it, between two of its turns.

It gets the notes and one tool to hand the new text in, and neither mail nor memory. Whatever goes wrong leaves the
notes as they are, and is tried again later and later. Whether now is the time is the turn loop's question.
"""

import json
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import anyio

from harness.backends import session_file
from harness.backends.protocol import Backend, Ended, NotStartedError, Output, TurnRequest
from harness.notes import Notes, NotesRefusedError, Snapshot, kib
from harness.transcript import Transcript
from harness.turn_file import noted
from harness.workspace import Workspace
from mcp_tools.notes import NotesDesk
from prompts.loader import render
from wire.clock import Clock
from wire.errors import Invalid, QueenpostError
from wire.logs import get_logger
from wire.private_files import write_secret
from wire.turns import Outcome, Usage

ASIDE = "notes"
"""The session's name beside the agent's own; its files lie in `harness/notes/`."""
LIMIT_S = 300.0
"""Then it is over, whatever it does."""
GOAL = 0.5
"""How large the new text should be, as a share of what is allowed."""
FIRST_REST_MS = 3_600_000
LONGEST_REST_MS = 24 * 3_600_000

OpenBeside = Callable[[NotesDesk], AbstractContextManager[Backend]]
"""Gives the agent's program anew, for one session at this desk."""

log = get_logger("notes")


@dataclass(frozen=True, slots=True)
class Shortened:
    """How it went."""

    outcome: Outcome
    reason: str
    usage: Usage | None = None
    until_ms: int | None = None
    begun: bool = True


class Compactor:
    """One agent's."""

    def __init__(self, notes: Notes, workspace: Workspace, open_beside: OpenBeside, clock: Clock) -> None:
        self.notes = notes
        self._agent = workspace.agent
        self._beside = replace(workspace, aside=ASIDE)
        self._open_beside = open_beside
        self._clock = clock

    @property
    def is_due(self) -> bool:
        """Say whether the notes are too large, and it is not too soon after a try that failed."""
        return self.notes.are_too_large and self._rests_until_ms() <= self._clock.wall_ms()

    @property
    def presses(self) -> bool:
        """Say whether it should not even wait for a moment without mail."""
        return self.notes.size > 2 * self.notes.most_bytes

    async def shorten(self, secret_words: tuple[str, ...] = ()) -> Shortened:
        """Have the notes made shorter. Cancelled, nothing was changed, and it is as if it had failed.

        Raises nothing for what the program, the model or a disk does.
        """
        tries = self._tries() + 1
        self._rest(tries)  # a harness that dies in the middle has failed
        try:
            before = self.notes.read()
        except NotesRefusedError as exc:
            return Shortened("interrupted", str(exc), begun=False)
        saved: list[str] = []
        ended = await self._play(before, saved, secret_words)
        if not saved:
            why = ended.reason or "it handed nothing in"
            return Shortened(_unless_completed(ended.outcome), why, ended.usage, ended.until_ms)
        try:
            news = self.notes.replace(before, saved[-1], self._clock.wall_ms())
        except (NotesRefusedError, OSError, QueenpostError) as exc:
            return Shortened("interrupted", str(exc), ended.usage)
        self._forget()
        return Shortened("completed", f"from {kib(news.before_bytes)} to {kib(news.after_bytes)} KiB", ended.usage)

    async def _play(self, before: Snapshot, saved: list[str], secret_words: tuple[str, ...]) -> Ended:
        """Run the session to its end, for so long at most."""

        def save(text: str) -> str:
            try:
                self.notes.check(before, text)
            except NotesRefusedError as exc:
                raise Invalid(f"this text cannot take the place of the notes: {exc}") from exc
            saved.append(text)
            return "saved; stop now"

        ended = Ended("hung", f"it did not come to an end within {LIMIT_S:g} s")
        with anyio.move_on_after(LIMIT_S):
            try:
                with self._open_beside(NotesDesk(self._agent, save)) as backend:
                    ended = await self._run(backend, before, secret_words)
            except NotStartedError as exc:
                ended = Ended(exc.outcome, exc.reason)
            except (OSError, QueenpostError) as exc:
                ended = Ended("crashed", str(exc))
        return ended

    async def _run(self, backend: Backend, before: Snapshot, secret_words: tuple[str, ...]) -> Ended:
        self._beside.make()
        session_file.forget(self._beside.session_file)
        ended = Ended("crashed", "the program ended without a word")
        with Transcript(self._beside.transcripts, "notes", secrets=secret_words) as transcript:
            async with backend.open(), backend.run(TurnRequest("notes", self._prompt(before))) as program:
                with noted(self._beside, "notes", [], program.pid, self._clock.wall_ms()):
                    async for event in program.events():
                        if isinstance(event, Output):
                            transcript.write(event.data, event.stream)
                        elif isinstance(event, Ended):
                            ended = event
        return ended

    def _prompt(self, before: Snapshot) -> str:
        while (boundary := secrets.token_hex(4)) in before.text:
            pass
        most = self.notes.most_bytes
        return render(
            "turns/notes_shorten.md.j2",
            name=self._agent,
            notes=before.text,
            boundary=boundary,
            kib=kib(len(before.data)),
            most_kib=kib(most),
            goal_kib=kib(int(GOAL * most)),
        )

    # --- tries that failed --------------------------------------------------------------------------

    def _state(self) -> dict[str, int]:
        try:
            found = json.loads((self.notes.folder / "tries.json").read_text(encoding="utf-8"))
            return {"tries": int(found["tries"]), "until_ms": int(found["until_ms"])}
        except (OSError, ValueError, TypeError, KeyError):
            return {"tries": 0, "until_ms": 0}

    def _tries(self) -> int:
        return min(self._state()["tries"], 32)

    def _rests_until_ms(self) -> int:
        latest_ms = self._clock.wall_ms() + LONGEST_REST_MS
        until_ms = self._state()["until_ms"]
        return until_ms if until_ms <= latest_ms else 0  # the clock was set back

    def _rest(self, tries: int) -> None:
        """Try again after an hour, then two, four … at most a day; known to the next harness too."""
        until_ms = self._clock.wall_ms() + min(FIRST_REST_MS * 2 ** (tries - 1), LONGEST_REST_MS)
        try:
            self._beside.make()
            write_secret(self.notes.folder / "tries.json", json.dumps({"tries": tries, "until_ms": until_ms}))
        except (OSError, QueenpostError) as exc:
            log.warning("notes_tries_not_kept", reason=str(exc))

    def _forget(self) -> None:
        try:
            (self.notes.folder / "tries.json").unlink(missing_ok=True)
        except OSError as exc:  # it is tried later than need be
            log.warning("notes_tries_not_forgotten", reason=str(exc))


def _unless_completed(outcome: Outcome) -> Outcome:
    """A session that ended well without a text was of no use."""
    return "interrupted" if outcome == "completed" else outcome
