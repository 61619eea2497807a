"""Mail that comes during a turn is named at a tool boundary: how much there is, never what is in it (DESIGN 8)."""

from harness.backends.protocol import RunningTurn
from harness.post import Post
from harness.prompting import announcement
from wire.errors import QueenpostError
from wire.inbox import InboxPeek, InboxPeeked
from wire.logs import get_logger

log = get_logger("turn")


class Announcer:
    """Looks for mail when the model uses a tool, and names what came since it was named last."""

    def __init__(self, post: Post, known: int) -> None:
        self._post = post
        self._known = known
        """What the model knows to be waiting."""
        self._looking = False

    async def at_tool(self, program: RunningTurn) -> None:
        """Look once; where another look is under way, that one is enough. Failing to look fails no turn."""
        if self._looking:
            return
        self._looking = True
        try:
            peeked = await self._post.call(InboxPeek(max=1), InboxPeeked)
            known, self._known = self._known, peeked.waiting
            if peeked.waiting > known and await program.nudge(announcement(peeked.waiting)):
                log.info("mail_announced", waiting=peeked.waiting)
        except QueenpostError as exc:
            log.debug("mail_not_looked_for", reason=exc.message)
        finally:
            self._looking = False
