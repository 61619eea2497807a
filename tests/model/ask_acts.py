"""What people do with asks: ask, answer, withdraw, wait; rightly and wrongly, and again under a used key."""

from functools import partial
from typing import Any

from broker.services import asks as services
from broker.services.callers import Caller
from tests.fakes import asks
from tests.fakes.office import OPERATOR_CALLER, Call, by_token
from tests.model import paper_ask_acts as on_paper
from tests.model import paper_asks
from tests.model.agent_acts import AgentActs
from tests.model.choices import ADDRESSES, NAMES, Digits
from tests.model.desk import Act
from tests.model.paper_acts import open_turn
from tests.model.paper_ask_acts import Wanted
from tests.model.paper_asks import Ask
from wire.asks import MAX_TTL_S, AsksWait

TTLS = (*[None] * 12, 1.0, 16.0, 60.0, 900.0, 3600.0, 0.0004, float(MAX_TTL_S), MAX_TTL_S + 1.0)
OPTIONS: tuple[tuple[str, ...] | None, ...] = (
    *[None] * 8, ("left", "Right  one"), ("left", "Right one", "a, b"), ("left", "right one"), ("left", "LEFT"),
    ("left", " "),
)  # fmt: skip
ANSWERS = (
    "left", " right one ", "LEFT,right one", "left\na, b", "A, B", "neither", "left, neither", "the left one", " ,",
    "left, LEFT",
)  # fmt: skip
PERMISSIONS = ("Bash: rm -r x", "Bash: make", "Edit: y")
WORDS = ("allow", " Always ", "DENY", "deny", "perhaps")
AT_ONCE = 20


class AskActs(AgentActs):
    """One method an act; None where there is nothing to do it with."""

    # --- asking -------------------------------------------------------------------------------------

    def asking(self, caller: Caller, wanted: Wanted, key: str) -> Act:
        """Make an ask."""
        office, paper = self.desk.office, self.desk.paper
        fields: dict[str, Any] = {"kind": wanted.kind, "multi": wanted.multi, "ttl_s": wanted.ttl_s, "key": key}
        fields["options"] = None if wanted.options is None else list(wanted.options)
        call = Call(office, asks.asking(office, caller, wanted.to, wanted.question, **fields))
        act = partial(on_paper.ask, paper, caller, wanted)
        question = wanted.question if len(wanted.question) < 40 else f"{len(wanted.question)} letters"
        words = (
            f"{caller.name}/{caller.epoch} asks {wanted.to} {question!r}, {wanted.kind}, {wanted.options}, "
            f"{wanted.multi}, ttl {wanted.ttl_s}, {key}"
        )
        return self.keyed(
            Act(words, call, self.under_key("asks.ask", caller, key, wanted, act)),
            lambda: self.asking(caller, wanted, key),
        )

    def act_ask(self, digits: Digits) -> Act:
        """Somebody asks somebody."""
        caller = self.caller(digits) if digits.below(8) else OPERATOR_CALLER
        to = digits.pick(("*", *ADDRESSES, *ADDRESSES))
        if to == caller.name and digits.below(4):
            to = "operator"
        question = f"question {len(self.desk.paper.asks)}"
        if digits.below(16) == 0:
            question = "x" * digits.pick((12_000, 25_000))
        options = digits.pick(OPTIONS)
        multi = digits.below(2 if options else 32) == 0
        wanted = Wanted(to, question, options=options, multi=multi, ttl_s=digits.pick(TTLS))
        return self.asking(caller, wanted, self.key("ask", digits))

    def act_permission(self, digits: Digits) -> Act | None:
        """A harness asks for a permission in its turn; where none has one, one gets there."""
        caller = self.instance(digits)
        turns = [turn for turn in self.desk.paper.turns if turn.state == "open" and not turn.attended]
        if digits.below(8):
            caller = self.desk.caller_of(digits.pick(turns).agent.name) if turns else None
        if caller is None:
            return self._towards_a_turn(digits)
        to = digits.pick((*["operator"] * 4, "manager", *NAMES, "nobody"))
        options = ("allow", "deny") if digits.below(16) == 0 else None
        wanted = Wanted(to, digits.pick(PERMISSIONS), "permission", options, ttl_s=digits.pick(TTLS))
        return self.asking(caller, wanted, self.key("ask", digits))

    def _towards_a_turn(self, digits: Digits) -> Act:
        """Somebody attaches, opens a turn, or gets mail for one."""
        name = digits.pick(NAMES)
        caller = self.desk.caller_of(name)
        if caller is None:
            return self.attaching(name, attended=False)
        if not any(copy.state == "ready" for copy in self.desk.paper.agents[name].copies):
            return self.act_send(digits, name)
        call = self.desk.office.open.call(caller)
        return Act(f"{name}/{caller.epoch} opens", call, partial(open_turn, self.desk.paper, caller))

    def alone_pile_up_asks(self, digits: Digits) -> None:
        """Somebody asks more at once than anybody could answer."""
        caller, mine = self.caller(digits), [one.asker for one in paper_asks.open_ones(self.desk.paper)]
        if mine and digits.below(4):
            caller = self.speaking(max(mine, key=mine.count), digits)
        to = digits.pick(("operator", "operator", "manager"))
        wanted = [Wanted(to, f"pile {len(self.desk.paper.asks)}, {number}") for number in range(AT_ONCE)]
        self.desk.commit(*(self.asking(caller, one, self.fresh("key")) for one in wanted))

    # --- answering, withdrawing ---------------------------------------------------------------------

    def an_ask(self, digits: Digits) -> Ask | None:
        """Mostly one that is open."""
        known = self.desk.paper.asks
        found = paper_asks.open_ones(self.desk.paper) if digits.below(4) else known
        return found[-1 - digits.below(8) % len(found)] if found else None

    def speaking(self, name: str, digits: Digits) -> Caller:
        """Somebody as its instance or with nothing but its token."""
        if name == "operator":
            return OPERATOR_CALLER
        current = self.desk.caller_of(name)
        return current if current is not None and digits.below(3) else by_token(name)

    def answering(self, caller: Caller, name: str, text: str, key: str) -> Act:
        """Make an answer."""
        office = self.desk.office
        call = Call(office, asks.answering(office, caller, name, text, key))
        act = partial(on_paper.answer, self.desk.paper, caller, name, text)
        words = f"{caller.name}/{caller.epoch} answers {name} {text[:40]!r}, {key}"
        return self.keyed(
            Act(words, call, self.under_key("asks.answer", caller, key, (name, text), act)),
            lambda: self.answering(caller, name, text, key),
        )

    def act_answer(self, digits: Digits) -> Act | None:
        """Mostly whoever was asked answers; or the operator, whoever asked, anybody."""
        found = self.an_ask(digits)
        if found is None:
            return None
        who = digits.pick((*[found.target] * 4, "operator", found.asker, digits.pick(NAMES)))
        text = digits.pick(WORDS if found.kind == "permission" and digits.below(8) else ANSWERS)
        if digits.below(32) == 0:
            text = "x" * 25_000
        name = found.name if digits.below(16) else digits.pick(("a999", "m1", "a"))
        return self.answering(self.speaking(who, digits), name, text, self.key("answer", digits))

    def withdrawing(self, caller: Caller, name: str, key: str) -> Act:
        """Make a withdrawal."""
        office = self.desk.office
        call = Call(office, asks.cancelling(office, caller, name, key))
        act = partial(on_paper.cancel, self.desk.paper, caller, name)
        return self.keyed(
            Act(
                f"{caller.name}/{caller.epoch} withdraws {name}, {key}",
                call,
                self.under_key("asks.cancel", caller, key, name, act),
            ),
            lambda: self.withdrawing(caller, name, key),
        )

    def act_cancel_ask(self, digits: Digits) -> Act | None:
        """Mostly whoever asked takes it back; or the operator, whoever was asked, anybody."""
        found = self.an_ask(digits)
        if found is None:
            return None
        who = digits.pick((found.asker, found.asker, "operator", found.target, digits.pick(NAMES)))
        name = found.name if digits.below(16) else "a999"
        return self.withdrawing(self.speaking(who, digits), name, self.key("cancel_ask", digits))

    def act_repeat(self, digits: Digits) -> Act | None:
        """Somebody asks, answers or withdraws once more, word for word under the same key."""
        return digits.pick(self.repeats[-8:])() if self.repeats else None

    def alone_damage_ask(self, digits: Digits) -> None:
        """The disk damages an ask that is open."""
        whole = [one for one in paper_asks.open_ones(self.desk.paper) if not one.damaged]
        if whole:
            one = whole[-1 - digits.below(8) % len(whole)]
            one.damaged = True
            self.desk.story.append(f"the disk damages {one.name}")
            sql = "UPDATE asks SET question = CAST(:stored AS TEXT) WHERE id = :id"
            self.desk.office.damage(sql, stored=one.stored, id=one.id)

    # --- waiting ------------------------------------------------------------------------------------

    def act_wait_ask(self, digits: Digits) -> Act | None:
        """A harness waits for a permission; now and then for a question, or for what is another's."""
        found = self.an_ask(digits)
        permissions = [one for one in self.desk.paper.asks if one.kind == "permission"]
        if permissions and digits.below(8):
            found = permissions[-1 - digits.below(4) % len(permissions)]
        if found is None:
            return None
        who = digits.pick((*[found.asker] * 6, found.target, "operator"))
        caller, wait_s = self.speaking(who, digits), digits.pick((180.0, 30.0, 5.0))
        request = AsksWait(ask=found.name)
        call: Call[Any] = Call(self.desk.office, lambda tx: services.wait(tx, caller, request))
        return Act(
            f"{caller.name}/{caller.epoch} waits for {found.name}, for {wait_s:g} s",
            call.parked(caller.name, wait_s),
            partial(on_paper.wait, self.desk.paper, caller, found.name),
            parked_by=caller.name,
            until=self.desk.office.clock.now_ms() + int(wait_s * 1000),
        )
