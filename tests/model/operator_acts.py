"""What operators do, and what time and bad luck do: the latter each in a commit of its own."""

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.model import paper_acts as acts
from tests.model import paper_registry as registry
from tests.model.choices import FILES, LIMITS, LISTS, NAMES, SECONDS, STEPS_MS, Digits
from tests.model.chooser import Chooser
from tests.model.desk import Act
from wire.settings import AgentSettings, Settings


class OperatorActs(Chooser):
    """One method an act; None where there is nothing to do it with."""

    # --- operators ----------------------------------------------------------------------------------

    def once(self, op: str, key: str, asked: Any, act: Callable[[], acts.Answer]) -> Callable[[], acts.Answer]:
        """Make the paper side of an act with a key."""
        return partial(registry.once, self.desk.paper, op, key, asked, act)

    def add(self, name: str, settings: AgentSettings) -> Act:
        """Make an add."""
        call = self.desk.office.add_agent.call(name, settings)
        on_paper = partial(registry.add, self.desk.paper, name, settings)
        return Act(f"operator adds {name}, {settings.role}, {settings.allowed_recipients}", call, on_paper)

    def act_add(self, digits: Digits) -> Act:
        """An agent joins, or comes back."""
        name = digits.pick(NAMES)
        settings = AgentSettings(allowed_recipients=digits.pick(LISTS), batch_max=digits.pick((32, 1)))
        return self.add(name, settings)

    def act_remove(self, digits: Digits) -> Act:
        """An agent goes."""
        name, key = digits.pick((*NAMES, "emil", "operator")), self.key("remove", digits)
        on_paper = self.once("remove", key, name, partial(registry.remove, self.desk.paper, name))
        return Act(f"operator removes {name}, {key}", self.desk.office.remove.call(name, key), on_paper)

    def act_pause(self, digits: Digits) -> Act:
        """An agent rests."""
        name, key = digits.pick(NAMES), self.key("pause", digits)
        on_paper = self.once("pause", key, name, partial(registry.pause, self.desk.paper, name, paused=True))
        return Act(f"operator pauses {name}, {key}", self.desk.office.pause.call(name, key), on_paper)

    def act_unpause(self, digits: Digits) -> Act:
        """An agent goes on."""
        name, key = digits.pick(NAMES), self.key("unpause", digits)
        on_paper = self.once("unpause", key, name, partial(registry.pause, self.desk.paper, name, paused=False))
        return Act(f"operator resumes {name}, {key}", self.desk.office.resume_agent.call(name, key), on_paper)

    def alone_apply(self, digits: Digits) -> None:
        """The file is applied; what it limits holds from the next commit on."""
        agents = digits.pick(FILES)
        settings = Settings(
            agents=agents, limits=digits.pick(LIMITS) if digits.below(4) == 0 else self.desk.paper.rules.limits
        )
        words = f"operator applies a file with {[f'{name} {agent.role}' for name, agent in agents.items()]}"
        self.desk.commit(
            Act(words, self.desk.office.apply.call(settings), partial(registry.apply, self.desk.paper, settings))
        )

    def dead_letters(self, digits: Digits) -> tuple[list[str], str | None]:
        """Name dead letters, or what is none; of one recipient or all."""
        dead = [copy for copy in self.desk.paper.copies if copy.state == "dead" and not copy.discarded]
        if not dead or digits.below(8) == 0:
            return ["m1", digits.pick(("m999", "x"))], None
        copy = digits.pick(dead)
        return [copy.name], copy.recipient.name if digits.below(2) else None

    def act_requeue(self, digits: Digits) -> Act | None:
        """Dead letters get another chance."""
        if not any(copy.state == "dead" for copy in self.desk.paper.copies) and digits.below(8):
            return None
        (ids, to), key = self.dead_letters(digits), self.key("requeue", digits)
        act = partial(registry.requeue, self.desk.paper, ids, to)
        call = self.desk.office.requeue.call(*ids, recipient=to, key=key)
        on_paper = self.once("requeue", key, (tuple(ids), to), act)
        return Act(f"operator requeues {ids} to {to}, {key}", call, on_paper, requeues=True)

    def act_discard(self, digits: Digits) -> Act:
        """Dead letters are given up."""
        return self.discarding(*self.dead_letters(digits), self.key("discard", digits))

    def discarding(self, ids: list[str], to: str | None, key: str) -> Act:
        """Make a discard."""
        act = partial(registry.discard, self.desk.paper, ids, to)
        call = self.desk.office.discard.call(*ids, recipient=to, key=key)
        return Act(f"operator discards {ids} to {to}, {key}", call, self.once("discard", key, (tuple(ids), to), act))

    def act_ack(self, digits: Digits) -> Act:
        """The operator reads mail."""
        key, everything = self.key("ack", digits), digits.below(3) == 0
        mine = self.desk.paper.agents["operator"].copies
        ids = [] if everything else [digits.pick(mine).name] if mine else ["m999"]
        act = partial(registry.ack, self.desk.paper, ids, everything=everything)
        call = self.desk.office.ack.call(*ids, everything=everything, key=key)
        words = f"operator reads {ids or 'all'}, {key}"
        return Act(words, call, self.once("ack", key, (tuple(ids), everything), act))

    # --- time and chance ----------------------------------------------------------------------------

    def alone_advance(self, digits: Digits) -> None:
        """Time passes."""
        self.desk.advance(digits.pick(SECONDS))

    def alone_suspend(self, digits: Digits) -> None:
        """The machine sleeps."""
        self.desk.advance(digits.pick((60, 3600, 90_000)), suspended=True)

    def alone_set_clock(self, digits: Digits) -> None:
        """Somebody sets the clock."""
        self.desk.set_clock(digits.pick(STEPS_MS))

    def alone_restart(self, digits: Digits) -> None:
        """The broker is killed and started, at once or after a while; the clock may have been set back meanwhile."""
        if digits.below(2):
            self.desk.office.clock.advance(digits.pick((1000, 61_000, 90_000_000, 61_000, 90_000_000, -3_600_000)))
        self.desk.restart()

    def alone_damage(self, digits: Digits) -> None:
        """The disk damages a letter."""
        whole = [letter.id for letter in self.desk.paper.letters if not (letter.damaged or letter.gone)]
        if whole:
            self.desk.damage(whole[-1 - digits.below(16) % len(whole)])

    def alone_age(self, digits: Digits) -> None:
        """A letter has had a hard life."""
        waiting = [
            copy.id
            for copy in self.desk.paper.copies
            if copy.state in ("ready", "leased") and copy.recipient.name != "operator"
        ]
        if waiting:
            number = waiting[-1 - digits.below(16) % len(waiting)]
            failures, restarts = digits.pick(((4, 0), (3, 0), (0, 19), (4, 18)))
            self.desk.age(number, failures=failures, restarts=restarts)
