"""The post office on paper: what DESIGN 5 says, in plain Python, as a reference for the real one.

It keeps everything in lists and computes each answer from the definition, however slow: eligible is what stands
behind nothing of its pair, a quota is a count, a counter does not exist. What an act does stands in `paper_acts`,
`paper_registry` and the files of the same kind beside them; here are the things, and the few moves that acts share.
An act checks before it changes anything: a refusal leaves the paper as it was.
Long because whatever the acts share stands here, so that none of them needs another.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from broker.services.callers import Caller, Rules
from broker.services.notices import MERGE_MS
from tests.model import paper_asks, paper_jobs
from wire.settings import AgentSettings, Limits
from wire.turns import LEASE_MS, MAX_RESTARTS

if TYPE_CHECKING:
    from tests.model.paper_reminders import Reminder

OPEN = frozenset({"ready", "leased", "scheduled"})
"""States that count against a quota."""
SETTLED = frozenset({"acked", "dead", "expired"})
"""States in which mail has ended, for all that is known."""
OUT_OF_THE_WAY = frozenset({"acked", "dead", "expired", "held"})
"""States that keep nothing of their pair waiting."""


class Refused(Exception):
    """The act is refused with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def refuse(code: str) -> NoReturn:
    """Refuse an act."""
    raise Refused(code)


@dataclass(eq=False, slots=True)
class Agent:
    """A mailbox, and who works for it."""

    name: str
    role: str = "agent"
    origin: str = "database"
    state: str = "active"
    settings: AgentSettings = field(default_factory=AgentSettings)
    paused: bool = False
    frozen: bool = False
    """By its name; all may be, whatever stands here."""
    epoch: int = 0
    instance: str | None = None
    attended: bool = False
    lost_at: int | None = None
    bucket: float = 0.0
    bucket_at: int = 0
    reminder_bucket: float = 0.0
    reminder_bucket_at: int = 0
    place: int = 0
    """The last place that was given away in its inbox."""
    copies: list["Copy"] = field(default_factory=list["Copy"])


@dataclass(eq=False, slots=True)
class Letter:
    """An immutable message."""

    id: int
    sender: str
    kind: str
    body: str
    to: str
    reply: int | None
    depth: int
    turn: int | None
    key: str | None
    asked: tuple[Any, ...]
    receipt: tuple[Any, ...]
    damaged: bool = False
    told: int = 1
    """How many notices are one in it."""
    about: dict[str, Any] | None = None
    """What it carries beside its words, where it is no plain letter."""
    gone: bool = False
    """Retention deleted it."""
    copies: list["Copy"] = field(default_factory=list["Copy"])

    @property
    def name(self) -> str:
        """Its id, as agents see it."""
        return f"m{self.id}"


@dataclass(eq=False, slots=True)
class Copy:
    """One recipient's delivery of a letter."""

    id: int
    letter: Letter
    recipient: Agent
    size: int
    rank: int
    in_order: bool
    place: int
    state: str = "ready"
    ready_at: int = 0
    attempt: int = 0
    failures: int = 0
    restarts: int = 0
    alone: bool = False
    turn: int | None = None
    discarded: bool = False
    storm: bool = False
    """The storm guard holds it."""
    settled_at: int | None = None

    @property
    def name(self) -> str:
        """The id of its letter, as agents see it."""
        return f"m{self.letter.id}"


@dataclass(eq=False, slots=True)
class Lease:
    """That a turn held a copy at one attempt."""

    attempt: int
    call: str | None = None
    """The take that leased it."""
    left: bool = False
    """It left the turn before that ended."""


@dataclass(eq=False, slots=True)
class Turn:
    """One run over a batch of mail."""

    id: int
    agent: Agent
    epoch: int
    attended: bool
    alone: bool
    carried_from: int | None
    messages: int
    size: int
    depth: int
    lease_until: int
    state: str = "open"
    outcome: str | None = None
    leases: dict[Copy, Lease] = field(default_factory=dict[Copy, Lease])
    closed_at: int | None = None
    gone: bool = False
    """Retention deleted it."""

    @property
    def name(self) -> str:
        """Its id, as agents see it."""
        return f"t{self.id}"

    @property
    def held(self) -> list[Copy]:
        """What it holds now, in the order of handing over."""
        return [copy for copy in self.leases if copy.state == "leased" and copy.turn == self.id]


@dataclass(eq=False, slots=True)
class Told:
    """When a reader was told of a cause last, and what waits to be told since."""

    at: int
    waiting: list[int | None] = field(default_factory=list[int | None])
    """Of each notice, which letter it is about."""
    due: int | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """A letter that was caused by another one and went on."""

    at: int
    sender: str
    recipient: str


class Paper:
    """Everything that is written down."""

    def __init__(
        self, now: int, rules: Rules, size_of_notice: Callable[[int], int], was_held: Callable[[int, str], bool]
    ) -> None:
        self.now = now
        self.rules = rules
        self.size_of_notice = size_of_notice
        """Their wording is not the paper's business: the size is read off the real delivery of this id."""
        self.was_held = was_held
        """Whether the storm guard really held a letter for somebody; asked only where the definition leaves it open."""
        self.agents: dict[str, Agent] = {"operator": Agent("operator", "operator")}
        self.letters: list[Letter] = []
        self.copies: list[Copy] = []
        self.turns: list[Turn] = []
        self.asks: list[paper_asks.Ask] = []
        self.reminders: list[Reminder] = []
        self.registry = paper_jobs.Registry()
        self.keys: dict[tuple[str, str], Letter] = {}
        self.answered: dict[tuple[str, str], tuple[Any, Any]] = {}
        """Operator requests by op and key: what was asked, what was answered."""
        self.answered_at: dict[tuple[str, str], int] = {}
        self.forgotten: Counter[str] = Counter()
        """What became of mail that retention deleted."""
        self.audit: list[tuple[str, str]] = []
        self.tokens: set[str] = set()
        self.applied = Limits()
        """The limits that a file set; an office may have been opened with others."""
        self.told: dict[tuple[str, str], Told] = {}
        """By reader and cause."""
        self.everybody_is_frozen = False
        self.traffic: list[Passed] = []
        """What the storm guard counts."""
        self.releases = 0
        """How often a leased copy went back without being settled."""

    # --- looking ------------------------------------------------------------------------------------

    def manager(self) -> Agent | None:
        """The agent with the manager role."""
        found = (agent for agent in self.agents.values() if agent.role == "manager" and agent.state != "removed")
        return next(found, None)

    def present(self, name: str) -> Agent | None:
        """An agent, or the operator, that is part of the fleet."""
        agent = self.agents.get(name)
        return agent if agent is not None and agent.state != "removed" else None

    def open_turn(self, agent: Agent) -> Turn | None:
        """The open turn of an agent."""
        return next((turn for turn in reversed(self.turns) if turn.agent is agent and turn.state == "open"), None)

    def turn_named(self, name: str, agent: str) -> Turn:
        """A turn of an agent; a foreign one is unknown."""
        number = number_of(name, "t")
        if number is None or not 0 < number <= len(self.turns) or self.turns[number - 1].agent.name != agent:
            refuse("unknown")
        turn = self.turns[number - 1]
        return refuse("unknown") if turn.gone else turn

    def letter_named(self, name: str) -> Letter | None:
        """A letter by its id."""
        number = number_of(name, "m")
        letter = self.letters[number - 1] if number is not None and 0 < number <= len(self.letters) else None
        return None if letter is None or letter.gone else letter

    def may_work(self, agent: Agent) -> bool:
        """Whether it may get a turn: active, not paused, not frozen."""
        return agent.state == "active" and not (agent.paused or self.is_frozen(agent))

    def is_frozen(self, agent: Agent) -> bool:
        """Whether an agent is frozen, alone or with all the others."""
        return agent.role != "operator" and (agent.frozen or self.everybody_is_frozen)

    def holder(self, caller: Caller) -> Agent:
        """The agent that the caller works for at this moment."""
        agent = self.present(caller.name)
        if agent is None or agent.epoch != caller.epoch or agent.instance != caller.instance:
            refuse("stale")
        return agent

    def load(self, agent: Agent) -> tuple[int, int]:
        """How much unsettled mail an inbox holds: messages and bytes."""
        sizes = [copy.size for copy in agent.copies if copy.state in OPEN]
        return len(sizes), sum(sizes)

    def waiting(self, agent: Agent) -> int:
        """How much mail is ready now."""
        return sum(copy.state == "ready" and copy.ready_at <= self.now for copy in agent.copies)

    # --- which mail ---------------------------------------------------------------------------------

    def choose(
        self, agent: Agent, turn: Turn | None, most: int, room: int, *, joining: bool
    ) -> tuple[list[Copy], list[Copy]]:
        """Choose what a turn leases next: the longest eligible prefix within bounds; and what turns out damaged."""
        batch: list[Copy] = []
        damaged: list[Copy] = []
        size = 0
        for copy in sorted(agent.copies, key=lambda copy: (copy.rank, copy.place)):
            if copy.state != "ready" or copy.ready_at > self.now or self._blocked(copy, turn, batch, damaged):
                continue
            if copy.alone and (batch or joining):
                break
            if (batch and size + copy.size > room) or (joining and copy.size > room):
                break
            if copy.letter.damaged:
                damaged.append(copy)
                continue
            batch.append(copy)
            size += copy.size
            if copy.alone or len(batch) >= most:
                break
        return batch, damaged

    def _blocked(self, copy: Copy, turn: Turn | None, batch: list[Copy], damaged: list[Copy]) -> bool:
        """Whether an earlier place of its pair is neither out of the way nor in this very turn."""
        if not copy.in_order:
            return False
        for other in copy.recipient.copies:
            if other.letter.sender != copy.letter.sender or not other.in_order or other.place >= copy.place:
                continue
            mine = turn is not None and other.state == "leased" and other.turn == turn.id
            if not (other.state in OUT_OF_THE_WAY or mine or other in batch or other in damaged):
                return True
        return False

    # --- moves that acts share ----------------------------------------------------------------------

    def add_turn(self, agent: Agent, *, carried_from: int | None = None) -> Turn:
        """Open an empty turn."""
        turn = Turn(
            len(self.turns) + 1, agent, agent.epoch, agent.attended, False, carried_from, 0, 0, 0, self.now + LEASE_MS
        )
        self.turns.append(turn)
        return turn

    def lease(self, turn: Turn, copies: list[Copy], call: str | None = None) -> None:
        """Lease copies to a turn; counts their attempts."""
        for copy in copies:
            copy.state, copy.turn = "leased", turn.id
            copy.attempt += 1
        self.enter(turn, copies, call)

    def enter(self, turn: Turn, copies: list[Copy], call: str | None = None) -> None:
        """Write copies into a turn's book at their present attempt."""
        for copy in copies:
            turn.leases.pop(copy, None)  # what it gave back and takes again is handed over anew
            turn.leases[copy] = Lease(copy.attempt, call)
        turn.messages += len(copies)
        turn.size += sum(copy.size for copy in copies)
        turn.depth = max([turn.depth, *(copy.letter.depth for copy in copies)])
        turn.alone = turn.alone or any(copy.alone for copy in copies)
        turn.lease_until = self.now + LEASE_MS

    def leave(self, turn: Turn, copies: list[Copy]) -> None:
        """Take copies out of a turn that goes on."""
        for copy in copies:
            turn.leases[copy].left = True
        turn.messages -= len(copies)
        turn.size = max(turn.size - sum(copy.size for copy in copies), 0)

    def back(self, copies: Iterable[Copy], *, died: bool = False) -> None:
        """Give leased copies back; hold those that have seen too many harnesses die."""
        tired = [copy for copy in copies if died and copy.restarts + 1 >= MAX_RESTARTS]
        for copy in copies:
            self.releases += 1
            copy.restarts += died
            if copy not in tired:
                copy.state, copy.ready_at = "ready", 0
        self.hold(tired)

    def hold(self, copies: list[Copy]) -> None:
        """Put copies aside and tell the operator."""
        for copy in copies:
            copy.state = "held"
        if copies:
            self.notice("operator", None, cause=f"held:{copies[0].recipient.name}")

    def end(self, turn: Turn, outcome: str) -> None:
        """Close a turn; its permissions end with it."""
        turn.state, turn.outcome, turn.closed_at = "closed", outcome, self.now
        paper_asks.end_permissions(self, turn.id)

    def release_turns(self, agent: Agent, outcome: str, *, died: bool) -> None:
        """End whatever an agent has open or lapsed."""
        for turn in self.turns:
            if turn.agent is agent and turn.state == "lapsed":
                self.end(turn, outcome)
        turn = self.open_turn(agent)
        if turn is not None:
            held = turn.held
            self.end(turn, outcome)
            self.back(held, died=died)

    def vacate(self, agent: Agent) -> None:
        """Nobody works for the agent any more; nothing is counted."""
        self.release_turns(agent, "interrupted", died=False)
        agent.instance = agent.lost_at = None

    def notice(self, recipient: str, about: int | None, *, cause: str) -> Letter | None:
        """Tell somebody of something, or let it wait: one letter of a cause in a minute."""
        told = self.told.get((recipient, cause))
        if told is None or (told.due is None and told.at + MERGE_MS <= self.now):
            self.told[recipient, cause] = Told(self.now)
            return self._write_notice(recipient, about)
        told.waiting.append(about)
        if told.due is None:
            told.due = told.at + MERGE_MS
        return None

    def flush_notices(self) -> None:
        """Write what has waited for its minute, all of a cause in one letter."""
        over = [(told.due, who) for who, told in self.told.items() if told.due is not None and told.due <= self.now]
        for _, who in sorted(over):
            waiting = self.told.pop(who).waiting
            if self.present(who[0]) is None:
                continue
            self.told[who] = Told(self.now)
            letter = self._write_notice(who[0], waiting[0] if len(waiting) == 1 else None)
            letter.told = len(waiting)

    def _write_notice(self, recipient: str, about: int | None) -> Letter:
        letter = Letter(len(self.letters) + 1, "system", "system", "", recipient, about, 0, None, None, (), ())
        self.letters.append(letter)
        self.add_copy(letter, self.agents[recipient], self.size_of_notice(len(self.copies) + 1), rank=0, in_order=False)
        return letter

    def add_copy(self, letter: Letter, recipient: Agent, size: int, *, rank: int, in_order: bool) -> None:
        """Put a copy of a letter at the end of an inbox."""
        recipient.place += 1
        copy = Copy(len(self.copies) + 1, letter, recipient, size, rank, in_order, recipient.place)
        self.copies.append(copy)
        recipient.copies.append(copy)
        letter.copies.append(copy)

    def note_settled(self) -> None:
        """Write down when mail ended that has ended by now."""
        for copy in self.copies:
            if copy.state in SETTLED and copy.settled_at is None:
                copy.settled_at = self.now

    def tell_of_dead(self, agent: Agent, copies: list[Copy]) -> None:
        """One notice to each sender and the manager, never about a notice."""
        by_sender: dict[str, list[Copy]] = {}
        for copy in copies:
            by_sender.setdefault(copy.letter.sender, []).append(copy)
        manager = self.manager()
        for sender, dead in by_sender.items():
            if sender == "system":
                continue
            for name in dict.fromkeys([sender, manager.name if manager else sender]):
                if name != agent.name and self.present(name) is not None:
                    about = dead[0].letter.id if name == sender else None
                    self.notice(name, about, cause=f"dead:{sender}>{agent.name}")


def number_of(name: str, noun: str) -> int | None:
    """Read an id; None for what is none."""
    digits = name[1:]
    return int(digits) if name[:1] == noun and digits.isdecimal() and digits[0] != "0" else None
