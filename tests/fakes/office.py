"""The post office without its edge: the real store and the real services, driven by hand.

The clock stands still until it is moved; there is no thread and no socket, and the rules of the edge (who may
call what) are not here either. Each verb runs its command in a commit of its own: `office.send(alice, "bob")`.
With `.call` it is only made, so that several can share one commit:
`office.commit(office.send.call(alice, "bob"), office.open.call(bob))`.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from broker.services import (
    agents,
    apply,
    credentials,
    holders,
    inbox,
    letters,
    recall,
    settling,
    turns,
    wakeups,
)
from broker.services.callers import OPERATOR, Caller, Rules
from broker.services.replies import once
from broker.store.database import Database, memory_database, open_database
from broker.store.group import Batch, Command, Group, Job, Withdrawal
from broker.store.readers import Reader, Readers
from broker.store.tx import Effects, Row, SqlValue, Tx
from tests.fakes.verbs import Act, Call
from wire import agents as wire_agents
from wire import inbox as wire_inbox
from wire import letters as wire_letters
from wire import turns as wire_turns
from wire.clock import FakeClock
from wire.fleet import Change
from wire.model import Mutation, Result
from wire.settings import AgentSettings, Limits, Settings

T = TypeVar("T")
M = TypeVar("M", bound=Mutation)
R = TypeVar("R", bound=Result)

OPERATOR_CALLER = Caller("operator", OPERATOR)
HARNESS_CALLER = Caller("harness", "harness")


def by_token(name: str) -> Caller:
    """Speak for an agent with nothing but its own token: a client that has attached nothing."""
    return Caller("agent", name, attended=True)


def kept(act: Callable[[Tx, Caller, M], R], caller: Caller, request: M, result: type[R]) -> Command[R]:
    """Make a command whose key makes it repeatable."""
    return lambda tx: once(tx, caller, request, result, lambda: act(tx, caller, request))


class FakeOffice:
    """A home with its database, a group over it, and a clock. A context manager."""

    def __init__(self, folder: Path | None = None, *, limits: Limits | None = None) -> None:
        """Open a new office; without a folder it lives in memory: quick, and gone when closed."""
        self.clock = FakeClock()
        self.rules = Rules(limits or Limits())
        self.effects = Effects()
        """Everything that every commit so far asked for."""
        self.last = Batch()
        self._path = folder / "broker.db" if folder is not None else None
        self._keys = 0
        self._instances: Counter[str] = Counter()
        self.database = self._opened()
        self.group = Group(self.database, self.clock, wakeups.next_due)
        self.start()

    def __enter__(self) -> "FakeOffice":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.database.close()

    def _opened(self) -> Database:
        return memory_database() if self._path is None else open_database(self._path, self.clock)

    def restart(self) -> None:
        """End the broker and start another one on the same home; what was parked is gone."""
        if self._path is not None:
            self.database.close()
            self.database = self._opened()
        self.group = Group(self.database, self.clock, wakeups.next_due)
        self.start()

    # --- committing ---------------------------------------------------------------------------------

    def submit(self, *submissions: Job[Any] | Withdrawal) -> Batch:
        """Commit jobs together and tell each how it ended."""
        self.last = self.group.commit(submissions)
        for settlement in self.last.settled:
            settlement.job.done(settlement.outcome)
        self.effects.add(self.last.effects)
        return self.last

    def commit(self, *calls: Call[Any]) -> Batch:
        """Commit calls together, in their order."""
        return self.submit(*(call.submission for call in calls))

    def do(self, command: Command[T]) -> T:
        """Commit any command alone."""
        call = Call(self, command)
        self.commit(call)
        return call.get()

    def key(self) -> str:
        """Make a key that was never used."""
        self._keys += 1
        return f"key-{self._keys}"

    def due(self) -> Batch:
        """Do what is due at this instant; also ends waits whose time is up."""
        return self.submit(Job(wakeups.run_due, lambda _: None))

    def pass_time(self, seconds: float) -> None:
        """Let time pass, then do what is due."""
        self.clock.advance(int(seconds * 1000))
        self.due()

    def set_clock(self, step_ms: int) -> None:
        """Set the wall clock, and let the broker notice at once."""
        self.clock.step_wall(step_ms)
        step_ms = self.clock.re_anchor()
        self.do(lambda tx: wakeups.clock_was_set(tx, step_ms))

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Give the fields of every log line of one event so far."""
        return [fields for name, fields in self.effects.logs if name == event]

    def pushed(self, event: str) -> list[str | None]:
        """Give the agent of every push of one event so far."""
        return [push.agent for push in self.effects.pushes if push.event == event]

    # --- looking ------------------------------------------------------------------------------------

    def rows(self, sql: str, **params: SqlValue) -> list[Row]:
        """Read with a statement of the test's own."""
        return self.database.connection.execute(sql, params).fetchall()

    def row(self, sql: str, **params: SqlValue) -> Row:
        """Read one row, which has to be there."""
        (row,) = self.rows(sql, **params)
        return row

    def damage(self, sql: str, **params: SqlValue) -> None:
        """Change the file behind the services' back, as a bad disk or a test's set-up would."""
        self.database.connection.execute(sql, params)

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Give every row of every table: equal before and after means that nothing was changed."""
        tables = self.rows("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        self.database.connection.text_factory = bytes  # a damaged one may be no text
        try:
            return {table["name"]: self._rows_of(table["name"]) for table in tables}
        finally:
            self.database.connection.text_factory = str

    def _rows_of(self, table: str) -> list[tuple[Any, ...]]:
        rows = self.rows(f"SELECT * FROM {table}")  # noqa: S608  # a name from the schema
        return sorted((tuple(row) for row in rows), key=repr)

    def delivery(self, message: str, recipient: str) -> Row:
        """Give the row of one recipient's copy."""
        return self.row(
            "SELECT * FROM deliveries WHERE message = :message AND recipient = :recipient",
            message=int(message[1:]),
            recipient=recipient,
        )

    def state(self, message: str, recipient: str) -> str:
        """Give the stored state of one recipient's copy."""
        return self.delivery(message, recipient)["state"]

    def states(self, recipient: str) -> dict[str, str]:
        """Give the stored state of all mail to one recipient, in its order."""
        rows = self.rows("SELECT message, state FROM deliveries WHERE recipient = :name ORDER BY place", name=recipient)
        return {f"m{row['message']}": row["state"] for row in rows}

    def notices(self, recipient: str) -> list[str]:
        """Give the bodies of all notices that somebody ever got."""
        rows = self.rows(
            "SELECT m.body FROM messages m JOIN deliveries d ON d.message = m.id "
            "WHERE m.kind = 'system' AND d.recipient = :name ORDER BY m.id",
            name=recipient,
        )
        return [row["body"] for row in rows]

    def audited(self) -> list[tuple[str, ...]]:
        """Give who did what to whom, all of it."""
        return [tuple(row) for row in self.rows("SELECT principal, action, subject FROM audit ORDER BY id")]

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[Reader]:
        """Read as the broker does, beside the writer; needs a folder."""
        assert self._path is not None, "a database in memory has no second connection"
        async with Readers(self._path) as readers, readers.read() as reader:
            yield reader

    # --- agents -------------------------------------------------------------------------------------

    def add(self, name: str, settings: AgentSettings | None = None) -> None:
        """Register an agent, token and all, as an operator would."""
        self.add_agent(name, settings or AgentSettings())

    def harness(self, name: str, instance: str = "", *, takeover: bool = False) -> Caller:
        """Attach a new harness instance to an agent, or a known one again."""
        instance = instance or self.new_instance(name)
        return attached(self.attach(HARNESS_CALLER, name, instance, takeover=takeover), instance)

    def session(self, name: str, instance: str = "") -> Caller:
        """Attach an attended session to an agent by the agent's own token."""
        instance = instance or self.new_instance(name)
        return attached(self.attach(by_token(name), name, instance), instance)

    def new_instance(self, name: str) -> str:
        """Make an instance id that was never used."""
        self._instances[name] += 1
        return f"{name}-instance-{self._instances[name]}"

    @Act
    def start(self) -> Command[None]:
        """Do what a broker does first."""
        return wakeups.start

    @Act
    def add_agent(
        self, name: str, settings: AgentSettings, key: str | None = None
    ) -> Command[wire_agents.AgentsChanged]:
        """See `agents.add`."""
        request = wire_agents.AgentsAdd(key=key or self.key(), agent=name, settings=settings)
        digest = credentials.digest_of(f"token of {name}")
        return lambda tx: agents.add(tx, OPERATOR_CALLER, request, digest)

    @Act
    def remove(
        self, name: str, key: str | None = None, caller: Caller = OPERATOR_CALLER
    ) -> Command[wire_agents.AgentsChanged]:
        """See `agents.remove`; the key makes it repeatable."""
        request = wire_agents.AgentsRemove(key=key or self.key(), agent=name)
        return kept(agents.remove, caller, request, wire_agents.AgentsChanged)

    @Act
    def pause(
        self, name: str, key: str | None = None, caller: Caller = OPERATOR_CALLER
    ) -> Command[wire_agents.AgentsChanged]:
        """See `agents.pause`; the key makes it repeatable."""
        request = wire_agents.AgentsPause(key=key or self.key(), agent=name)
        return kept(agents.pause, caller, request, wire_agents.AgentsChanged)

    @Act
    def resume_agent(
        self, name: str, key: str | None = None, caller: Caller = OPERATOR_CALLER
    ) -> Command[wire_agents.AgentsChanged]:
        """End a pause; the key makes it repeatable."""
        request = wire_agents.AgentsResume(key=key or self.key(), agent=name)
        return kept(agents.pause, caller, request, wire_agents.AgentsChanged)

    @Act
    def apply(self, settings: Settings) -> Command[list[Change]]:
        """See `apply.apply`; limits hold from then on."""

        def command(tx: Tx) -> list[Change]:
            known = credentials.load(tx)
            missing = {name for name in settings.agents if f"agent:{name}" not in known}
            tokens = {name: credentials.digest_of(f"token of {name}") for name in missing}
            changes = apply.apply(tx, OPERATOR_CALLER, settings, tokens)
            self.rules = Rules(settings.limits, self.rules.disk_free_bytes, settings.retention)
            return changes

        return command

    @Act
    def attach(
        self, caller: Caller, name: str, instance: str, *, takeover: bool = False, proven: bool = True
    ) -> Command[wire_agents.AgentsAttached]:
        """See `holders.attach`."""
        request = wire_agents.AgentsAttach(agent=name, instance=instance, takeover=takeover)
        return lambda tx: holders.attach(tx, caller, request, proven=proven)

    @Act
    def detach(self, caller: Caller) -> Command[wire_agents.AgentsChanged]:
        """See `holders.detach`."""
        request = wire_agents.AgentsDetach(agent=caller.name)
        return lambda tx: holders.detach(tx, caller, request)

    @Act
    def connection_ended(self, caller: Caller, *, local: bool = True) -> Command[None]:
        """See `holders.connection_ended`."""
        instance = caller.instance or ""
        return lambda tx: holders.connection_ended(tx, caller.name, instance, local=local)

    # --- mail ---------------------------------------------------------------------------------------

    @Act
    def send(
        self,
        caller: Caller,
        to: str,
        body: str = "hello",
        *,
        in_reply_to: str | None = None,
        key: str | None = None,
        now: bool = False,
    ) -> Command[wire_inbox.InboxSent]:
        """See `inbox.send`."""
        request = wire_inbox.InboxSend(key=key or self.key(), to=to, body=body, in_reply_to=in_reply_to, now=now)
        rules = self.rules
        return lambda tx: inbox.send(tx, caller, request, rules)

    @Act
    def ack(self, *ids: str, everything: bool = False, key: str | None = None) -> Command[wire_inbox.InboxAcked]:
        """Mark operator mail as read."""
        request = wire_inbox.InboxAck(key=key or self.key(), ids=list(ids), all=everything)
        return kept(letters.ack, OPERATOR_CALLER, request, wire_inbox.InboxAcked)

    @Act
    def requeue(
        self, *ids: str, recipient: str | None = None, key: str | None = None
    ) -> Command[wire_inbox.InboxChanged]:
        """Give dead letters back."""
        request = wire_inbox.InboxRequeue(key=key or self.key(), ids=list(ids), recipient=recipient)
        return kept(letters.requeue, OPERATOR_CALLER, request, wire_inbox.InboxChanged)

    @Act
    def discard(
        self, *ids: str, recipient: str | None = None, key: str | None = None
    ) -> Command[wire_inbox.InboxChanged]:
        """Take dead letters off the list."""
        request = wire_inbox.InboxDiscard(key=key or self.key(), ids=list(ids), recipient=recipient)
        return kept(letters.discard, OPERATOR_CALLER, request, wire_inbox.InboxChanged)

    @Act
    def release(
        self, *ids: str, recipient: str | None = None, key: str | None = None
    ) -> Command[wire_inbox.InboxChanged]:
        """Let held mail go on."""
        request = wire_letters.InboxRelease(key=key or self.key(), ids=list(ids), recipient=recipient)
        return kept(letters.release, OPERATOR_CALLER, request, wire_inbox.InboxChanged)

    @Act
    def recall(
        self, caller: Caller, message: str, *, descendants: bool = False, key: str | None = None
    ) -> Command[wire_letters.InboxRecalled]:
        """See `recall.recall`; the key makes it repeatable."""
        request = wire_letters.InboxRecall(key=key or self.key(), message=message, descendants=descendants)
        return kept(recall.recall, caller, request, wire_letters.InboxRecalled)

    def held(self) -> dict[str, str]:
        """Give every held copy, as `message/recipient`, with the reason."""
        rows = self.rows("SELECT message, recipient, reason FROM deliveries WHERE state = 'held' ORDER BY id")
        return {f"m{row['message']}/{row['recipient']}": row["reason"] for row in rows}

    # --- turns --------------------------------------------------------------------------------------

    @Act
    def open(self, caller: Caller) -> Command[wire_turns.TurnsOpened | None]:
        """See `turns.open_turn`; None where it would wait."""
        return lambda tx: turns.open_turn(tx, caller, wire_turns.TurnsOpen())

    def opened(self, caller: Caller) -> wire_turns.Turn:
        """Open a turn over mail that is there."""
        result = self.open(caller)
        assert result is not None, "no mail is eligible"
        assert result.turn is not None
        return result.turn

    def park_open(self, caller: Caller, wait_s: float = 180.0) -> Call[wire_turns.TurnsOpened | None]:
        """Open a turn as soon as mail is eligible; it may be at once."""
        call = self.open.call(caller).parked(caller.name, wait_s)
        self.commit(call)
        return call

    @Act
    def take(
        self, caller: Caller, turn: str | None = None, maximum: int = 1, name: str | None = None
    ) -> Command[wire_turns.TurnsTaken | None]:
        """See `turns.take`; None where it would wait. `name` is the call's own, for a repeated one."""
        request = wire_turns.TurnsTake(turn=turn, max=maximum, call=name)
        return lambda tx: turns.take(tx, caller, request)

    def taken(self, caller: Caller, turn: str | None = None, maximum: int = 1) -> wire_turns.TurnsTaken:
        """Take mail that is there."""
        result = self.take(caller, turn, maximum)
        assert result is not None, "no mail is eligible"
        return result

    def park_take(
        self, caller: Caller, turn: str | None = None, maximum: int = 1, wait_s: float = 180.0
    ) -> Call[wire_turns.TurnsTaken | None]:
        """Take mail as soon as it is eligible; it may be at once."""
        call = self.take.call(caller, turn, maximum).parked(caller.name, wait_s)
        self.commit(call)
        return call

    @Act
    def give_back(self, caller: Caller, turn: str, *ids: str) -> Command[wire_turns.TurnsGivenBack]:
        """See `settling.give_back`."""
        request = wire_turns.TurnsGiveBack(turn=turn, ids=list(ids))
        return lambda tx: settling.give_back(tx, caller, request)

    @Act
    def renew(self, caller: Caller, turn: str, *, begun: bool = False) -> Command[wire_turns.TurnsRenewed]:
        """See `turns.renew`."""
        request = wire_turns.TurnsRenew(turn=turn, begun=begun)
        return lambda tx: turns.renew(tx, caller, request)

    @Act
    def resume(self, caller: Caller, turn: str) -> Command[wire_turns.TurnsOpened]:
        """See `turns.resume`."""
        return lambda tx: turns.resume(tx, caller, wire_turns.TurnsResume(turn=turn))

    @Act
    def close(
        self,
        caller: Caller,
        turn: str,
        outcome: wire_turns.Outcome = "completed",
        *,
        begun: bool = True,
        reason: str = "",
        carry: Iterable[str] = (),
        usage: wire_turns.Usage | None = None,
    ) -> Command[wire_turns.TurnsClosed]:
        """See `settling.close`."""
        request = wire_turns.TurnsClose(
            turn=turn, outcome=outcome, begun=begun, reason=reason, carry=list(carry), usage=usage
        )
        return lambda tx: settling.close(tx, caller, request)

    @Act
    def settle(self, caller: Caller, done: str | None = None) -> Command[wire_turns.TurnsSettled]:
        """See `settling.settle`."""
        return lambda tx: settling.settle(tx, caller, wire_turns.TurnsSettle(done=done))


def attached(reply: wire_agents.AgentsAttached, instance: str) -> Caller:
    """Give the caller that an attached instance is from then on."""
    return Caller("agent", reply.agent, reply.epoch, instance, reply.attended)
