"""How much SQL a command issues: at most 8 statements on the hot path, and no table is ever read through there.

What is excepted, and why:
- a question to an agent: a row, a letter, and a key that makes it repeatable: ten; a person's or a model's pace;
- the split of an attended turn (ADR 0009) and with it an answer that settles: a person's pace, no harness does it;
- carrying: it is a close and an open in one;
- a timer that rings: a look for each of seven kinds of things that may be due, and what one of them takes;
- a close by which a budget comes near its end, or to it: notices, and an ask; two of a day;
- a lapsed turn that comes back: it is leased again before it is resumed or closed;
- the fifth failure, a removal, a takeover: rare, and they write notices, one for each sender;
- the first held message of a storm: it writes a notice;
- a close that failed with mail of different histories: one statement for each number of failures, four at most.
"""

import re
from typing import Any

import pytest

from broker.services import wakeups
from broker.services.callers import Caller
from tests.fakes import asks
from tests.fakes.office import OPERATOR_CALLER, Call, FakeOffice, by_token
from wire.settings import AgentSettings
from wire.turns import Usage

OWN = by_token("alice")
MOST = 8


def cost(office: FakeOffice, call: Call[Any]) -> int:
    """Commit a call and count its statements."""
    office.commit(call)
    call.get()
    return call.statements


@pytest.fixture
def busy(office: FakeOffice, bob: Caller) -> str:
    """An open turn of bob over a redelivered letter, with more waiting and some backing off."""
    for sender in ("alice", "carol", "boss"):
        for _ in range(3):
            office.send(by_token(sender), "bob")
    turn = office.opened(bob)
    office.send(bob, "alice", "begun")
    office.close(bob, turn.id, "interrupted")
    return office.opened(bob).id


def test_a_send_costs_8_statements_at_most(office: FakeOffice, bob: Caller, busy: str) -> None:
    """[Z2] DESIGN 6: in a turn, with an answer, to the manager, refused: all the same."""
    assert cost(office, office.send.call(OWN, "bob")) <= MOST
    assert cost(office, office.send.call(bob, "alice", in_reply_to="m1")) <= MOST
    assert cost(office, office.send.call(bob, "manager", in_reply_to="m99")) <= MOST
    assert cost(office, office.send.call(OPERATOR_CALLER, "bob")) <= MOST
    assert cost(office, office.send.call(OWN, "bob", key="k")) <= MOST
    assert cost(office, office.send.call(OWN, "bob", key="k")) == 1
    assert busy == "t2"


def test_a_broadcast_costs_8_statements_at_most(office: FakeOffice) -> None:
    """[H06] DESIGN 6: whatever the size of the fleet."""
    for number in range(30):
        office.add(f"agent-{number}")
    assert cost(office, office.send.call(OWN, "*", in_reply_to="m1")) <= MOST


def test_opening_a_turn_costs_8_statements_at_most(office: FakeOffice, bob: Caller, busy: str) -> None:
    """DESIGN 6: over fresh mail, over redelivered mail with a lapsed turn behind it, again, and for nothing."""
    office.close(bob, busy)
    assert cost(office, office.open.call(bob)) <= MOST
    for _ in range(2):
        office.send(OWN, "bob")
    assert cost(office, office.open.call(bob)) <= MOST
    office.pass_time(60)
    assert cost(office, office.open.call(bob)) <= MOST
    assert cost(office, office.open.call(bob)) <= MOST


def test_taking_costs_8_statements_at_most(office: FakeOffice, bob: Caller, busy: str) -> None:
    """DESIGN 6: something, nothing, and too much."""
    for _ in range(60):
        office.send(OPERATOR_CALLER, "bob")
    for _ in range(3):
        assert cost(office, office.take.call(bob, busy, 32)) <= MOST
    session = office.session("carol")
    assert cost(office, office.take.call(session)) <= MOST
    office.send(OWN, "carol")
    assert cost(office, office.take.call(session)) <= MOST


def test_the_other_acts_on_a_turn_cost_8_statements_at_most(office: FakeOffice, bob: Caller, busy: str) -> None:
    """DESIGN 6: renew, give back, resume; completed and failed, also twice."""
    assert cost(office, office.renew.call(bob, busy)) <= MOST
    assert cost(office, office.give_back.call(bob, busy, "m1")) <= MOST
    assert cost(office, office.give_back.call(bob, busy, "m1")) <= MOST
    assert cost(office, office.resume.call(bob, busy)) <= MOST
    assert cost(office, office.close.call(bob, busy)) <= MOST
    assert cost(office, office.close.call(bob, busy)) <= MOST
    assert cost(office, office.close.call(bob, office.opened(bob).id, "crashed")) <= MOST


def test_a_close_that_says_what_it_cost_takes_two_more(office: FakeOffice, bob: Caller) -> None:
    """[Z2] DESIGN 6: with and without a budget that is not near its end."""
    for budget in (None, 1000):
        office.add(f"spender-{budget or 0}", AgentSettings(daily_budget_tokens=budget))
        spender = office.harness(f"spender-{budget or 0}")
        office.send(OWN, spender.name)
        plain = cost(office, office.close.call(spender, office.opened(spender).id, usage=Usage(notes_bytes=5)))
        office.send(OWN, spender.name)
        usage = Usage(input_tokens=5, cost_usd=0.5)
        assert cost(office, office.close.call(spender, office.opened(spender).id, usage=usage)) == plain + 2 <= MOST
    assert bob.epoch == 1


def test_asking_and_answering_cost_8_statements_at_most(office: FakeOffice, bob: Caller, busy: str) -> None:
    """[H08] DESIGN 6: of the operator, of an agent (see above), a permission; an answer; a wait; twice."""
    assert cost(office, Call(office, asks.asking(office, bob, "operator", key="k"))) <= MOST
    assert cost(office, Call(office, asks.asking(office, bob, "operator", key="k"))) == 1
    assert cost(office, Call(office, asks.asking(office, OWN, "bob", options=["a"]))) == 10
    assert cost(office, Call(office, asks.asking(office, bob, "operator", kind="permission"))) <= MOST
    assert cost(office, Call(office, asks.asking(office, bob, "operator", kind="permission"))) <= MOST
    assert cost(office, Call(office, asks.answering(office, bob, "a2"))) <= MOST
    assert cost(office, Call(office, asks.answering(office, OPERATOR_CALLER, "a3", "allow"))) <= MOST
    assert cost(office, Call(office, asks.cancelling(office, bob, "a1"))) <= MOST
    waiting = asks.waiting(office, bob, "a3")
    assert waiting.statements == 1
    assert busy == "t2"


def test_an_open_ask_costs_a_wake_one_statement_and_none_nothing(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 6: nothing more is read where nothing is open, neither on opening nor on closing."""
    costs: list[tuple[int, int]] = []
    for _ in range(2):
        office.send(OWN, "bob")
        opening = office.open.call(bob)
        opened = cost(office, opening)
        turn = opening.get()
        assert turn is not None
        assert turn.turn is not None
        costs.append((opened, cost(office, office.close.call(bob, turn.turn.id))))
        asks.ask(office, OWN)
    assert costs == [(5, 5), (6, 5)]


def test_attaching_and_what_is_due_cost_8_statements_at_most(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 6: a fleet that reconnects all at once, and a timer that rings for one agent."""
    assert cost(office, office.attach.call(OPERATOR_CALLER, "alice", "instance-1")) <= MOST
    assert cost(office, office.attach.call(OPERATOR_CALLER, "alice", "instance-1")) <= MOST
    assert cost(office, office.connection_ended.call(bob)) <= MOST
    office.send(OWN, "bob")
    office.opened(bob)
    office.clock.advance(60_000)
    assert cost(office, Call(office, wakeups.run_due)) <= 11
    assert cost(office, Call(office, wakeups.run_due)) <= 8  # one look for each kind of thing that may be due


def test_asking_for_what_is_due_is_one_statement(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8: it is asked after every batch."""
    assert cost(office, Call(office, wakeups.next_due)) == 1
    assert bob.epoch == 1


def test_a_batch_costs_the_same_for_one_letter_as_for_many(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 6: lists go into one statement each."""
    costs: list[int] = []
    for count in (1, 32):
        for _ in range(count):
            office.send(OWN, "bob")
        opening = office.open.call(bob)
        costs.append(cost(office, opening))
        opened = opening.get()
        assert opened is not None
        assert opened.turn is not None
        costs.append(cost(office, office.close.call(bob, opened.turn.id)))
    assert costs[:2] == costs[2:]


# --- plans ------------------------------------------------------------------------------------------

RARE = {
    "agents.lose_all", "agents.clamp_clock", "agents.shift_clock", "turns.clamp_backoff",  # at a start, or a set clock
    "turns.rearm",  # by its index over open turns: all of them are meant
    "agents.of_file", "agents.summaries", "agents.roster",  # over the agents of the fleet, for a listing
    "credentials.all", "fleet.account",  # listings, beside the writer
    "agents.stalled",  # over the agents, every 2.5 s; one look into the index of ready mail for each
    "inbox.everyone",  # a broadcast is over all agents
    "inbox.held",  # over what is held
    "letters.family",  # over the rows of its own recursion; so is the next over its own parts
    "storms.traffic",
    "notices.clamp", "notices.shift",  # at a start, or a set clock; over the causes of a minute
    "reminders.clamp_clock", "reminders.shift_buckets",  # the same; over the agents
    "reminders.waiting", "reminders.failed",  # listings; over what waits
    "figures.deliveries", "figures.turn_lengths", "figures.asks",  # for `stats`, beside the writer
    "statistics.lengths", "statistics.buckets",  # the same; over rows that an index found
    "statistics.oldest",  # over an index, as far as turns are added up
    "statistics.to_count",  # by its index over turns that are not counted: all of them are meant
    "finding.hits", "finding.snippets",  # by the full-text index, beside the writer
    "finding.root", "finding.thread",  # over the rows of their own recursion
    "freezing.names", "freezing.agents", "freezing.mark_agents",  # over the agents, where somebody freezes or thaws
    "restarts.waiting",  # by its index over ready mail, once when others go on behind the manager
    "jobs.asks_of",  # over the hundred rows that an index found
    "jobs.oldest",  # by its index over unclaimed jobs, the first one
    "jobs.abandoned", "jobs.close_sessions",  # by their index over running sessions, every 2.5 s: all of them are meant
    "jobs.clamp_clock",  # at a start, by its index over running jobs
    "jobs.open_or_said", "jobs.posts",  # the first rows of what the broker itself publishes
    "jobs.quarantine_rows", "jobs.quarantined", "jobs.drop_quarantine", "figures.events",  # a thousand kinds at most
    "retention.left_over",  # over the open asks, for each message that goes
}  # fmt: skip
"""Blocks that may read a whole table or index, with the reason."""

INDEXES = {
    "turns.ready": "deliveries_ready",
    "statistics.to_count": "turns_to_count",
    "statistics.received": "leases_by_turn",
    "statistics.totals": "turn_statistics_by_agent",
    "statistics.drop": "turn_statistics_by_age",
    "inbox.peek": "deliveries_ready",
    "agents.stalled": "deliveries_ready",
    "inbox.count_ready": "deliveries_ready",
    "turns.backing_off": "deliveries_backing_off",
    "turns.rested": "deliveries_backing_off",
    "turns.end_backoff": "deliveries_backing_off",
    "turns.leased": "leases_by_turn",
    "turns.expired": "turns_by_lease",
    "turns.holder": "one_open_turn",
    "turns.bury_lapsed": "turns_lapsed",
    "inbox.sender": "one_open_turn",
    "reminders.due": "reminders_due",
    "reminders.shift_clock": "reminders_waiting",
    "reminders.clamp_delays": "reminders_waiting",
    "reminders.owner": "reminders_waiting",
    "reminders.count_waiting": "reminders_waiting",
    "reminders.fired_since": "firings_by_age",
    "reminders.fired_by_since": "firings_by_agent",
    "asks.expire": "asks_by_deadline",
    "asks.shift_deadlines": "asks_by_deadline",
    "asks.cancel_of_turn": "asks_open_in",
    "asks.unanswered": "asks_open_to",
    "asks.same_permission": "asks_open_by",
    "inbox.find_key": "messages_by_key",
    "jobs.oldest": "jobs_unclaimed",
    "jobs.overdue": "jobs_due",
    "jobs.events": "job_events_of_job",
    "jobs.counts": "jobs_open",
    "jobs.count_open_by": "jobs_open_by",
    "jobs.forget_events": "job_events_by_age",
    "jobs.put_off": "jobs_due",
    "jobs.forget_secrets": "jobs_ended",
    "jobs.old": "jobs_ended",
    "jobs.abandoned": "sessions_running",
}
"""Blocks that stand or fall with one index."""


def plan(office: FakeOffice, sql: str) -> list[str]:
    """Ask SQLite how it would run a statement."""
    names = set(re.findall(r":([a-z_0-9]+)", sql))
    params = {name: "[]" if name in ("ids", "recipients") else 1 for name in names}
    return [row["detail"] for row in office.rows(f"EXPLAIN QUERY PLAN {sql}", **params)]


def test_no_query_of_the_hot_path_reads_a_table_through(office: FakeOffice) -> None:
    """[P09] DESIGN 6: an inbox of thousands and a history of millions cost the same as none."""
    scans = {
        name: step
        for name, sql in office.database.queries.items()
        if name not in RARE and not name.startswith("store.")
        for step in plan(office, sql)
        if step.startswith("SCAN") and not re.match(r"SCAN (json_each|j|CONSTANT)\b", step)
    }
    assert scans == {}


def test_every_exception_is_one(office: FakeOffice) -> None:
    """Ours: a block that reads nothing through any more leaves the list."""
    for name in RARE:
        assert any(step.startswith("SCAN") for step in plan(office, office.database.queries[name])), name


@pytest.mark.parametrize(("name", "index"), INDEXES.items())
def test_a_query_uses_its_index(office: FakeOffice, name: str, index: str) -> None:
    """[P09] DESIGN 5.8: partial indexes hold what waits, not what was."""
    steps = plan(office, office.database.queries[name])
    assert any(f"INDEX {index} " in f"{step} " for step in steps), steps


def test_the_next_due_instant_is_read_from_two_indexes(office: FakeOffice) -> None:
    """DESIGN 5.8: the first entry of each, not a minimum over rows."""
    steps = "\n".join(plan(office, office.database.queries["turns.next_due"]))
    assert "SEARCH turns USING INDEX turns_by_lease" in steps or "turns USING COVERING INDEX turns_by_lease" in steps
    assert "deliveries_backing_off (ready_at>?)" in steps
    assert "SCAN" not in steps
