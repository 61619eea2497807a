"""Every op has exactly one way to be carried out, and what changes something may be asked twice."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from broker.edge import commands, errands
from tests.fakes.broker import BrokerProcess
from wire import agents, asks, fleet, inbox, jobs, letters, office, reminders
from wire.client import BrokerClient
from wire.errors import Conflict
from wire.home import Home
from wire.model import Mutation, Result
from wire.ops import OPS
from wire.settings import AgentSettings

pytestmark = pytest.mark.anyio


def test_every_op_is_carried_out_in_exactly_one_way() -> None:
    """Ours: one command, one wait or one errand; a cancel is none of them."""
    ways = [*commands.WRITES, *commands.PARKS, *errands.ERRANDS, "request.cancel"]
    assert sorted(ways) == sorted(OPS)
    assert sorted(commands.PARKS) == sorted(op.name for op in OPS.values() if op.parks)


# ---- retries


@dataclass(frozen=True)
class Case:
    """A request that has something to change in the fleet of `prepared`."""

    request: Mutation
    result: type[Result]
    other: Mutation | None
    """Other content, sent under the same key; None where there is none."""


def case(request: Mutation, result: type[Result], **other: object) -> Case:
    """Make a case; `other` says what differs in the other content."""
    return Case(request, result, request.model_copy(update=other) if other else None)


SEND = inbox.InboxSend(key="send", to="bob", body="once")
DAVE = agents.AgentsAdd(key="add", agent="dave")

CASES = [
    case(SEND, inbox.InboxSent, body="twice"),
    case(SEND.model_copy(update={"key": "all", "to": "*"}), inbox.InboxSent, to="bob"),
    case(inbox.InboxAck(key="ack", ids=["m1"]), inbox.InboxAcked, ids=["m2"]),
    case(inbox.InboxRequeue(key="requeue", ids=["m2"]), inbox.InboxChanged, ids=["m3"]),
    case(inbox.InboxDiscard(key="discard", ids=["m3"]), inbox.InboxChanged, ids=["m2"]),
    case(letters.InboxRelease(key="release", ids=["m6"]), inbox.InboxChanged, ids=["m7"]),
    case(letters.InboxRecall(key="recall", message="m7"), letters.InboxRecalled, message="m6"),
    case(asks.AsksAsk(key="ask", to="alice", question="once"), asks.AsksAsked, question="twice"),
    case(asks.AsksAnswer(key="answer", ask="a1", answer="yes"), asks.AsksAnswered, ask="a2"),
    case(asks.AsksCancel(key="cancel", ask="a2"), asks.AsksCancelled, ask="a3"),
    case(reminders.RemindersAdd(key="remind", message="once", delay_s=9e6), reminders.RemindersAdded, message="twice"),
    case(reminders.RemindersCancel(key="unremind", reminder="r2"), reminders.RemindersChanged, reminder="r3"),
    case(reminders.RemindersRetry(key="retry", reminder="r1"), reminders.RemindersChanged, reminder="r2"),
    case(jobs.JobsRegister(key="register", prompt="once"), jobs.JobsRegistered, prompt="twice"),
    case(
        jobs.JobsImport(key="import", old_id="old", prompt="once", registered_at_ms=1),
        jobs.JobsImported,
        old_id="other",
    ),
    case(DAVE, agents.AgentsAdded, settings=AgentSettings(batch_max=1)),
    case(agents.AgentsRemove(key="remove", agent="bob"), agents.AgentsChanged, agent="alice"),
    case(agents.AgentsRotate(key="rotate", agent="carol"), agents.AgentsTokenPath, agent="alice"),
    case(agents.AgentsPause(key="pause", agent="alice"), agents.AgentsChanged, agent="dave"),
    case(agents.AgentsResume(key="resume", agent="carol"), agents.AgentsChanged, agent="alice"),
    case(agents.AgentsRestart(key="restart", agent="alice"), agents.AgentsChanged, now=True),
    case(fleet.FleetApply(key="apply"), fleet.FleetApplied),
    case(office.FleetFreeze(key="freeze", agents=["alice"]), office.FleetFrozen, agents=["carol"]),
    case(office.FleetThaw(key="thaw", agents=["alice"]), office.FleetFrozen, agents=["carol"]),
    case(office.FleetBackup(key="backup"), office.FleetBackedUp, path="/another"),
]
"""In an order in which each finds what it changes."""

LIMITS = "[limits]\nstorm_depth = 2\n"
SETTINGS = f"{LIMITS}[agents.frank]\n"
TABLES = (
    "agents",
    "messages",
    "deliveries",
    "turns",
    "leases",
    "credentials",
    "replies",
    "audit",
    "asks",
    "reminders",
    "jobs",
)


OF_A_JOB = {"jobs.cancel", "jobs.reconcile"}
"""Needs an id that only the broker makes; shown with its service."""


def test_every_mutating_op_has_its_case() -> None:
    """Ours: nobody adds one without showing that a retry is safe; those of a holder are shown with their services."""
    asked = {type(case.request).model_fields["op"].default for case in CASES}
    assert asked == {op.name for op in OPS.values() if op.mutates and not op.attached} - OF_A_JOB


async def prepared(broker: BrokerProcess) -> BrokerClient:
    """Make a fleet with unread mail, two dead letters, a held one, and carol paused; gives the operator."""
    operator = await broker.operator()
    await broker.add("alice", "bob", "carol", "erin")
    alice, bob = await broker.harness("alice", "bob", reconnect=False)
    await alice.send("operator", "this is m1")
    for number in (1, 2):
        request = asks.AsksAsk(key=f"ask-{number}", question=f"this is a{number}")
        await alice.client.call(request, asks.AsksAsked, as_="alice")
    for number in (2, 3):
        await broker.send("erin", f"this is m{number}")
    await operator.call(agents.AgentsRemove(key="of-erin", agent="erin"), agents.AgentsChanged)
    await broker.add("erin")
    await operator.call(agents.AgentsPause(key="of-carol", agent="carol"), agents.AgentsChanged)
    await alice.send("bob", "this is m5")
    turn = await bob.opened()
    held = await bob.send("alice", "this is m6")
    assert (held.id, held.state) == ("m6", "held")
    await bob.close(turn.id)
    await alice.send("carol", "this is m7")
    for number in (1, 2):
        remind = reminders.RemindersAdd(key=f"remind-{number}", message=f"this is r{number}", delay_s=9e6)
        await operator.call(remind, reminders.RemindersAdded)
    with closing(sqlite3.connect(broker.home.database)) as beside, beside:  # as after five firings that failed
        beside.execute("UPDATE reminders SET state = 'parked', due_at = NULL, attempts = 5 WHERE id = 1")
    return operator


def everything(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    """Read all rows, and all tokens, beside the running broker."""
    connection = sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)
    try:
        rows = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}  # noqa: S608
    finally:
        connection.close()
    # Not whether a turn is counted: the timekeeper does that when it comes to it.
    rows["turns"] = [row[:-1] for row in rows["turns"]]
    tokens = [(path.name, path.read_bytes()) for path in sorted((home.secrets / "agents").iterdir())]
    return {**rows, "tokens": tokens}


def first_of(answer: Result) -> Result:
    """Give an answer as it was the first time: a repeated send is marked as such."""
    return answer.model_copy(update={"duplicate": False}) if isinstance(answer, inbox.InboxSent) else answer


async def test_every_mutating_op_may_be_repeated_after_a_kill_with_one_effect(home: Home) -> None:
    """DESIGN 4 Retries [Z1]: same key, same result, nothing changed; same key, other content: `conflict`."""
    home.create()
    (home.root / "queenpost.toml").write_text(LIMITS, encoding="utf-8")
    async with BrokerProcess(home) as broker:
        operator = await prepared(broker)
        (home.root / "queenpost.toml").write_text(SETTINGS, encoding="utf-8")
        first = [await operator.call(case.request, case.result) for case in CASES]
        await broker.restart()
        assert (await broker.status()).account.lost == 0
        before = everything(home)
        for case, answer in zip(CASES, first, strict=True):
            again = await operator.call(case.request, case.result)
            assert first_of(again) == answer
        assert everything(home) == before
        for case in CASES:
            if case.other is not None:
                with pytest.raises(Conflict, match="key"):
                    await operator.call(case.other, case.result)
        assert everything(home) == before
