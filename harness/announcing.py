"""Mail that comes during a turn is named at a tool boundary: how much there is, never what is in it (DESIGN 8)."""

from harness.backends.protocol import RunningTurn
from harness.open_turn import OpenTurn
from harness.post import Post
from harness.prompting import announcement
from wire.errors import QueenpostError
from wire.inbox import InboxPeek, InboxPeeked
from wire.logs import get_logger

log = get_logger("turn")


class Announcer:
    """Looks for mail when the model uses a tool, and names what came since the model heard of any."""

    def __init__(self, post: Post, turn: OpenTurn) -> None:
        self._post = post
        self._turn = turn
        self._looking = False

    async def at_tool(self, program: RunningTurn) -> None:
        """Look once; where another look is under way, that one is enough. Failing to look fails no turn."""
        if self._looking:
            return
        self._looking = True
        try:
            peeked = await self._post.call(InboxPeek(max=1), InboxPeeked)
            known, self._turn.told_waiting = self._turn.told_waiting, peeked.waiting
            if peeked.waiting > known and await program.nudge(announcement(peeked.waiting)):
                log.info("mail_announced", waiting=peeked.waiting)
        except QueenpostError as exc:
            log.debug("mail_not_looked_for", reason=exc.message)
        finally:
            self._looking = False
