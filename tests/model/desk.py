"""Real and paper office side by side: one commit on both, then everything is compared."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from broker.services import wakeups
from broker.services.callers import Caller
from broker.store.group import Withdrawal
from broker.store.jobs import Job
from tests.fakes.office import Call, FakeOffice
from tests.model import paper_registry
from tests.model.answers import answer_of
from tests.model.invariants import Inspector
from tests.model.paper import Paper, Refused
from tests.model.paper_acts import Answer
from wire.settings import Limits

OnPaper = Callable[[], Answer]
CHECK_FILE_EVERY = 500
"""Steps between two integrity checks."""
MOST_ROUNDS = 20
"""How often at most the broker acts before nothing is due any more."""


@dataclass(eq=False, slots=True)
class Act:
    """One thing that somebody does: the real command, the same on paper, and words for the story."""

    words: str
    call: Call[Any]
    on_paper: OnPaper
    parked_by: str | None = None
    """The agent whose mail it may wait for."""
    until: int = 0
    then: Callable[[Any], None] | None = None
    """What the machine remembers of a real result."""
    withdraws: "Act | None" = None
    answer: Answer = None
    settled: bool = False
    requeues: bool = False
    forgets: bool = False

    @property
    def submission(self) -> Job[Any] | Withdrawal:
        """What is committed for it."""
        if self.withdraws is not None:
            return Withdrawal(self.withdraws.call.submission)  # pyright: ignore[reportArgumentType]  # a parked one
        return self.call.submission


@dataclass(eq=False)
class Desk:
    """Two offices, the acts that wait in both, and the story so far."""

    folder: Path | None
    limits: Limits
    story: list[str] = field(default_factory=list[str])
    steps: int = 0

    def __post_init__(self) -> None:
        self.office = FakeOffice(self.folder, limits=self.limits)
        self.inspector = Inspector(self.office.database.connection)
        self.paper = Paper(self.office.clock.now_ms(), self.office.rules, self._size_of_notice, self._was_held)
        self.parked: list[Act] = []
        self._seen = -1
        self.check(requeued=False)

    def close(self) -> None:
        """Look at everything once more and close the database."""
        self.inspector.check_bodies(self.paper)
        self.inspector.check_file()
        self.office.database.close()

    def _size_of_notice(self, delivery: int) -> int:
        rows = self.inspector.rows("SELECT bytes FROM deliveries WHERE id = :id", id=delivery)
        return rows[0][0] if rows else 0

    def _was_held(self, letter: int, recipient: str) -> bool:
        return self.inspector.was_held(letter, recipient)

    # --- one commit on both -------------------------------------------------------------------------

    def commit(self, *acts: Act) -> None:
        """Do all of this in one commit, on both sides, and compare."""
        self.steps += len(acts)
        self.story += [f"{'    and ' if index else ''}{act.words}" for index, act in enumerate(acts)]
        began = self.office.clock.now_ms()
        self.office.submit(*(act.submission for act in acts))
        self.paper.now = began
        for act in acts:
            self._do(act)
        self.paper.now = self.office.clock.now_ms()
        self._wake()
        self._give_up(began)
        self.paper.note_settled()
        self.paper.rules = self.office.rules
        for act in acts:
            if act.settled and act.then is not None and act.call.outcome is not None and act.call.outcome.error is None:
                act.then(act.call.outcome.value)
        self.check(requeued=any(act.requeues for act in acts), forgets=any(act.forgets for act in acts))

    def _do(self, act: Act) -> None:
        if act.withdraws is not None:
            act.settled = True
            if act.withdraws in self.parked:
                self._settle(act.withdraws, None)
            return
        answer = self._on_paper(act)
        if answer is None and act.parked_by is not None:
            self.parked.append(act)
        else:
            self._settle(act, answer)

    def _on_paper(self, act: Act) -> Answer:
        try:
            return act.on_paper()
        except Refused as refused:
            return ("refused", refused.code)

    def _settle(self, act: Act, answer: Answer) -> None:
        if act in self.parked:
            self.parked.remove(act)
        act.answer, act.settled = answer, True
        assert act.call.outcome is not None, f"left waiting; on paper it got {answer!r}"
        real = answer_of(act.call.outcome)
        assert real == answer, f"{act.words}: real {real!r}, paper {answer!r}"
        self.story.append(f"        {answer!r}")

    def _wake(self) -> None:
        """19: whoever has eligible mail and waits gets it in this very commit, however it became eligible.

        A turn that is opened so may end a permission for which its own harness waits, so all are asked once more.
        """
        before = -1
        while before != len(self.parked):
            before = len(self.parked)
            for name in sorted({act.parked_by or "" for act in self.parked}):
                for act in [act for act in self.parked if act.parked_by == name]:
                    if act.call.waits and self._has_turn(name) and " opens" in act.words:
                        continue  # its turn was resumed beside it: the open may wait on, or get that turn again
                    answer = self._on_paper(act)
                    if answer is not None:
                        self._settle(act, answer)

    def _has_turn(self, name: str) -> bool:
        agent = self.paper.agents.get(name)
        return agent is not None and self.paper.open_turn(agent) is not None

    def _give_up(self, now: int) -> None:
        for act in [act for act in self.parked if act.until <= now]:
            self._settle(act, None)

    def check(self, *, requeued: bool, forgets: bool = False) -> None:
        """Compare everything, if anything was written since the last time."""
        for act in self.parked:
            assert act.call.waits, f"{act.words} got {act.call.outcome!r}, on paper it waits"
        waits = {act.parked_by or "" for act in self.parked if " opens" in act.words}
        self.inspector.check_nobody_sleeps(waits, self.office.clock.now_ms())
        self._check_timekeeper()
        changes = self.office.database.connection.total_changes
        if changes != self._seen:
            self._seen = changes
            self.inspector.check(self.paper, requeued=requeued, forgets=forgets)
        if self.steps % CHECK_FILE_EVERY == 0:
            self.inspector.check_file()

    def _check_timekeeper(self) -> None:
        """14, 15: the broker knows exactly when it has to act next."""
        due, real = paper_registry.next_due(self.paper), self.office.last.due_ms
        parked = [act.until for act in self.parked]
        assert real == min([instant for instant in (due, *parked) if instant is not None], default=None), (real, due)

    # --- time ---------------------------------------------------------------------------------------

    def act(self, words: str, call: Call[Any], on_paper: OnPaper, **more: Any) -> Act:
        """Make an act of a command and its paper side."""
        return Act(words, call, on_paper, **more)

    def due(self, words: str) -> Act:
        """Do what is due."""
        return Act(words, Call(self.office, wakeups.run_due), partial(paper_registry.run_due, self.paper))

    def advance(self, seconds: float, *, suspended: bool = False) -> None:
        """Let time pass, then do what is due; after a suspend with fresh leases."""
        self.office.clock.advance(int(seconds * 1000), suspended=suspended)
        acts = [self.due(f"{seconds} s pass{', asleep' if suspended else ''}")]
        if suspended:
            again = partial(paper_registry.rearm, self.paper)
            acts.insert(0, Act("the machine wakes", Call(self.office, wakeups.rearm), again))
        self.do_due(*acts)

    def do_due(self, *acts: Act) -> None:
        """Do what is due, at once again where more is, and see that it was done."""
        self.commit(*acts)
        for _ in range(MOST_ROUNDS):
            if self.office.last.due_ms is None or self.office.last.due_ms > self.office.clock.now_ms():
                break
            self.commit(self.due("more is due"))
        self.inspector.asks.check_nothing_overdue(self.office.clock.now_ms())
        self.inspector.reminders.check_nothing_overdue(self.office.clock.now_ms())
        self.inspector.jobs.check_nothing_overdue(self.office.clock.now_ms())

    def set_clock(self, step_ms: int) -> None:
        """Set the wall clock, let the broker notice."""
        self.office.clock.step_wall(step_ms)
        self.office.clock.re_anchor()
        call = Call(self.office, partial(wakeups.clock_was_set, step_ms=step_ms))
        on_paper = partial(paper_registry.clock_was_set, self.paper, step_ms)
        self.commit(Act(f"the clock is set by {step_ms / 1000:g} s", call, on_paper))
        self.do_due(self.due("and what is due is done"))

    def restart(self) -> None:
        """End the broker and start another one; what waited is gone with its connections."""
        self.story.append("the broker restarts")
        self.parked.clear()
        self.office.restart()
        self.inspector.use(self.office.database.connection)
        self._seen = -1
        self.paper.now = self.office.clock.now_ms()
        paper_registry.restart(self.paper)
        self.check(requeued=False)
        self.do_due(self.due("and what is due is done"))

    # --- what nobody asked for ----------------------------------------------------------------------

    def damage(self, letter: int) -> None:
        """Flip something in a stored body."""
        self.story.append(f"the disk damages m{letter}")
        sql = "UPDATE messages SET body = CAST(x'ff' || CAST(body AS BLOB) AS TEXT) WHERE id = :id"
        self.office.damage(sql, id=letter)
        self.paper.letters[letter - 1].damaged = True

    def age(self, delivery: int, *, failures: int = 0, restarts: int = 0) -> None:
        """Put a waiting delivery where many failures or deaths would have brought it."""
        copy = self.paper.copies[delivery - 1]
        self.story.append(f"{copy.name} to {copy.recipient.name} has seen {failures} failures, {restarts} deaths")
        sql = "UPDATE deliveries SET failures = :failures, restarts = :restarts WHERE id = :id"
        self.office.damage(sql, id=delivery, failures=failures, restarts=restarts)
        copy.failures, copy.restarts = failures, restarts

    def caller_of(self, name: str) -> Caller | None:
        """The instance that works for an agent at this moment, as a caller."""
        agent = self.paper.agents.get(name)
        if agent is None or agent.instance is None:
            return None
        return Caller("agent", name, agent.epoch, agent.instance, agent.attended)
