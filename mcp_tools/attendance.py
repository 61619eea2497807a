"""What a plain client holds: its instance, the attended turn, what was handed over in it (DESIGN 5.4).

Bookkeeping, plus the one thing that has to come first on a new link: attaching again.
"""

from mcp_tools.session_note import SessionNote
from wire.agents import AgentsAttach, AgentsAttached
from wire.client import new_instance
from wire.errors import QueenpostError, Unavailable
from wire.link import Link
from wire.logs import get_logger
from wire.turns import TurnsGiveBack, TurnsGivenBack, TurnsOpened, TurnsResume, TurnsTaken

MAX_IDS = 64
"""Of one `turns.give_back`."""

log = get_logger("mcp")


class Attendance:
    """One process that takes mail for one agent. In memory only: with the process, the turn ends too."""

    def __init__(self, agent: str, note: SessionNote | None = None) -> None:
        self.agent = agent
        self.attached = False
        self._note = note
        self.turn: str | None = None
        """The open attended turn, as far as we know."""
        self._instance = new_instance()
        self._known: set[str] = set()
        """Ids that were taken into the turn, as far as their answers came."""
        self._handed: list[str] = []
        """Those of them whose results were written, in that order."""

    @property
    def last_handed(self) -> str | None:
        """The newest message that the client surely has."""
        return self._handed[-1] if self._handed else None

    def request(self) -> AgentsAttach:
        """Give the request that attaches this instance, the first time and every other."""
        return AgentsAttach(agent=self.agent, instance=self._instance)

    def attach(self, attached: AgentsAttached) -> None:
        """Note that the agent is ours."""
        self.attached = True
        if self._note is not None:
            self._note.put()
        self._work_in(attached.open_turn)

    def took(self, taken: TurnsTaken, done: str | None) -> None:
        """Note what a take settled and in which turn its mail is."""
        if done in self._handed:
            del self._handed[: self._handed.index(done) + 1]
        if taken.mail:
            self._work_in(taken.turn)
            self._known |= {mail.id for mail in taken.mail}

    def written(self, turn: str | None, ids: list[str]) -> None:
        """Note that the client has this mail."""
        if turn is not None and turn == self.turn:
            self._handed += ids

    def forget(self, ids: list[str]) -> None:
        """Note that this mail went back."""
        self._known -= set(ids)
        self._handed = [kept for kept in self._handed if kept not in ids]

    def ended(self, turn: str) -> None:
        """Note that a turn is over, unless another one has opened since."""
        if turn == self.turn:
            self._work_in(None)

    def lapse(self) -> None:
        """Note that the agent is not ours any more."""
        self.attached = False
        if self._note is not None:
            self._note.remove()
        self._work_in(None)

    def _work_in(self, turn: str | None) -> None:
        """What was handed over in an earlier turn is settled, or it will come again."""
        if turn != self.turn:
            self.turn = turn
            self._known.clear()
            self._handed.clear()

    async def on_link(self, link: Link | None) -> None:
        """Attach again on a new link, before anything else is asked on it; see `wire.client.OnLink`."""
        if link is None or not self.attached:
            return
        try:
            self.attach(await link.call(self.request(), AgentsAttached))
            if self.turn is not None:
                await self._resume(link, self.turn)
        except Unavailable:
            raise
        except QueenpostError as exc:
            # Somebody else works for the agent now. The next recv finds out who, and says it.
            log.info("attendance_lapsed", agent=self.agent, code=exc.code)
            self.lapse()

    async def _resume(self, link: Link, turn: str) -> None:
        """Take the turn back, and return what was leased to it by takes whose answers were lost.

        It would never be shown, yet be acked with what is handed over after it.
        """
        opened = await link.call(TurnsResume(turn=turn), TurnsOpened)
        unseen = [mail.id for mail in opened.turn.mail if mail.id not in self._known] if opened.turn else []
        for start in range(0, len(unseen), MAX_IDS):
            await link.call(TurnsGiveBack(turn=turn, ids=unseen[start : start + MAX_IDS]), TurnsGivenBack)
