"""Who acts, on what, under which key: chosen by the digits of a number from what there is at that moment."""

from collections.abc import Callable
from functools import partial
from typing import Any

from broker.services.callers import Caller
from tests.fakes.office import by_token
from tests.model import paper_registry
from tests.model.choices import NAMES, Digits
from tests.model.desk import Act, Desk, OnPaper
from tests.model.paper import Turn


class Chooser:
    """Remembers who there was and what was named; the acts are in its heirs."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.callers: dict[str, list[Caller]] = {name: [] for name in (*NAMES, "emil")}
        """Every caller that an attach ever made."""
        self.keys: list[tuple[str, str]] = []
        """Requests that are done once: op and key."""
        self.repeats: list[Callable[[], Act]] = []
        """Such requests, to be made once more."""
        self.made: dict[str, int] = {}
        self.last_call = "call-0"

    def fresh(self, kind: str) -> str:
        """Make a name that was never used."""
        self.made[kind] = self.made.get(kind, 0) + 1
        return f"{kind}-{self.made[kind]}"

    def caller(self, digits: Digits) -> Caller:
        """Mostly the instance that works for an agent; sometimes one that did, or the agent's bare token."""
        name = digits.pick(NAMES)
        current, former = self.desk.caller_of(name), self.callers[name]
        choice = digits.below(8)
        if choice == 7 and former:
            return digits.pick(former)
        if choice == 6 or current is None:
            return by_token(name)
        return current

    def instance(self, digits: Digits, *, with_turn: bool = False) -> Caller | None:
        """Mostly one that works for an agent, and holds a turn if that is asked for; None where nobody ever did."""
        if digits.below(8):
            names = (
                {turn.agent.name for turn in self.desk.paper.turns[-8:] if turn.state != "closed"}
                if with_turn
                else NAMES
            )
            current = [caller for name in sorted(names) if (caller := self.desk.caller_of(name)) is not None]
            if current or digits.below(4):
                return digits.pick(current) if current else None
        caller = self.caller(digits)
        if caller.instance is not None:
            return caller
        former = self.callers[caller.name]
        return self.desk.caller_of(caller.name) or (former[-1] if former else None)

    def turn_of(self, caller: Caller, digits: Digits) -> tuple[str, Turn | None]:
        """Mostly the agent's newest turn; sometimes an older, a foreign or no turn at all."""
        own = [turn for turn in self.desk.paper.turns if turn.agent.name == caller.name]
        choice = digits.below(16)
        if choice == 15:
            return digits.pick(("t999", "t1", "m1", "t0")), None
        if not own:
            return "t1", None
        turn = own[-1 - choice % min(len(own), 3)] if choice >= 13 else own[-1]
        return turn.name, turn

    def some(self, turn: Turn | None, digits: Digits) -> list[str]:
        """Some of what a turn holds, and now and then something that it does not."""
        held = [copy.name for copy in turn.held] if turn else []
        mask = digits.below(8)
        chosen = [name for index, name in enumerate(held) if mask >> index % 3 & 1]
        return chosen or ["m1"]

    def keyed(self, act: Act, again: Callable[[], Act]) -> Act:
        """Remember how an act that is done once can be made again."""
        self.repeats.append(again)
        return act

    def under_key(self, op: str, caller: Caller, key: str, asked: Any, act: OnPaper) -> OnPaper:
        """Make the paper side of an act with a key of the caller's own."""
        return partial(paper_registry.once, self.desk.paper, f"{op} by {caller.principal}", key, asked, act)

    def key(self, op: str, digits: Digits) -> str:
        """Mostly a fresh key, sometimes one that was used for this op."""
        used = [key for other, key in self.keys if other == op]
        if used and digits.below(5) == 0:
            return used[-1]
        key = self.fresh("key")
        self.keys.append((op, key))
        return key
