"""A tool call that nothing allows yet becomes a durable ask: whoever answers it lets the turn go on (DESIGN 8)."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from harness.backends.protocol import Permission, Permitted
from harness.delegating import DELEGATE_TTL_S, Lender, Rules, ask_delegate, chosen
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
    What a rule leaves to another agent is asked there first, for a third of that time.
    """

    def __init__(
        self,
        post: Post,
        reporter: Reporter,
        policy: Permissions,
        delegate: Rules | None = None,
        lender: Lender | None = None,
        *,
        said: Callable[[str, str], Awaitable[None]] | None = None,
    ) -> None:
        self._post = post
        self._reporter = reporter
        self._policy = policy
        self._delegate = delegate or {}
        self._said = said
        """Says on the jobs of the turn that something is asked."""
        self._lender = lender
        """Lends the turn's slot to whoever decides: the program that asks stands still (DESIGN 8)."""
        self._allowed: set[Permission] = set()
        """What a delegate allowed for always: exactly this, never the rule that the program proposes for it."""
        self._open: list[str] = []
        """What is asked now, in words."""

    async def __call__(self, permission: Permission) -> Permitted:
        """Ask, and wait for as long as a person takes."""
        if self._policy == "deny":
            return Permitted(allow=False, why=f"{permission.tool} is not among the tools that you may use")
        if permission in self._allowed:
            return Permitted(allow=True)
        try:
            ended = await self._ended(permission)
        except QueenpostError as exc:
            log.warning("permission_not_asked", tool=permission.tool, code=exc.code, reason=exc.message)
            return Permitted(allow=False, why=f"nobody could be asked: {exc.message}")
        decided = decision_of(ended)
        log.info(
            "permission_decided",
            ask=ended.id,
            tool=permission.tool,
            allow=decided.allow,
            always=decided.always,
            by=ended.answered_by,
        )
        if decided.always and ended.target != "operator":
            self._allowed.add(permission)
            return Permitted(allow=True)
        return decided

    async def _ended(self, permission: Permission) -> Ask:
        to = chosen(self._delegate, permission)
        if to is None:
            return await self._asked(permission)
        outcome = await ask_delegate(
            self._post, permission, to, lambda ask: self._lending(ask, permission), self._lender
        )
        if outcome.answered is not None:
            return outcome.answered
        ttl_s = PERMISSION_TTL_S - (DELEGATE_TTL_S if outcome.asked else 0)
        return await self._asked(permission, ttl_s, outcome.passed_on)

    async def _asked(self, permission: Permission, ttl_s: int = PERMISSION_TTL_S, note: str = "") -> Ask:
        request = AsksAsk(kind="permission", question=question_of(permission, note), ttl_s=ttl_s, key=new_key())
        asked = await self._post.insist(request, AsksAsked)
        async with self._waiting(asked.id, permission):
            while True:
                waited = await self._post.insist(AsksWait(ask=asked.id), AsksWaited)
                if waited.ask is not None:
                    return waited.ask

    @asynccontextmanager
    async def _lending(self, ask: str, permission: Permission) -> AsyncGenerator[None]:
        async with self._waiting(ask, permission):
            if self._lender is None:
                yield
            else:
                async with self._lender.lent(self._post.agent, self._park):
                    yield

    async def _park(self, reason: str, until_ms: int) -> None:
        await self._reporter.say("parked", reason, until_ms)

    @asynccontextmanager
    async def _waiting(self, ask: str, permission: Permission) -> AsyncGenerator[None]:
        words = f"{ask}: {permission.tool} {permission.detail}".splitlines()[0]
        self._open.append(words)
        try:
            await self._say()
            if self._said is not None:
                await self._said(ask, f"{permission.tool} {permission.detail}")
            yield
        finally:
            self._open.remove(words)
            with anyio.move_on_after(SAYING_S, shield=True):  # the program may withdraw its prompt and go on
                await self._say()

    async def _say(self) -> None:
        if self._open:
            await self._reporter.say("waiting_permission", self._open[0])
        else:
            await self._reporter.say("working")


def question_of(permission: Permission, note: str = "") -> str:
    """Put a prompt into words for a person: what, with what, what came before, and what `always` would mean."""
    lines = [f"May I use {permission.tool}?", permission.detail, *([f"({note})"] if note else [])]
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
