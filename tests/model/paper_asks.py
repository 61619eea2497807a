"""Asks on paper: what one is, and the ways in which it ends without an answer (DESIGN 5, Asks; 5.9).

What people do with asks stands in `paper_ask_acts`. It ends once: whoever would end it again finds it ended.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.services.ask_ends import PER_TRANSACTION
from wire.asks import MAX_TTL_S, SHOWN_OPEN

if TYPE_CHECKING:
    from tests.model.paper import Letter, Paper

WAITING = frozenset({"ready", "scheduled", "held"})
"""States of mail that no turn has and none has handled."""


@dataclass(eq=False, slots=True)
class Ask:
    """A question or a permission."""

    id: int
    kind: str
    asker: str
    target: str
    question: str
    options: list[str] | None
    multi: bool
    turn: int | None
    deadline: int
    letter: "Letter | None" = None
    """The mail that put it to an agent."""
    state: str = "open"
    answer: str | None = None
    answered_by: str | None = None
    brought_by: int | None = None
    """The letter that brought its answer."""
    ended: int | None = None
    damaged: bool = False
    gone: bool = False
    """Retention deleted it."""
    job: str | None = None
    """For which job it was put."""

    @property
    def stored(self) -> bytes:
        """The bytes of its question on the disk."""
        return b"\xff" * self.damaged + self.question.encode()

    @property
    def name(self) -> str:
        """Its id, as agents see it."""
        return f"a{self.id}"


def named(paper: "Paper", name: str) -> Ask | None:
    """Find an ask by its id."""
    digits = name[1:]
    number = int(digits) if name[:1] == "a" and digits.isdecimal() and digits[0] != "0" else 0
    ask = paper.asks[number - 1] if 0 < number <= len(paper.asks) else None
    return None if ask is None or ask.gone else ask


def open_ones(paper: "Paper") -> list[Ask]:
    """All that have not ended."""
    return [ask for ask in paper.asks if ask.state == "open"]


def unanswered(paper: "Paper", agent: str) -> tuple[str, ...]:
    """What a wake lists: open asks to the agent whose mail is neither waiting nor in a turn, the most urgent first."""
    found = [ask for ask in open_ones(paper) if ask.target == agent and not _is_underway(ask)]
    shown = sorted(found, key=lambda ask: (ask.deadline, ask.id))[:SHOWN_OPEN]
    return tuple(ask.name for ask in shown if not ask.damaged)


def _is_underway(ask: Ask) -> bool:
    copies = ask.letter.copies if ask.letter is not None else []
    return any(copy.state in WAITING or copy.state == "leased" for copy in copies)


def end(paper: "Paper", ask: Ask, state: str) -> None:
    """End an ask that is open."""
    assert ask.state == "open"
    ask.state, ask.ended = state, paper.now


def expire_mail(ask: Ask) -> None:
    """Mail of an ask that ended before it was leased need not be handed over."""
    for copy in ask.letter.copies if ask.letter is not None else []:
        if copy.state in WAITING:
            copy.state = "expired"


def tell(paper: "Paper", recipient: str, ask: Ask) -> None:
    """Tell one side how an ask ended."""
    other = ask.target if recipient == ask.asker else ask.asker
    letter = paper.notice(recipient, ask.letter.id if ask.letter else None, cause=f"asks:{other}")
    if letter is not None:
        letter.about = {"ask": ask.name, "part": "end"}


def end_permissions(paper: "Paper", turn: int) -> None:
    """A permission ends with its turn; nobody is told, for nobody waits but the harness."""
    for ask in open_ones(paper):
        if ask.kind == "permission" and ask.turn == turn:
            end(paper, ask, "cancelled")
            expire_mail(ask)


def cancel_of_job(paper: "Paper", job: str) -> None:
    """What a program outside the fleet asked ends with its job; nobody waits for it."""
    for ask in open_ones(paper):
        if ask.job == job and ask.kind == "question":
            end(paper, ask, "cancelled")


def expire(paper: "Paper") -> None:
    """Deadlines that have passed, so many at a time, the oldest first; whoever put a question is told."""
    late = [ask for ask in open_ones(paper) if ask.deadline <= paper.now]
    late = sorted(late, key=lambda ask: (ask.deadline, ask.id))[:PER_TRANSACTION]
    over = sorted(late, key=lambda ask: ask.id)
    for ask in over:
        end(paper, ask, "expired")
        expire_mail(ask)
    for ask in over:
        if ask.kind == "question":
            tell(paper, ask.asker, ask)


def cancel_of(paper: "Paper", agent: str) -> None:
    """All that a removed agent asked and was asked ends; each other side is told once, of all of it."""
    over = [ask for ask in open_ones(paper) if agent in (ask.asker, ask.target)]
    told: dict[str, Ask] = {}
    for ask in over:
        end(paper, ask, "cancelled")
        expire_mail(ask)
        other, waits = (ask.target, True) if ask.asker == agent else (ask.asker, ask.kind == "question")
        if waits and (other != "operator" or other == ask.asker):
            told.setdefault(other, ask)
    for other, ask in told.items():
        tell(paper, other, ask)


def shift(paper: "Paper", step_ms: int) -> None:
    """The clock was set: what is left of each deadline stays as it was."""
    for ask in open_ones(paper):
        ask.deadline = max(ask.deadline + step_ms, 1)


def clamp(paper: "Paper") -> None:
    """After a start: no ask outlives the longest that there is."""
    for ask in open_ones(paper):
        ask.deadline = min(ask.deadline, paper.now + MAX_TTL_S * 1000)
