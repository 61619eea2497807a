"""The state machine: which acts there are, and how a number that hypothesis draws becomes one of them.

Each step draws one number; its digits choose the act, who does it and with what, from what there is at that moment.
So a step costs one draw, and hypothesis can still make the numbers and the list of them small. What happened is in
`Desk.story`, in words, and is shown with a failure. Some steps share their commit with the next one.

Long because every act of the post office is here once.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from broker.services.callers import Caller
from tests.fakes.office import HARNESS_CALLER, OPERATOR_CALLER, attached, by_token
from tests.model import paper_acts as acts
from tests.model import paper_registry as registry
from tests.model.desk import Act, Desk
from tests.model.paper import Turn
from wire.settings import AgentSettings, Limits, Settings
from wire.turns import CLIENT_OUTCOMES, COUNTED, Outcome

T = TypeVar("T")

NAMES = ("alice", "bob", "carol", "dora", "boss")
ADDRESSES = (*NAMES, "alice", "bob", "alice", "bob", "alice", "bob", "carol", "manager", "operator", "operator", "nobody")
LONG_BODIES = ("x" * 8000, "x" * 12_000, "x" * 24_500, "x" * 25_000)
"""Three fit into a batch, two do, only one whatever its size; the last is refused."""
SECONDS = (0.5, 1, 4, 15, 16, 30, 59.999, 60, 64, 180, 256, 600, 3600, 0.001, 5, 90_000)
STEPS_MS = (-7_776_000_000, -3_600_000, -1000, 1000, 3_600_000, 7_776_000_000)
OUTCOMES: tuple[Outcome, ...] = (
    "completed", "completed", "completed", "completed", "completed", "crashed", "crashed", "hung", "context_full",
    "max_turns", "interrupted", "rate_limited", "stopped", "offline", "crashed", "lapsed",
)  # fmt: skip
LIMITS = (
    Limits(),
    Limits(inbox_messages=3, send_burst=4, send_per_minute=60.0),
    Limits(inbox_messages=6, inbox_bytes=16_000, send_burst=30),
)
LISTS = (None, None, [], ["alice"], ["bob", "carol"])
FILES: tuple[dict[str, AgentSettings], ...] = (
    {},
    {"dora": AgentSettings()},
    {"dora": AgentSettings(batch_max=1), "emil": AgentSettings(allowed_recipients=[])},
    {"emil": AgentSettings(allowed_recipients=["dora"]), "dora": AgentSettings(batch_max=2)},
    {"alice": AgentSettings()},
    {"emil": AgentSettings(role="manager"), "dora": AgentSettings()},
    {"emil": AgentSettings(), "dora": AgentSettings(role="manager")},
)

MAIL = {"send": 14, "broadcast": 2, "retry": 3}
TURNS = {"open": 8, "park_open": 6, "close": 12, "renew": 1, "resume": 2, "give_back": 4}
TAKING = {"take": 8, "park_take": 3}
ATTENDED = {"settle": 6, "attach_session": 4}
HOLDERS = {"attach": 6, "detach": 2, "lose": 3}
TIME = {"advance": 8, "suspend": 1, "set_clock": 1, "restart": 2}
OPERATOR = {"pause": 2, "unpause": 2, "add": 2, "remove": 1, "apply": 2, "requeue": 3, "discard": 1, "ack": 2}
CHANCE = {"withdraw": 2, "damage": 1, "age": 3}

MIXES: tuple[dict[str, int], ...] = (
    MAIL | TURNS | TAKING | ATTENDED | HOLDERS | TIME | OPERATOR | CHANCE,
    MAIL | TURNS | {"attach": 2, "advance": 6, "age": 4, "requeue": 4, "discard": 1},
    MAIL | TAKING | ATTENDED | {"give_back": 4, "close": 3, "lose": 2, "advance": 2, "resume": 2},
    MAIL | TURNS | TAKING | {"attach": 5, "lose": 3, "detach": 2, "advance": 6, "restart": 4, "age": 2},
    MAIL | TURNS | OPERATOR | {"attach": 3, "advance": 2, "damage": 3},
    {"send": 20, "open": 6, "park_open": 6, "take": 6, "close": 5, "give_back": 3, "attach": 2, "park_take": 4},
)
"""Which acts a run is made of, and how often each; drawn once, so that runs differ in kind."""
SLOTS = 128
SHARES_A_COMMIT = 3
"""At most so many steps do."""


def table_of(mix: dict[str, int]) -> list[str]:
    """Spread a mix over the slots that a number's first digit chooses from."""
    total = sum(mix.values())
    names = [name for name, weight in mix.items() for _ in range(max(1, weight * SLOTS // total))]
    return (names * 2)[:SLOTS] if len(names) < SLOTS else names[:SLOTS]


class PostOfficeMachine(RuleBasedStateMachine):
    """Any mix of acts on both offices; every commit is compared."""

    folder: ClassVar[Path | None] = None
    """Where its databases lie; None: in memory."""
    count: ClassVar[int] = 0
    """Steps of all runs so far."""
    runs: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.desk: Desk | None = None
        self.table: list[str] = []
        self.callers: dict[str, list[Caller]] = {name: [] for name in (*NAMES, "emil")}
        """Every caller that an attach ever made."""
        self.keys: list[tuple[str, str]] = []
        """Operator requests: op and key."""
        self.made: dict[str, int] = {}
        self.last_call = "call-0"
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
        self.desk = desk = Desk(folder, LIMITS[limits])
        for index, name in enumerate(NAMES):
            settings = AgentSettings(allowed_recipients=LISTS[(held + index) % 5], batch_max=(32, 32, 2, 1, 4)[index])
            desk.commit(self.add(desk, name, AgentSettings(role="manager") if name == "boss" else settings))
            if held & 1 << index:
                desk.commit(self.attaching(desk, name, attended=mix == 2))

    @rule(number=st.integers(0, 2**24 - 1))
    def step(self, number: int) -> None:
        """Do one act, or keep it for the commit of the next one."""
        assert self.desk is not None
        type(self).count += 1
        digits = Digits(number)
        name = self.table[digits.below(SLOTS)]
        shares = digits.below(4) == 3
        alone = getattr(self, f"alone_{name}", None)
        if alone is not None:
            self.flush()
            alone(self.desk, digits)
            return
        act: Act | None = getattr(self, f"act_{name}")(self.desk, digits)
        if act is not None:
            self.pending.append(act)
        if not shares or len(self.pending) >= SHARES_A_COMMIT:
            self.flush()

    def flush(self) -> None:
        """Commit what was kept."""
        if self.desk is not None and self.pending:
            acts_now, self.pending = self.pending, []
            self.desk.commit(*acts_now)

    def teardown(self) -> None:
        """Commit what is left and look at everything once more; a failure comes with its story."""
        if self.desk is None:
            return
        try:
            self.flush()
            self.desk.close()
        finally:
            note("\n".join(["the story:", *self.desk.story[-400:]]))

    # --- choosing -----------------------------------------------------------------------------------

    def fresh(self, kind: str) -> str:
        """Make a name that was never used."""
        self.made[kind] = self.made.get(kind, 0) + 1
        return f"{kind}-{self.made[kind]}"

    def caller(self, desk: Desk, digits: "Digits") -> Caller:
        """Mostly the instance that works for an agent; sometimes one that did, or the agent's bare token."""
        name = digits.pick(NAMES)
        current, former = desk.caller_of(name), self.callers[name]
        choice = digits.below(8)
        if choice == 7 and former:
            return digits.pick(former)
        if choice == 6 or current is None:
            return by_token(name)
        return current

    def instance(self, desk: Desk, digits: "Digits", *, with_turn: bool = False) -> Caller | None:
        """Mostly one that works for an agent, and holds a turn if that is asked for; None where nobody ever did."""
        if digits.below(8):
            names = {turn.agent.name for turn in desk.paper.turns[-8:] if turn.state != "closed"} if with_turn else NAMES
            current = [caller for name in sorted(names) if (caller := desk.caller_of(name)) is not None]
            if current or digits.below(4):
                return digits.pick(current) if current else None
        caller = self.caller(desk, digits)
        if caller.instance is not None:
            return caller
        former = self.callers[caller.name]
        return desk.caller_of(caller.name) or (former[-1] if former else None)

    def turn_of(self, desk: Desk, caller: Caller, digits: "Digits") -> tuple[str, Turn | None]:
        """Mostly the agent's newest turn; sometimes an older, a foreign or no turn at all."""
        own = [turn for turn in desk.paper.turns if turn.agent.name == caller.name]
        choice = digits.below(16)
        if choice == 15:
            return digits.pick(("t999", "t1", "m1", "t0")), None
        if not own:
            return "t1", None
        turn = own[-1 - choice % min(len(own), 3)] if choice >= 13 else own[-1]
        return turn.name, turn

    def some(self, turn: Turn | None, digits: "Digits") -> list[str]:
        """Some of what a turn holds, and now and then something that it does not."""
        held = [copy.name for copy in turn.held] if turn else []
        mask = digits.below(8)
        chosen = [name for index, name in enumerate(held) if mask >> index % 3 & 1]
        return chosen or ["m1"]

    def key(self, op: str, digits: "Digits") -> str:
        """Mostly a fresh key, sometimes one that was used for this op."""
        used = [key for other, key in self.keys if other == op]
        if used and digits.below(5) == 0:
            return used[-1]
        key = self.fresh("key")
        self.keys.append((op, key))
        return key

    # --- mail ---------------------------------------------------------------------------------------

    def sending(self, desk: Desk, caller: Caller, to: str, body: str, reply: str | None, key: str) -> Act:
        """Make a send."""
        shown = body if len(body) < 40 else f"{len(body)} letters"
        words = f"{caller.name}/{caller.epoch} sends {shown!r} to {to}, reply {reply}, {key}"
        call = desk.office.send.call(caller, to, body, in_reply_to=reply, key=key)
        return Act(words, call, partial(acts.send, desk.paper, caller, to, body, reply, key))

    def act_send(self, desk: Desk, digits: "Digits", to: str | None = None) -> Act:
        """Somebody writes to somebody."""
        address = to or digits.pick(ADDRESSES)
        caller = self.caller(desk, digits)
        if address == caller.name and digits.below(4):
            address = NAMES[NAMES.index(address) - 1]
        choice = digits.below(16)
        body = f"letter {len(desk.paper.letters)}"
        if choice >= 12:
            body = LONG_BODIES[choice - 12 if choice < 15 or digits.below(8) == 0 else 0]
        letters = len(desk.paper.letters)
        reply = f"m{letters - choice % letters}" if letters and choice in (1, 2, 3, 4) else None
        if choice == 11:
            caller = OPERATOR_CALLER
        return self.sending(desk, caller, address, body, "m999" if choice == 5 else reply, self.fresh("key"))

    def act_broadcast(self, desk: Desk, digits: "Digits") -> Act:
        """Somebody writes to all."""
        return self.act_send(desk, digits, "*")

    def act_retry(self, desk: Desk, digits: "Digits") -> Act | None:
        """Somebody sends again under a used key: the same, or something else."""
        keyed = [letter for letter in desk.paper.letters if letter.key is not None]
        if not keyed:
            return None
        letter = keyed[-1 - digits.below(16) % len(keyed)]
        to, body, reply = letter.asked
        if digits.below(3) == 0:
            body += "!"
        caller = OPERATOR_CALLER if letter.sender == "operator" else by_token(letter.sender)
        return self.sending(desk, caller, to, body, reply, letter.key or "")

    # --- turns --------------------------------------------------------------------------------------

    def act_open(self, desk: Desk, digits: "Digits", wait_s: float = 0) -> Act | None:
        """A harness opens a turn."""
        caller = self.instance(desk, digits)
        if caller is None:
            return None
        call = desk.office.open.call(caller)
        on_paper = partial(acts.open_turn, desk.paper, caller)
        return self.waiting(desk, f"{caller.name}/{caller.epoch} opens", call, on_paper, caller.name, wait_s)

    def act_park_open(self, desk: Desk, digits: "Digits") -> Act | None:
        """A harness waits for mail."""
        return self.act_open(desk, digits, digits.pick((180.0, 30.0, 5.0)))

    def waiting(
        self, desk: Desk, words: str, call: Any, on_paper: Callable[[], acts.Answer], agent: str, wait_s: float
    ) -> Act:
        """Make an act that may wait."""
        if not wait_s:
            return Act(words, call, on_paper)
        until = desk.office.clock.now_ms() + int(wait_s * 1000)
        return Act(f"{words}, for {wait_s:g} s", call.parked(agent, wait_s), on_paper, parked_by=agent, until=until)

    def act_take(self, desk: Desk, digits: "Digits", wait_s: float = 0) -> Act | None:
        """An instance takes more, or again what it took under the same call."""
        caller = self.instance(desk, digits, with_turn=True)
        if caller is None:
            return None
        name, _ = self.turn_of(desk, caller, digits)
        most = digits.pick((1, 2, 5, 32))
        repeats = digits.below(4)
        if repeats == 0:
            self.last_call = self.fresh("call")
        name_of_call = self.last_call if repeats <= 1 else None
        turn = None if caller.attended else name
        words = f"{caller.name}/{caller.epoch} takes {most} into {turn}, {name_of_call}"
        call = desk.office.take.call(caller, turn, most, name_of_call)
        on_paper = partial(acts.take, desk.paper, caller, turn, most, name_of_call)
        return self.waiting(desk, words, call, on_paper, caller.name, wait_s)

    def act_park_take(self, desk: Desk, digits: "Digits") -> Act | None:
        """An instance waits for more."""
        return self.act_take(desk, digits, digits.pick((180.0, 30.0, 5.0)))

    def act_close(self, desk: Desk, digits: "Digits") -> Act | None:
        """An instance ends a turn."""
        caller = self.instance(desk, digits, with_turn=True)
        if caller is None:
            return None
        name, turn = self.turn_of(desk, caller, digits)
        outcome = digits.pick(OUTCOMES)
        begun = outcome not in COUNTED or digits.below(8) > 0
        carry = self.some(turn, digits) if digits.below(5) == 0 and outcome in CLIENT_OUTCOMES else []
        words = f"{caller.name}/{caller.epoch} closes {name} {outcome}{'' if begun else ' unbegun'}, carries {carry}"
        call = desk.office.close.call(caller, name, outcome, begun=begun, carry=carry)
        return Act(words, call, partial(acts.close, desk.paper, caller, name, outcome, begun, carry))

    def act_renew(self, desk: Desk, digits: "Digits") -> Act | None:
        """An instance prolongs its lease."""
        caller = self.instance(desk, digits, with_turn=True)
        if caller is None:
            return None
        name, _ = self.turn_of(desk, caller, digits)
        words = f"{caller.name}/{caller.epoch} renews {name}"
        return Act(words, desk.office.renew.call(caller, name), partial(acts.renew, desk.paper, caller, name))

    def act_resume(self, desk: Desk, digits: "Digits") -> Act | None:
        """An instance takes a turn back."""
        caller = self.instance(desk, digits, with_turn=True)
        if caller is None:
            return None
        name, _ = self.turn_of(desk, caller, digits)
        words = f"{caller.name}/{caller.epoch} resumes {name}"
        return Act(words, desk.office.resume.call(caller, name), partial(acts.resume, desk.paper, caller, name))

    def act_give_back(self, desk: Desk, digits: "Digits") -> Act | None:
        """An instance returns what it could not hand over."""
        caller = self.instance(desk, digits, with_turn=True)
        if caller is None:
            return None
        name, turn = self.turn_of(desk, caller, digits)
        ids = self.some(turn, digits)
        words = f"{caller.name}/{caller.epoch} gives back {ids} of {name}"
        call = desk.office.give_back.call(caller, name, *ids)
        return Act(words, call, partial(acts.give_back, desk.paper, caller, name, ids))

    def act_settle(self, desk: Desk, digits: "Digits") -> Act:
        """A session settles, up to a message or all."""
        attended = [turn for turn in desk.paper.turns if turn.state == "open" and turn.attended]
        caller = self.caller(desk, digits)
        if attended and digits.below(4):
            name = digits.pick(attended).agent.name
            caller = desk.caller_of(name) if digits.below(2) else by_token(name)
            caller = caller or by_token(name)
        _, turn = self.turn_of(desk, caller, digits)
        choice = digits.below(4)
        done = None if choice == 0 else self.some(turn, digits)[0]
        words = f"{caller.name}/{caller.epoch} settles {done or 'all'}"
        return Act(words, desk.office.settle.call(caller, done), partial(acts.settle, desk.paper, caller, done))

    # --- holders ------------------------------------------------------------------------------------

    def attaching(
        self, desk: Desk, name: str, *, attended: bool, instance: str | None = None, takeover: bool = False
    ) -> Act:
        """Make an attach."""
        who = instance or self.fresh("instance")
        by = by_token(name) if attended else HARNESS_CALLER
        words = f"{who} attaches {name}{' as a session' if attended else ''}{', takes over' if takeover else ''}"
        call = desk.office.attach.call(by, name, who, takeover=takeover)
        on_paper = partial(registry.attach, desk.paper, name, who, attended=attended, takeover=takeover)
        return Act(words, call, on_paper, then=lambda reply: self.callers[name].append(attached(reply, who)))

    def act_attach(self, desk: Desk, digits: "Digits", *, attended: bool = False) -> Act:
        """A new instance attaches, or one from before."""
        name = digits.pick(("operator", "nobody", *NAMES, *NAMES, *NAMES))
        former = [caller for caller in self.callers.get(name, []) if caller.attended == attended]
        choice = digits.below(4)
        instance = former[-1].instance if former and choice < 2 else None
        self.callers.setdefault(name, [])
        return self.attaching(desk, name, attended=attended, instance=instance, takeover=digits.below(2) == 1)

    def act_attach_session(self, desk: Desk, digits: "Digits") -> Act:
        """A session attaches."""
        return self.act_attach(desk, digits, attended=True)

    def act_detach(self, desk: Desk, digits: "Digits") -> Act:
        """An instance goes."""
        caller = self.caller(desk, digits)
        words = f"{caller.name}/{caller.epoch} detaches"
        return Act(words, desk.office.detach.call(caller), partial(registry.detach, desk.paper, caller))

    def act_lose(self, desk: Desk, digits: "Digits") -> Act:
        """A connection ends."""
        caller = self.caller(desk, digits)
        local = digits.below(2) == 0
        words = f"the {'local' if local else 'remote'} connection of {caller.name}/{caller.epoch} ends"
        call = desk.office.connection_ended.call(caller, local=local)
        return Act(words, call, partial(registry.connection_ended, desk.paper, caller, local=local))

    def act_withdraw(self, desk: Desk, digits: "Digits") -> Act | None:
        """Somebody waits no longer."""
        if not desk.parked:
            return None
        other = digits.pick(desk.parked)
        return Act(f"{other.words}: withdrawn", other.call, lambda: None, withdraws=other)

    # --- operators ----------------------------------------------------------------------------------

    def once(
        self, desk: Desk, op: str, key: str, asked: Any, act: Callable[[], acts.Answer]
    ) -> Callable[[], acts.Answer]:
        """Make the paper side of an act with a key."""
        return partial(registry.once, desk.paper, op, key, asked, act)

    def add(self, desk: Desk, name: str, settings: AgentSettings) -> Act:
        """Make an add."""
        call = desk.office.add_agent.call(name, settings)
        on_paper = partial(registry.add, desk.paper, name, settings)
        return Act(f"operator adds {name}, {settings.role}, {settings.allowed_recipients}", call, on_paper)

    def act_add(self, desk: Desk, digits: "Digits") -> Act:
        """An agent joins, or comes back."""
        name = digits.pick(NAMES)
        return self.add(
            desk, name, AgentSettings(allowed_recipients=digits.pick(LISTS), batch_max=digits.pick((32, 1)))
        )

    def act_remove(self, desk: Desk, digits: "Digits") -> Act:
        """An agent goes."""
        name, key = digits.pick((*NAMES, "emil", "operator")), self.key("remove", digits)
        on_paper = self.once(desk, "remove", key, name, partial(registry.remove, desk.paper, name))
        return Act(f"operator removes {name}, {key}", desk.office.remove.call(name, key), on_paper)

    def act_pause(self, desk: Desk, digits: "Digits") -> Act:
        """An agent rests."""
        name, key = digits.pick(NAMES), self.key("pause", digits)
        on_paper = self.once(desk, "pause", key, name, partial(registry.pause, desk.paper, name, paused=True))
        return Act(f"operator pauses {name}, {key}", desk.office.pause.call(name, key), on_paper)

    def act_unpause(self, desk: Desk, digits: "Digits") -> Act:
        """An agent goes on."""
        name, key = digits.pick(NAMES), self.key("unpause", digits)
        on_paper = self.once(desk, "unpause", key, name, partial(registry.pause, desk.paper, name, paused=False))
        return Act(f"operator resumes {name}, {key}", desk.office.resume_agent.call(name, key), on_paper)

    def alone_apply(self, desk: Desk, digits: "Digits") -> None:
        """The file is applied; what it limits holds from the next commit on."""
        agents = digits.pick(FILES)
        settings = Settings(
            agents=agents, limits=digits.pick(LIMITS) if digits.below(4) == 0 else desk.paper.rules.limits
        )
        words = f"operator applies a file with {[f'{name} {agent.role}' for name, agent in agents.items()]}"
        desk.commit(Act(words, desk.office.apply.call(settings), partial(registry.apply, desk.paper, settings)))

    def dead_letters(self, desk: Desk, digits: "Digits") -> tuple[list[str], str | None]:
        """Name dead letters, or what is none; of one recipient or all."""
        dead = [copy for copy in desk.paper.copies if copy.state == "dead" and not copy.discarded]
        if not dead or digits.below(8) == 0:
            return ["m1", digits.pick(("m999", "x"))], None
        copy = digits.pick(dead)
        return [copy.name], copy.recipient.name if digits.below(2) else None

    def act_requeue(self, desk: Desk, digits: "Digits") -> Act | None:
        """Dead letters get another chance."""
        if not any(copy.state == "dead" for copy in desk.paper.copies) and digits.below(8):
            return None
        (ids, to), key = self.dead_letters(desk, digits), self.key("requeue", digits)
        act = partial(registry.requeue, desk.paper, ids, to)
        call = desk.office.requeue.call(*ids, recipient=to, key=key)
        on_paper = self.once(desk, "requeue", key, (tuple(ids), to), act)
        return Act(f"operator requeues {ids} to {to}, {key}", call, on_paper, requeues=True)

    def act_discard(self, desk: Desk, digits: "Digits") -> Act:
        """Dead letters are given up."""
        (ids, to), key = self.dead_letters(desk, digits), self.key("discard", digits)
        act = partial(registry.discard, desk.paper, ids, to)
        call = desk.office.discard.call(*ids, recipient=to, key=key)
        return Act(
            f"operator discards {ids} to {to}, {key}", call, self.once(desk, "discard", key, (tuple(ids), to), act)
        )

    def act_ack(self, desk: Desk, digits: "Digits") -> Act:
        """The operator reads mail."""
        key, everything = self.key("ack", digits), digits.below(3) == 0
        mine = desk.paper.agents["operator"].copies
        ids = [] if everything else [digits.pick(mine).name] if mine else ["m999"]
        act = partial(registry.ack, desk.paper, ids, everything=everything)
        call = desk.office.ack.call(*ids, everything=everything, key=key)
        words = f"operator reads {ids or 'all'}, {key}"
        return Act(words, call, self.once(desk, "ack", key, (tuple(ids), everything), act))

    # --- time and chance ----------------------------------------------------------------------------

    def alone_advance(self, desk: Desk, digits: "Digits") -> None:
        """Time passes."""
        desk.advance(digits.pick(SECONDS))

    def alone_suspend(self, desk: Desk, digits: "Digits") -> None:
        """The machine sleeps."""
        desk.advance(digits.pick((60, 3600, 90_000)), suspended=True)

    def alone_set_clock(self, desk: Desk, digits: "Digits") -> None:
        """Somebody sets the clock."""
        desk.set_clock(digits.pick(STEPS_MS))

    def alone_restart(self, desk: Desk, digits: "Digits") -> None:
        """The broker is killed and started, at once or after a while."""
        if digits.below(2):
            desk.office.clock.advance(digits.pick((1000, 61_000, 90_000_000)))
        desk.restart()

    def alone_damage(self, desk: Desk, digits: "Digits") -> None:
        """The disk damages a letter."""
        whole = [letter.id for letter in desk.paper.letters if not letter.damaged]
        if whole:
            desk.damage(whole[-1 - digits.below(16) % len(whole)])

    def alone_age(self, desk: Desk, digits: "Digits") -> None:
        """A letter has had a hard life."""
        waiting = [
            copy.id
            for copy in desk.paper.copies
            if copy.state in ("ready", "leased") and copy.recipient.name != "operator"
        ]
        if waiting:
            number = waiting[-1 - digits.below(16) % len(waiting)]
            failures, restarts = digits.pick(((4, 0), (3, 0), (0, 19), (4, 18)))
            desk.age(number, failures=failures, restarts=restarts)


class Digits:
    """A number, digit by digit, each in the base that is asked for; when it is used up, its scrambled self follows."""

    def __init__(self, number: int) -> None:
        self._rest = number | 1 << 24
        self._more = number

    def below(self, base: int) -> int:
        """Take the next digit."""
        if self._rest < base:
            self._more = (self._more * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
            self._rest = self._more >> 16 | 1 << 48
        self._rest, digit = divmod(self._rest, base)
        return digit

    def pick(self, choices: Sequence[T]) -> T:
        """Choose by the next digit."""
        return choices[self.below(len(choices))]
