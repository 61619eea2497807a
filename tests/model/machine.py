"""The state machine: draws a number for each step, makes an act of it, and has it done on both offices.

A step costs one draw, so most of the time goes into the post office, and hypothesis can still make the numbers and
the list of them small. What happened is in `Desk.story`, in words, and is shown with a failure. Some steps share
their commit with the next one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.model.ask_acts import AskActs
from tests.model.choices import LIMITS, LISTS, MIXES, NAMES, SLOTS, Digits, table_of
from tests.model.desk import Act, Desk
from tests.model.job_acts import JobActs
from tests.model.reminder_acts import ReminderActs
from tests.model.valve_acts import ValveActs
from wire.settings import AgentSettings

SHARES_A_COMMIT = 3
"""At most so many steps do."""
ATTENDED_MIX = 2
"""In this one the fleet begins with sessions."""


class Acts(ValveActs, AskActs, ReminderActs, JobActs):
    """All of them. `act_…` makes an act, `alone_…` does one that shares its commit with nothing."""


class PostOfficeMachine(RuleBasedStateMachine):
    """Any mix of acts on both offices; every commit is compared."""

    folder: ClassVar[Path | None] = None
    """Where its databases lie; None: in memory."""
    count: ClassVar[int] = 0
    """Steps of all runs so far."""
    runs: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.acts: Acts | None = None
        self.table: list[str] = []
        self.pending: list[Act] = []

    @initialize(
        mix=st.sampled_from(range(len(MIXES))), limits=st.sampled_from(range(len(LIMITS))), held=st.integers(0, 31)
    )
    def begin(self, mix: int, limits: int, held: int) -> None:
        """Open both offices with a fleet of five, some of them with somebody who works for them."""
        cls = type(self)
        cls.runs += 1
        folder = None
        if cls.folder is not None:
            folder = cls.folder / f"run-{cls.runs}"
            folder.mkdir(mode=0o700)
        self.table = table_of(MIXES[mix])
        desk = Desk(folder, LIMITS[limits])
        self.acts = Acts(desk)
        for index, name in enumerate(NAMES):
            allowed = None if "causal" in MIXES[mix] else LISTS[(held + index) % 5]  # a storm needs ways to go round
            settings = AgentSettings(allowed_recipients=allowed, batch_max=(32, 32, 2, 1, 4)[index])
            if name == "boss":
                settings = AgentSettings(role="manager")
            desk.commit(self.acts.add(name, settings))
            if held & 1 << index:
                desk.commit(self.acts.attaching(name, attended=mix == ATTENDED_MIX))

    @rule(number=st.integers(0, 2**24 - 1))
    def step(self, number: int) -> None:
        """Do one act, or keep it for the commit of the next one."""
        type(self).count += 1
        digits = Digits(number)
        name = self.table[digits.below(SLOTS)]
        shares = digits.below(4) == 3
        alone: Callable[[Digits], None] | None = getattr(self.acts, f"alone_{name}", None)
        if alone is not None:
            self.flush()
            alone(digits)
            return
        make: Callable[[Digits], Act | None] = getattr(self.acts, f"act_{name}")
        act = make(digits)
        if act is not None:
            self.pending.append(act)
        if not shares or len(self.pending) >= SHARES_A_COMMIT:
            self.flush()

    def flush(self) -> None:
        """Commit what was kept."""
        if self.acts is not None and self.pending:
            now, self.pending = self.pending, []
            self.acts.desk.commit(*now)

    def teardown(self) -> None:
        """Commit what is left and look at everything once more; a failure comes with its story."""
        if self.acts is None:
            return
        desk = self.acts.desk
        try:
            self.flush()
            desk.close()
        finally:
            note("\n".join(["the story:", *desk.story[-400:]]))
