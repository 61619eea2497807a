"""Keeping a turn: its lease is renewed while the program lives, and taken back after the broker was away."""

import anyio

from harness.open_turn import OpenTurn
from harness.post import PASSING, Post
from wire.errors import QueenpostError
from wire.logs import get_logger
from wire.turns import RENEW_EVERY_S, TurnsRenew, TurnsRenewed

log = get_logger("harness")


class Lease:
    """The hold on one turn."""

    def __init__(self, turn: OpenTurn, post: Post, *, every_s: float = RENEW_EVERY_S) -> None:
        self._turn = turn
        self._post = post
        self._every_s = every_s
        self._due = anyio.Event()
        self.begun = False
        """The model has begun to answer: told to the broker in case nobody is left to close the turn."""

    def begin(self) -> None:
        """Note the first byte of output; the broker is told at once."""
        if not self.begun:
            self.begun = True
            self._due.set()

    async def keep(self) -> None:
        """Renew until cancelled. Returns when the turn is not ours any more."""
        while True:
            with anyio.move_on_after(self._every_s):
                await self._due.wait()
                self._due = anyio.Event()
            if not await self._renewed() and not await self._taken_back():
                return

    async def _renewed(self) -> bool:
        try:
            await self._post.call(TurnsRenew(turn=self._turn.id, begun=self.begun), TurnsRenewed)
        except PASSING as exc:
            log.debug("renewing_later", turn=self._turn.id, reason=exc.message)
        except QueenpostError as exc:
            log.debug("lease_ended", turn=self._turn.id, reason=exc.message)
            return False
        return True

    async def _taken_back(self) -> bool:
        """Resume a turn that lapsed, after a suspend for example; False where its mail went elsewhere."""
        try:
            await self._turn.reconcile()
        except PASSING:
            return True
        except QueenpostError as exc:
            log.warning("turn_lost", turn=self._turn.id, reason=exc.message)
            return False
        return True
