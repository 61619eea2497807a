"""A tool call that nothing allows yet becomes a durable ask: whoever answers it lets the turn go on (DESIGN 8)."""

import anyio

from harness.backends.protocol import Permission, Permitted
from harness.post import Post
from harness.reporting import Reporter
from wire.asks import PERMISSION_TTL_S, Ask, AsksAsk, AsksAsked, AsksWait, AsksWaited
from wire.client import new_key
from wire.errors import QueenpostError
from wire.logs import get_logger
from wire.settings import Permissions

QUESTION_CHARACTERS = 6000
SAYING_S = 1.0
"""How long a prompt that was withdrawn may take to say that nothing is waited for any more."""

log = get_logger("turn")


class PermissionDesk:
    """Decides for one agent; see `harness.backends.protocol.Permit`.

    Equal prompts are one ask, which the broker sees to. Without an answer within a quarter of an hour it is a no.
    """

    def __init__(self, post: Post, reporter: Reporter, policy: Permissions) -> None:
        self._post = post
        self._reporter = reporter
        self._policy = policy
        self._open: list[str] = []
        """What is asked now, in words."""

    async def __call__(self, permission: Permission) -> Permitted:
        """Ask, and wait for as long as a person takes."""
        if self._policy == "deny":
            return Permitted(allow=False, why=f"{permission.tool} is not among the tools that you may use")
        try:
            ended = await self._asked(permission)
        except QueenpostError as exc:
            log.warning("permission_not_asked", tool=permission.tool, code=exc.code, reason=exc.message)
            return Permitted(allow=False, why=f"nobody could be asked: {exc.message}")
        decided = decision_of(ended)
        log.info("permission_decided", ask=ended.id, tool=permission.tool, allow=decided.allow, always=decided.always)
        return decided

    async def _asked(self, permission: Permission) -> Ask:
        request = AsksAsk(kind="permission", question=question_of(permission), ttl_s=PERMISSION_TTL_S, key=new_key())
        asked = await self._post.insist(request, AsksAsked)
        words = f"{asked.id}: {permission.tool} {permission.detail}".splitlines()[0]
        self._open.append(words)
        try:
            await self._say()
            while True:
                waited = await self._post.insist(AsksWait(ask=asked.id), AsksWaited)
                if waited.ask is not None:
                    return waited.ask
        finally:
            self._open.remove(words)
            with anyio.move_on_after(SAYING_S, shield=True):  # the program may withdraw its prompt and go on
                await self._say()

    async def _say(self) -> None:
        if self._open:
            await self._reporter.say("waiting_permission", self._open[0])
        else:
            await self._reporter.say("working")


def question_of(permission: Permission) -> str:
    """Put a prompt into words for a person: what, with what, and what `always` would mean."""
    lines = [f"May I use {permission.tool}?", permission.detail]
    if permission.rule is not None:
        lines.append(f"`always` would allow, for this session: {permission.rule}")
    return "\n".join(lines)[:QUESTION_CHARACTERS]


def decision_of(ask: Ask) -> Permitted:
    """Read the end of an ask; whatever is no yes is a no."""
    match (ask.state, ask.answer):
        case ("answered", "allow"):
            return Permitted(allow=True)
        case ("answered", "always"):
            return Permitted(allow=True, always=True)
        case ("answered", _):
            return Permitted(allow=False, why=f"denied by {ask.answered_by or 'the operator'}")
        case ("expired", _):
            return Permitted(allow=False, why="denied: nobody answered in time. Go on without it, or say what you need")
        case _:
            return Permitted(allow=False, why="denied: the question was withdrawn")
