"""The turn that is open now, as the agent's tools see it: what was taken in it, what was handed over.

A completed turn acks all that is leased to it. So before it is closed, everything the model did not get has
to be given back: what a withdrawn recv still leased, and what was taken but never written to the program.
"""

from collections.abc import Iterable

import anyio

from harness.post import PASSING, Counter, Post, patiently
from harness.prompting import nothing_more, turn_ended
from mcp_tools.desk import Received
from wire.client import new_key
from wire.errors import Closed, QueenpostError, Stale, Unknown
from wire.inbox import Mail
from wire.logs import get_logger
from wire.turns import (
    MAX_WAIT_S,
    Turn,
    TurnsGiveBack,
    TurnsGivenBack,
    TurnsOpened,
    TurnsResume,
    TurnsTake,
    TurnsTaken,
)

PARKED_S = MAX_WAIT_S
"""How long all waiting recvs of one turn may park together."""

WRITING_S = 2.0
"""How long a result that is on its way to a program is given to arrive when the turn is closed."""

RECONCILE_S = 5.0

_GONE = (Stale, Closed, Unknown)
"""The turn is not ours any more: its mail has gone back without us."""

log = get_logger("harness")


class OpenTurn:
    """One open turn. Lives from its opening until its close was answered."""

    def __init__(self, turn: Turn, post: Post, *, parked_s: float = PARKED_S, writing_s: float = WRITING_S) -> None:
        self.id = turn.id
        self._post = post
        self._parked_left_s = parked_s
        self._writing_s = writing_s
        self._known = {mail.id for mail in turn.mail}
        """Leased to the turn and known to us. The broker may know of more: see `reconcile`."""
        self.told_waiting = turn.waiting
        """How much waiting mail the model has heard of."""
        self._on_its_way: set[str] = set()
        """Taken by a recv whose result is not yet written."""
        self._changed = anyio.Event()
        """Set and replaced when `_on_its_way` or `_takes` shrinks."""
        self._takes: set[anyio.CancelScope] = set()
        self._closing = False
        self._unsure = False
        """A take was withdrawn and may have leased mail that we never saw."""

    async def take(self, maximum: int, wait_s: float) -> Received:
        """Lease more mail into the turn; cancelled, whatever it leased goes back at once."""
        if self._closing:
            return self._nothing(turn_ended())
        with anyio.CancelScope() as scope:
            self._takes.add(scope)
            try:
                return await self._take(maximum, wait_s)
            except Closed:
                return self._nothing(turn_ended())
            except PASSING:  # whether it was carried out is not known
                self._unsure = True
                raise
            except anyio.get_cancelled_exc_class():
                self._unsure = True
                if not self._closing:
                    await self._reconcile_shielded()
                raise
            finally:
                self._takes.discard(scope)
                self._note_change()
        return self._nothing(turn_ended())

    async def _take(self, maximum: int, wait_s: float) -> Received:
        wait_s = min(wait_s, self._parked_left_s)
        started = anyio.current_time()
        try:
            request = TurnsTake(turn=self.id, max=maximum, wait_s=wait_s, call=new_key())
            taken = await self._post.call(request, TurnsTaken)
        finally:
            if wait_s:
                self._parked_left_s = max(0.0, self._parked_left_s - (anyio.current_time() - started))
        return self._received(taken)

    def _received(self, taken: TurnsTaken) -> Received:
        ids = {mail.id for mail in taken.mail}
        self._known |= ids
        self._on_its_way |= ids
        self.told_waiting = taken.waiting
        over = not taken.mail and (taken.exhausted or not self._parked_left_s)
        if over:  # what waits is for the next turn: told of it here, a model would ask for it again and again
            return Received([], 0, turn=self.id, peek=False, note=nothing_more())
        return Received(taken.mail, taken.waiting, turn=self.id, peek=False, note=None)

    def _nothing(self, note: str) -> Received:
        return Received([], 0, turn=None, peek=False, note=note)

    def has(self, message: str) -> bool:
        """Say whether a message is leased to this turn, as far as is known here."""
        return message in self._known

    def written(self, mail: Iterable[Mail]) -> None:
        """The program got these: they are settled with the turn."""
        self._on_its_way -= {message.id for message in mail}
        self._note_change()

    async def give_back(self, ids: Iterable[str]) -> None:
        """Return mail that did not reach the program; if that fails now, it is done before the close.

        Raises:
            QueenpostError: the broker refused or is away.
        """
        going = sorted(set(ids) & self._known)
        self._on_its_way |= set(going)
        if going:
            await self._post.call(TurnsGiveBack(turn=self.id, ids=going), TurnsGivenBack)
        self._forget(going)

    def _forget(self, ids: Iterable[str]) -> None:
        self._known -= set(ids)
        self._on_its_way -= set(ids)
        self._note_change()

    def shut(self) -> None:
        """Take no more mail; parked recvs end."""
        self._closing = True
        for scope in list(self._takes):
            scope.cancel()

    async def settle(self) -> None:
        """Make sure that what is leased is what the model got; only then may the turn be closed as completed.

        However long the broker is away: this returns when it is true, or the turn is not ours.
        """
        self.shut()
        with anyio.move_on_after(self._writing_s):
            while self._takes or self._on_its_way:
                await self._changed.wait()
        try:
            if self._unsure:
                await patiently(self.reconcile)
            if self._on_its_way:
                log.info("unread_mail_returned", turn=self.id, mail=sorted(self._on_its_way))
                await self._post.insist(TurnsGiveBack(turn=self.id, ids=sorted(self._on_its_way)), TurnsGivenBack)
        except _GONE as exc:
            log.info("turn_was_over", turn=self.id, reason=exc.message)

    async def resume(self, link: Counter) -> None:
        """Take the turn back on a new link, before anything else is sent on it.

        A take whose answer was lost with the old link is repeated under its name and gets the same mail again.

        Raises:
            Stale, Unknown: the turn is not ours any more.
        """
        if self._takes:
            self._unsure = True
            await Post(link, self._post.agent).call(TurnsResume(turn=self.id), TurnsOpened)
        else:
            await self._reconcile(Post(link, self._post.agent))

    async def reconcile(self) -> TurnsOpened:
        """Take the turn back if it lapsed, and return mail that was leased to it without our knowing.

        That happens when a recv is withdrawn in the moment in which it leases.

        Raises:
            Stale, Unknown: the turn is not ours any more.
        """
        return await self._reconcile(self._post)

    async def _reconcile(self, post: Post) -> TurnsOpened:
        opened = await post.call(TurnsResume(turn=self.id), TurnsOpened)
        leased = {mail.id for mail in opened.turn.mail} if opened.turn else set[str]()
        unknown = sorted(leased - self._known)
        if unknown:
            log.info("unseen_mail_returned", turn=self.id, mail=unknown)
            await post.call(TurnsGiveBack(turn=self.id, ids=unknown), TurnsGivenBack)
        self._unsure = False
        return opened

    async def _reconcile_shielded(self) -> None:
        with anyio.move_on_after(RECONCILE_S, shield=True):
            try:
                await self.reconcile()
            except PASSING:
                log.debug("reconciling_later", turn=self.id)
            except QueenpostError as exc:
                log.info("turn_was_over", turn=self.id, reason=exc.message)

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
