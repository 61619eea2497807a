"""What agents do: send, open and take, end turns, come and go."""

from collections.abc import Callable
from functools import partial
from typing import Any

from broker.services.callers import Caller
from tests.fakes.office import HARNESS_CALLER, OPERATOR_CALLER, attached, by_token
from tests.model import paper_acts as acts
from tests.model import paper_registry as registry
from tests.model.choices import ADDRESSES, LONG_BODIES, NAMES, OUTCOMES, Digits
from tests.model.chooser import Chooser
from tests.model.desk import Act
from wire.turns import CLIENT_OUTCOMES, COUNTED


class AgentActs(Chooser):
    """One method an act; None where there is nothing to do it with."""

    # --- mail ---------------------------------------------------------------------------------------

    def sending(self, caller: Caller, to: str, body: str, reply: str | None, key: str) -> Act:
        """Make a send."""
        shown = body if len(body) < 40 else f"{len(body)} letters"
        words = f"{caller.name}/{caller.epoch} sends {shown!r} to {to}, reply {reply}, {key}"
        call = self.desk.office.send.call(caller, to, body, in_reply_to=reply, key=key)
        return Act(words, call, partial(acts.send, self.desk.paper, caller, to, body, reply, key))

    def act_send(self, digits: Digits, to: str | None = None) -> Act:
        """Somebody writes to somebody."""
        address = to or digits.pick(ADDRESSES)
        caller = self.caller(digits)
        if address == caller.name and digits.below(4):
            address = NAMES[NAMES.index(address) - 1]
        choice = digits.below(16)
        body = f"letter {len(self.desk.paper.letters)}"
        if choice >= 12:
            body = LONG_BODIES[choice - 12 if choice < 15 or digits.below(8) == 0 else 0]
        letters = len(self.desk.paper.letters)
        reply = f"m{letters - choice % letters}" if letters and choice in (1, 2, 3, 4) else None
        if choice == 11:
            caller = OPERATOR_CALLER
        return self.sending(caller, address, body, "m999" if choice == 5 else reply, self.fresh("key"))

    def act_broadcast(self, digits: Digits) -> Act:
        """Somebody writes to all."""
        return self.act_send(digits, "*")

    def act_retry(self, digits: Digits) -> Act | None:
        """Somebody sends again under a used key: the same, or something else."""
        keyed = [letter for letter in self.desk.paper.letters if letter.key is not None]
        if not keyed:
            return None
        letter = keyed[-1 - digits.below(16) % len(keyed)]
        to, body, reply = letter.asked
        if digits.below(3) == 0:
            body += "!"
        sender = letter.sender if digits.below(4) else digits.pick(NAMES)
        caller = OPERATOR_CALLER if sender == "operator" else by_token(sender)
        return self.sending(caller, to, body, reply, letter.key or "")

    # --- turns --------------------------------------------------------------------------------------

    def act_open(self, digits: Digits, wait_s: float = 0) -> Act | None:
        """A harness opens a turn."""
        caller = self.instance(digits)
        if caller is None:
            return None
        call = self.desk.office.open.call(caller)
        on_paper = partial(acts.open_turn, self.desk.paper, caller)
        return self.waiting(f"{caller.name}/{caller.epoch} opens", call, on_paper, caller.name, wait_s)

    def act_park_open(self, digits: Digits) -> Act | None:
        """A harness waits for mail."""
        return self.act_open(digits, digits.pick((180.0, 30.0, 5.0)))

    def waiting(self, words: str, call: Any, on_paper: Callable[[], acts.Answer], agent: str, wait_s: float) -> Act:
        """Make an act that may wait."""
        if not wait_s:
            return Act(words, call, on_paper)
        until = self.desk.office.clock.now_ms() + int(wait_s * 1000)
        return Act(f"{words}, for {wait_s:g} s", call.parked(agent, wait_s), on_paper, parked_by=agent, until=until)

    def act_take(self, digits: Digits, wait_s: float = 0) -> Act | None:
        """An instance takes more, or again what it took under the same call."""
        caller = self.instance(digits, with_turn=True)
        if caller is None:
            return None
        name, _ = self.turn_of(caller, digits)
        most = digits.pick((1, 2, 5, 32))
        repeats = digits.below(4)
        if repeats == 0:
            self.last_call = self.fresh("call")
        name_of_call = self.last_call if repeats <= 1 else None
        turn = None if caller.attended else name
        words = f"{caller.name}/{caller.epoch} takes {most} into {turn}, {name_of_call}"
        call = self.desk.office.take.call(caller, turn, most, name_of_call)
        on_paper = partial(acts.take, self.desk.paper, caller, turn, most, name_of_call)
        return self.waiting(words, call, on_paper, caller.name, wait_s)

    def act_park_take(self, digits: Digits) -> Act | None:
        """An instance waits for more."""
        return self.act_take(digits, digits.pick((180.0, 30.0, 5.0)))

    def act_close(self, digits: Digits) -> Act | None:
        """An instance ends a turn."""
        caller = self.instance(digits, with_turn=True)
        if caller is None:
            return None
        name, turn = self.turn_of(caller, digits)
        outcome = digits.pick(OUTCOMES)
        begun = outcome not in COUNTED or digits.below(8) > 0
        carry = self.some(turn, digits) if digits.below(5) == 0 and outcome in CLIENT_OUTCOMES else []
        words = f"{caller.name}/{caller.epoch} closes {name} {outcome}{'' if begun else ' unbegun'}, carries {carry}"
        call = self.desk.office.close.call(caller, name, outcome, begun=begun, carry=carry)
        return Act(words, call, partial(acts.close, self.desk.paper, caller, name, outcome, begun, carry))

    def act_renew(self, digits: Digits) -> Act | None:
        """An instance prolongs its lease."""
        caller = self.instance(digits, with_turn=True)
        if caller is None:
            return None
        name, _ = self.turn_of(caller, digits)
        words = f"{caller.name}/{caller.epoch} renews {name}"
        return Act(words, self.desk.office.renew.call(caller, name), partial(acts.renew, self.desk.paper, caller, name))

    def act_resume(self, digits: Digits) -> Act | None:
        """An instance takes a turn back, mostly one that lapsed."""
        lapsed = [turn for turn in self.desk.paper.turns if turn.state == "lapsed"]
        caller = self.instance(digits, with_turn=True)
        name = self.turn_of(caller, digits)[0] if caller is not None else "t1"
        if lapsed and digits.below(4):
            turn = digits.pick(lapsed)
            caller, name = self.desk.caller_of(turn.agent.name), turn.name
        if caller is None:
            return None
        words = f"{caller.name}/{caller.epoch} resumes {name}"
        return Act(
            words, self.desk.office.resume.call(caller, name), partial(acts.resume, self.desk.paper, caller, name)
        )

    def act_give_back(self, digits: Digits) -> Act | None:
        """An instance returns what it could not hand over."""
        caller = self.instance(digits, with_turn=True)
        if caller is None:
            return None
        name, turn = self.turn_of(caller, digits)
        ids = self.some(turn, digits)
        words = f"{caller.name}/{caller.epoch} gives back {ids} of {name}"
        call = self.desk.office.give_back.call(caller, name, *ids)
        return Act(words, call, partial(acts.give_back, self.desk.paper, caller, name, ids))

    def act_settle(self, digits: Digits) -> Act:
        """A session settles, up to a message or all."""
        attended = [turn for turn in self.desk.paper.turns if turn.state == "open" and turn.attended]
        caller = self.caller(digits)
        if attended and digits.below(4):
            name = digits.pick(attended).agent.name
            caller = self.desk.caller_of(name) if digits.below(2) else by_token(name)
            caller = caller or by_token(name)
        _, turn = self.turn_of(caller, digits)
        choice = digits.below(4)
        done = None if choice == 0 else self.some(turn, digits)[0]
        words = f"{caller.name}/{caller.epoch} settles {done or 'all'}"
        return Act(
            words, self.desk.office.settle.call(caller, done), partial(acts.settle, self.desk.paper, caller, done)
        )

    # --- holders ------------------------------------------------------------------------------------

    def attaching(self, name: str, *, attended: bool, instance: str | None = None, takeover: bool = False) -> Act:
        """Make an attach."""
        who = instance or self.fresh("instance")
        by = by_token(name) if attended else HARNESS_CALLER
        words = f"{who} attaches {name}{' as a session' if attended else ''}{', takes over' if takeover else ''}"
        call = self.desk.office.attach.call(by, name, who, takeover=takeover)
        on_paper = partial(registry.attach, self.desk.paper, name, who, attended=attended, takeover=takeover)
        return Act(words, call, on_paper, then=lambda reply: self.callers[name].append(attached(reply, who)))

    def act_attach(self, digits: Digits, *, attended: bool = False) -> Act:
        """A new instance attaches, or one from before."""
        name = digits.pick(("operator", "nobody", *NAMES, *NAMES, *NAMES))
        former = [caller for caller in self.callers.get(name, []) if caller.attended == attended]
        choice = digits.below(4)
        instance = former[-1].instance if former and choice < 2 else None
        self.callers.setdefault(name, [])
        return self.attaching(name, attended=attended, instance=instance, takeover=digits.below(2) == 1)

    def act_attach_session(self, digits: Digits) -> Act:
        """A session attaches."""
        return self.act_attach(digits, attended=True)

    def act_detach(self, digits: Digits) -> Act:
        """An instance goes."""
        caller = self.caller(digits)
        words = f"{caller.name}/{caller.epoch} detaches"
        return Act(words, self.desk.office.detach.call(caller), partial(registry.detach, self.desk.paper, caller))

    def act_lose(self, digits: Digits) -> Act:
        """A connection ends."""
        caller = self.caller(digits)
        local = digits.below(2) == 0
        words = f"the {'local' if local else 'remote'} connection of {caller.name}/{caller.epoch} ends"
        call = self.desk.office.connection_ended.call(caller, local=local)
        return Act(words, call, partial(registry.connection_ended, self.desk.paper, caller, local=local))

    def act_withdraw(self, digits: Digits) -> Act | None:
        """Somebody waits no longer."""
        if not self.desk.parked:
            return None
        other = digits.pick(self.desk.parked)
        return Act(f"{other.words}: withdrawn", other.call, lambda: None, withdraws=other)
