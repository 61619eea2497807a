"""Permission prompts that a rule leaves to another agent: who is asked, and when it falls to the operator after all.

Who that is comes from the settings alone: nothing that a model or a mail says can choose it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Protocol

from harness.backends.protocol import Permission
from harness.post import Post
from prompts.loader import render
from wire.agents import AgentState, AgentsWho, AgentsWhoami
from wire.asks import PERMISSION_TTL_S, Ask, AsksAsk, AsksAsked, AsksCancel, AsksCancelled, AsksWait, AsksWaited
from wire.client import new_key
from wire.delegation import MAX_SUBJECT, Chosen, Wish, chosen_for
from wire.errors import Closed, QueenpostError
from wire.logs import get_logger

DELEGATE_TTL_S = PERMISSION_TTL_S // 3
"""How long a delegate has; the operator has the rest."""
LOOK_S = 20.0
"""How often it is looked whether the delegate can still answer."""

ABLE: frozenset[AgentState] = frozenset({"idle", "working"})
"""Who is in another state answers nothing now; also who waits for a permission itself, perhaps of this very agent."""

Rules = Mapping[str, Sequence[str]]
Waiting = Callable[[str], AbstractAsyncContextManager[None]]
"""Entered while an ask is open: it says who waits for which one."""


class Lender(Protocol):
    """Has the slot in which the turn runs whose program asks; see `harness.accounts`."""

    def is_queued(self, agent: str) -> bool:
        """Say whether an agent waits for nothing but a slot like this one."""
        ...

    def lent(self, agent: str, say: Callable[[str, int], Awaitable[None]]) -> AbstractAsyncContextManager[None]:
        """Let somebody else have it while the body runs; leaving waits until there is one again."""
        ...


log = get_logger("turn")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: an ask that was answered, or why the operator has to be asked."""

    answered: Ask | None = None
    passed_on: str = ""
    asked: bool = False
    """Time went by while the delegate was asked."""


def chosen(rules: Rules, permission: Permission) -> Chosen | None:
    """Give who may decide, and by which rule; None: only the operator."""
    if not rules or len(permission.detail) > MAX_SUBJECT:  # who decides has to see all of it
        return None
    return chosen_for(rules, Wish(permission.tool, permission.subject, permission.is_command))


async def ask_delegate(
    post: Post, permission: Permission, to: Chosen, waiting: Waiting, lender: Lender | None = None
) -> Outcome:
    """Ask the delegate, for as long as it can answer; never raises for its absence.

    `lender`: whose slot is lent inside of `waiting`. A delegate that waits for nothing else can answer.
    """
    if (problem := await _problem_of(post, to.name, lender)) is not None:
        return _passed_on(to, problem)
    question = question_for(permission, to)
    request = AsksAsk(kind="permission", to=to.name, question=question, ttl_s=DELEGATE_TTL_S, key=new_key())
    try:
        asked = await post.insist(request, AsksAsked)
    except QueenpostError as exc:
        return _passed_on(to, exc.message)
    async with waiting(f"{asked.id} to {to.name}"):
        return await _answer(post, asked.id, to, lender)


async def _answer(post: Post, ask: str, to: Chosen, lender: Lender | None) -> Outcome:
    problem = None
    while True:
        waited = await post.insist(AsksWait(ask=ask, wait_s=LOOK_S), AsksWaited)
        if waited.ask is not None and waited.ask.state == "answered":
            return Outcome(waited.ask, asked=True)
        if waited.ask is not None:
            late = f"it did not answer within {DELEGATE_TTL_S} s"
            withdrawn = problem or "the question was withdrawn"
            return _passed_on(to, late if waited.ask.state == "expired" else withdrawn, ask)
        if (problem := await _problem_of(post, to.name, lender)) is not None:
            with suppress(Closed):  # it was answered in this moment: the next look says how
                await post.insist(AsksCancel(ask=ask, key=new_key()), AsksCancelled)


async def _problem_of(post: Post, name: str, lender: Lender | None) -> str | None:
    """Say why an agent cannot answer now; None: it can."""
    who = await post.insist(AgentsWhoami(), AgentsWho)
    meant = who.manager if name == "manager" else name
    state = next((peer.state for peer in who.roster if peer.name == meant), None)
    if state is None:
        return "it is not part of the fleet"
    if state == "parked" and lender is not None and lender.is_queued(str(meant)):
        return None
    return None if state in ABLE else f"it is {state.replace('_', ' ')}"


def _passed_on(to: Chosen, why: str, ask: str | None = None) -> Outcome:
    log.warning("permission_passed_on", delegate=to.name, rule=to.rule, reason=why, ask=ask)
    return Outcome(passed_on=f"{to.name} was to decide this, by {to.rule}, but {why}", asked=ask is not None)


def question_for(permission: Permission, to: Chosen) -> str:
    """Put a prompt into words for the agent that decides."""
    return render(
        "turns/delegated.md.j2",
        tool=permission.tool,
        detail=permission.detail,
        rule=to.rule,
        minutes=DELEGATE_TTL_S // 60,
    )
