"""What brings the safety valves to work, and what an operator does with what they hold."""

from functools import partial

from broker.services import freezing, retention, statistics
from broker.services.callers import Caller
from broker.store.tx import Tx
from tests.fakes.office import OPERATOR_CALLER, by_token
from tests.fakes.verbs import Call
from tests.model import paper_acts as acts
from tests.model import paper_registry as registry
from tests.model import paper_valves as valves
from tests.model.agent_acts import AgentActs
from tests.model.choices import NAMES, Digits
from tests.model.desk import Act
from tests.model.operator_acts import OperatorActs
from tests.model.paper import Turn
from tests.model.paper_acts import may_write
from tests.model.paper_retention import forget
from wire.settings import RetentionSettings

SILENT_MINUTES = 30
DAYS = (0.0, 0.0, 0.0001, 0.001, 1.0, 30.0)
"""Periods of retention, most of them short."""


class ValveActs(AgentActs, OperatorActs):
    """One method an act; None where there is nothing to do it with."""

    # --- storms -------------------------------------------------------------------------------------

    def act_causal(self, digits: Digits) -> Act | None:
        """Whoever has peers' mail in a turn writes on; where nobody has, somebody gets there."""
        paper = self.desk.paper
        turns = [turn for turn in paper.turns if turn.state == "open" and turn.depth > 0]
        if turns and digits.below(8):
            return self._write_on(digits.pick(turns), digits)
        name = digits.pick(NAMES)
        agent, caller = paper.agents[name], self.desk.caller_of(name)
        if caller is None:
            return self.attaching(name, attended=digits.below(4) == 0)
        has_mail = any(copy.state == "ready" and copy.letter.depth for copy in agent.copies)
        if has_mail and not caller.attended and paper.open_turn(agent) is None:
            return self._opening(caller)
        return self.act_send(digits, name)

    def alone_round(self, digits: Digits) -> None:
        """Some, of whom each has a peer's mail in a turn, write to the next one around, once or twice."""
        first, most = digits.below(len(NAMES)), digits.pick((2, 3, 3, 4))
        names = [(*NAMES, *NAMES)[first + step] for step in range(most)]
        for name in names:
            self._get_to_work(name, digits)
        paper = self.desk.paper
        turns = {turn.agent.name: turn for turn in paper.turns if turn.state == "open" and turn.depth > 0}
        names = [name for name in names if name in turns]
        for name, other in [*zip(names, [*names[1:], *names[:1]], strict=True)] * digits.pick((1, 1, 2)):
            caller = self.desk.caller_of(name)
            if caller is not None and name != other:
                body = f"letter {len(paper.letters)} from {name}, round"
                self.desk.commit(self.sending(caller, other, body, None, self.fresh("key")))

    def _get_to_work(self, name: str, digits: Digits) -> None:
        """Let an agent open a turn over a peer's mail."""
        paper, office, caller = self.desk.paper, self.desk.office, self.desk.caller_of(name)
        if caller is None or caller.attended:
            return
        turn = paper.open_turn(paper.agents[name])
        if turn is not None and turn.depth == 0:
            on_paper = partial(acts.close, paper, caller, turn.name, "completed", True, [])
            self.desk.commit(Act(f"{name} closes {turn.name}", office.close.call(caller, turn.name), on_paper))
        if turn is None or turn.depth == 0:
            self.desk.commit(self.sending(by_token(digits.pick(NAMES)), name, "begin", None, self.fresh("key")))
            self.desk.commit(self._opening(caller))

    def _opening(self, caller: Caller) -> Act:
        on_paper = partial(acts.open_turn, self.desk.paper, caller)
        return Act(f"{caller.name}/{caller.epoch} opens", self.desk.office.open.call(caller), on_paper)

    def _write_on(self, turn: Turn, digits: Digits) -> Act | None:
        name, caller = turn.agent.name, self.desk.caller_of(turn.agent.name)
        address = self._onward(turn, digits)
        if caller is None or address is None:
            return None
        body, key = f"letter {len(self.desk.paper.letters)} from {name}", self.fresh("key")
        reply = digits.pick([None, *(copy.name for copy in turn.held)])
        return self.sending(caller, address, body, reply, key)

    def _onward(self, turn: Turn, digits: Digits) -> str | None:
        """To the next one around, mostly; back, to anybody, to all."""
        names = [name for name in NAMES if self._reaches(turn, name)]
        choice = digits.below(16)
        if not names or choice == 0:
            return "*" if names else None
        if choice == 1:
            return digits.pick(names)
        senders = [copy.letter.sender for copy in turn.held if copy.letter.sender in names]
        if choice < 6 and senders:
            return senders[-1]
        at_work = [name for name in names if self.desk.caller_of(name) is not None] or names
        behind = [name for name in at_work if name > turn.agent.name]
        return (behind or at_work)[0]

    def _reaches(self, turn: Turn, name: str) -> bool:
        agent = self.desk.paper.present(name)
        return agent is not None and agent is not turn.agent and may_write(turn.agent, agent)

    # --- held mail ----------------------------------------------------------------------------------

    def held_letters(self, digits: Digits) -> tuple[list[str], str | None]:
        """Name held mail, some that is held no more, or what is none; of one recipient or all."""
        held = [copy for copy in self.desk.paper.copies if copy.state == "held"]
        if not held or digits.below(8) == 0:
            return [digits.pick(("m1", "m999", "x", f"m{len(self.desk.paper.letters)}"))], None
        copy, other = digits.pick(held), digits.pick(held)
        if digits.below(3):
            return [copy.name], copy.recipient.name if digits.below(2) else None
        return [copy.name, other.name, copy.name], None

    def act_release(self, digits: Digits) -> Act | None:
        """Held mail goes on; sometimes what was released before."""
        if not any(copy.state == "held" for copy in self.desk.paper.copies) and digits.below(8):
            return None
        (ids, to), key = self.held_letters(digits), self.key("release", digits)
        call = self.desk.office.release.call(*ids, recipient=to, key=key)
        on_paper = self.once("release", key, (tuple(ids), to), partial(valves.release, self.desk.paper, ids, to))
        return Act(f"operator releases {ids} to {to}, {key}", call, on_paper)

    def act_discard_held(self, digits: Digits) -> Act | None:
        """Held mail is given up."""
        if not any(copy.state == "held" for copy in self.desk.paper.copies):
            return None
        return self.discarding(*self.held_letters(digits), self.key("discard", digits))

    # --- recall -------------------------------------------------------------------------------------

    def act_recall(self, digits: Digits) -> Act | None:
        """Somebody takes mail back: the sender, the operator with all that came of it, or who has no right to."""
        sent = [letter for letter in self.desk.paper.letters if letter.sender != "system"]
        if not sent:
            return None
        letter = sent[-1 - digits.below(16) % len(sent)]
        choice = digits.below(8)
        by = digits.pick(NAMES) if choice == 0 else letter.sender if choice < 4 else "operator"
        name = digits.pick(("m999", "m1", "x")) if digits.below(16) == 0 else letter.name
        return self.recalling(by, name, descendants=digits.below(3) == 0)

    def recalling(self, by: str, name: str, *, descendants: bool) -> Act:
        """Make a recall."""
        caller, key = OPERATOR_CALLER if by == "operator" else by_token(by), self.fresh("key")
        call = self.desk.office.recall.call(caller, name, descendants=descendants, key=key)
        act = partial(valves.recall, self.desk.paper, caller, name, descendants=descendants)
        words = f"{by} recalls {name}{' and what came of it' if descendants else ''}, {key}"
        return Act(words, call, self.once(f"recall by {by}", key, (name, descendants), act))

    # --- freeze -------------------------------------------------------------------------------------

    def act_freeze(self, digits: Digits) -> Act:
        """The operator stops everybody, or somebody."""
        paper = self.desk.paper
        if digits.below(4) == 0:
            return self.freezing(True, self._frozen())
        return self.freezing(paper.everybody_is_frozen, self._frozen() | {digits.pick((*NAMES, "emil", "nobody"))})

    def act_thaw(self, digits: Digits) -> Act | None:
        """The operator lets everybody go on, or somebody."""
        paper, frozen = self.desk.paper, self._frozen()
        if not (frozen or paper.everybody_is_frozen) and digits.below(8):
            return None
        if not frozen or digits.below(2):
            return self.freezing(False, frozen if digits.below(4) == 0 else frozenset())
        return self.freezing(paper.everybody_is_frozen, frozen - {digits.pick(sorted(frozen))})

    def _frozen(self) -> frozenset[str]:
        return frozenset(agent.name for agent in self.desk.paper.agents.values() if agent.frozen)

    def freezing(self, everybody: bool, names: frozenset[str]) -> Act:
        """Make the columns follow a file that says this."""
        command = partial(freezing.follow, caller=OPERATOR_CALLER, everybody=everybody, names=names)
        on_paper = partial(valves.freeze, self.desk.paper, everybody, names)
        words = f"frozen is {'everybody' if everybody else sorted(names) or 'nobody'}"
        return Act(words, Call(self.desk.office, command), on_paper)

    # --- silence ------------------------------------------------------------------------------------

    def alone_silence(self, digits: Digits) -> None:
        """A session over HTTP falls silent: its server keeps the turn for 30 minutes, then gives the agent up."""
        turns = [turn for turn in self.desk.paper.turns if turn.state == "open" and turn.attended]
        turn = digits.pick(turns) if turns else None
        caller = self.desk.caller_of(turn.agent.name) if turn is not None else None
        if turn is None or caller is None or digits.below(2):
            return
        for _ in range(SILENT_MINUTES):
            on_paper = partial(acts.renew, self.desk.paper, caller, turn.name)
            words = f"the server of {caller.name}/{caller.epoch} renews {turn.name}"
            self.desk.commit(Act(words, self.desk.office.renew.call(caller, turn.name), on_paper))
            self.desk.advance(59.999)
        assert turn.state == "open", "a turn that was renewed ended by itself"
        on_paper = partial(registry.detach, self.desk.paper, caller)
        self.desk.commit(Act(f"{caller.name} was silent for too long", self.desk.office.detach.call(caller), on_paper))

    # --- retention ----------------------------------------------------------------------------------

    def alone_forget(self, digits: Digits) -> None:
        """What ended before its time is deleted; the periods are shorter than a file may set them."""
        most = digits.pick(DAYS)
        self.forgetting([digits.pick(DAYS) if digits.below(4) == 0 else most for _ in range(3)])

    def alone_day_later(self, _digits: Digits) -> None:
        """A day passes; what is deleted then is what a day is long for."""
        self.desk.advance(90_000)
        self.forgetting([30.0] * 3)

    def forgetting(self, days: list[float]) -> None:
        """Delete what ended before so many days: handled mail, dead mail, statistics."""
        settings = RetentionSettings.model_construct(handled_days=days[0], dead_days=days[1], statistics_days=days[2])
        on_paper = partial(forget, self.desk.paper, settings)
        words = f"what ended is forgotten after {days} days"
        self.desk.commit(Act(words, Call(self.desk.office, partial(_sweep, settings=settings)), on_paper, forgets=True))


def _sweep(tx: Tx, settings: RetentionSettings) -> None:
    while statistics.harvest(tx):
        pass
    for step in retention.steps(settings):
        while step(tx):
            pass
