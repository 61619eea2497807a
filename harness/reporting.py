"""What the fleet is told of an agent's state: on changes only, and again after the broker was away."""

from harness.post import Counter, Post
from wire.agents import AgentsChanged, AgentsReport, Reported
from wire.errors import QueenpostError
from wire.logs import get_logger

PATIENCE_S = 5.0
REASON_CHARACTERS = 480
TOOL_CHARACTERS = 80

log = get_logger("harness")


class Reporter:
    """One agent's state. Failing to tell it never fails a turn."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._last: AgentsReport | None = None

    @property
    def state(self) -> Reported | None:
        """What was said last."""
        return self._last.state if self._last else None

    async def say(self, state: Reported, reason: str = "", until_ms: int | None = None) -> None:
        """Report a state, unless it is the one that was reported last."""
        report = AgentsReport(state=state, reason=reason[-REASON_CHARACTERS:], until_ms=until_ms)
        if report != self._last:
            self._last = report
            await self._tell(self._post)

    async def uses(self, tool: str) -> None:
        """Report what the agent works with now; while it waits for something, that is what counts."""
        if self.state == "working":
            await self.say("working", f"uses {' '.join(tool.split())[:TOOL_CHARACTERS]}")

    async def is_silent(self, silent_s: float) -> None:
        """Report that nothing comes from the program; the next tool that it uses ends that."""
        if self.state == "working":
            await self.say("working", f"stuck: nothing came from its program for {silent_s:.0f} s; told to finish")

    async def again(self, counter: Counter) -> None:
        """Report the last state on a new link: the broker keeps it in memory only."""
        await self._tell(Post(counter, self._post.agent))

    async def _tell(self, post: Post) -> None:
        if self._last is None:
            return
        try:
            await post.call(self._last, AgentsChanged, timeout_s=PATIENCE_S)
        except QueenpostError as exc:
            log.debug("state_not_reported", state=self._last.state, reason=exc.message)
