"""Figures of turns: made behind them, once each, and added up as the rows bear out."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from broker.services import retention, statistics
from broker.services.callers import Caller
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.errors import Denied, Unknown
from wire.settings import RetentionSettings
from wire.statistics import AgentFigures, AgentsCounted, AgentsStats
from wire.turns import Outcome, Usage

DAY_MS = 86_400_000


def worked(
    office: FakeOffice,
    agent: Caller,
    seconds: float = 1.0,
    outcome: Outcome = "completed",
    usage: Usage | None = None,
    sender: Caller = OPERATOR_CALLER,
) -> str:
    """Let a turn over one message run and end."""
    office.send(sender, agent.name)
    turn = office.opened(agent).id
    office.clock.advance(int(seconds * 1000))
    office.close(agent, turn, outcome, begun=False, usage=usage)
    return turn


def harvested(office: FakeOffice) -> int:
    """Make all rows there are to make; gives how many commands it took."""
    commands = 1
    while office.do(statistics.harvest):
        commands += 1
    return commands


async def counted(office: FakeOffice, caller: Caller = OPERATOR_CALLER, **asked: Any) -> AgentsCounted:
    """Ask as somebody, after a harvest."""
    harvested(office)
    async with office.reading() as reader:
        return await statistics.stats(reader, caller, AgentsStats(**asked), office.clock.now_ms())


async def figures_of(office: FakeOffice, agent: str, **asked: Any) -> AgentFigures:
    """Ask about one agent."""
    (figures,) = (await counted(office, agent=agent, **asked)).agents
    return figures


def test_a_row_says_what_a_turn_was(office: FakeOffice, bob: Caller) -> None:
    """[H37] Issue 4.8: received by kind, sent, depth of the inbox at its end, and what the program said."""
    office.send(OPERATOR_CALLER, "bob")
    office.send(by_token("boss"), "bob")
    office.send(by_token("alice"), "bob")
    turn = office.opened(bob).id
    office.send(by_token("alice"), "bob", "later")
    office.send(bob, "alice")
    office.clock.advance(1500)
    usage = Usage(input_tokens=10, output_tokens=5, cost_usd=0.5, tool_calls=3, tools={"Bash": 3}, notes_bytes=77)
    office.close(bob, turn, usage=usage)
    assert office.rows("SELECT * FROM turn_statistics") == []
    harvested(office)
    row = dict(office.row("SELECT * FROM turn_statistics"))
    assert json.loads(row.pop("tools")) == {"Bash": 3}
    assert row == {
        "turn": 1, "agent": "bob", "at": office.clock.now_ms(), "outcome": "completed", "ms": 1500, "messages": 3,
        "received_peer": 1, "received_manager": 1, "received_operator": 1, "received_system": 0,
        "received_reminder": 0, "received_external": 0, "sent": 1, "inbox": 1, "input_tokens": 10,
        "output_tokens": 5, "cost_usd": 0.5, "tool_calls": 3, "notes_bytes": 77,
    }  # fmt: skip


def test_a_turn_is_counted_once_whatever_happens(office: FakeOffice, bob: Caller) -> None:
    """[H37] Ours: by however many harvests and restarts; an open turn is not; finding nothing writes nothing."""
    worked(office, bob)
    office.send(OPERATOR_CALLER, "bob")
    office.opened(bob)
    harvested(office)
    office.restart()
    before = office.contents()
    assert office.do(statistics.harvest) is False
    assert office.contents() == before
    assert [row["turn"] for row in office.rows("SELECT turn FROM turn_statistics")] == [1]


def test_mail_that_was_given_back_in_the_turn_was_not_received(office: FakeOffice, bob: Caller) -> None:
    """Ours: the model never saw it; what a failed turn held was handed over, and stays in the inbox."""
    office.send(OPERATOR_CALLER, "bob")
    given_back = office.send(OPERATOR_CALLER, "bob").id
    turn = office.opened(bob).id
    office.give_back(bob, turn, given_back)
    office.close(bob, turn, "interrupted")
    harvested(office)
    row = office.row("SELECT messages, received_operator, inbox FROM turn_statistics")
    assert tuple(row) == (1, 1, 2)


def test_a_turn_that_an_attended_session_settled_counts(office: FakeOffice) -> None:
    """ADR 0009: the split is a turn of its own; nothing is known of the inbox there."""
    for _ in range(2):
        office.send(OPERATOR_CALLER, "bob")
    session = office.session("bob")
    first = office.taken(session, maximum=2).mail[0]
    office.settle(session, first.id)
    harvested(office)
    assert [tuple(row) for row in office.rows("SELECT messages, outcome, inbox FROM turn_statistics")] == [
        (1, "completed", None)
    ]
    office.settle(session)
    harvested(office)
    assert [row["inbox"] for row in office.rows("SELECT inbox FROM turn_statistics ORDER BY turn")] == [0, None]


def test_it_goes_in_small_commands(office: FakeOffice, bob: Caller) -> None:
    """Ours: 100 turns at once, four statements; others' commands run between."""
    office.damage(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450) "
        "INSERT INTO turns (agent, epoch, attended, state, outcome, lease_until, opened_at, closed_at) "
        "SELECT 'bob', 1, 0, 'closed', 'completed', 1, 1, 2 FROM n"
    )
    assert harvested(office) == 5
    assert office.row("SELECT count(*) AS n FROM turn_statistics")["n"] == 450


def test_damaged_usage_is_counted_as_unknown(office: FakeOffice, bob: Caller) -> None:
    """Ours: the rest of the row, and the rows behind it, are there all the same."""
    worked(office, bob, usage=Usage(input_tokens=5))
    worked(office, bob, usage=Usage(input_tokens=6))
    office.damage("UPDATE turns SET usage = CAST(x'ff00' AS TEXT) WHERE id = 1")
    harvested(office)
    rows = office.rows("SELECT messages, input_tokens FROM turn_statistics ORDER BY turn")
    assert [tuple(row) for row in rows] == [(1, None), (1, 6)]
    assert office.logged("usage_unreadable") == [{"turn": 1}]


@pytest.mark.parametrize(("age", "left"), [(91, 0), (89, 1)])
def test_rows_are_kept_for_90_days(office: FakeOffice, bob: Caller, age: int, left: int) -> None:
    """[H34] DESIGN 5.19: 91 days are gone, 89 stay; neither comes back with the next harvest."""
    worked(office, bob)
    harvested(office)
    office.clock.advance(age * DAY_MS)
    for _ in range(2):
        for step in retention.steps(RetentionSettings()):
            while office.do(step):
                pass
        harvested(office)
        assert office.row("SELECT count(*) AS n FROM turn_statistics")["n"] == left


def test_no_turn_goes_before_it_was_counted(office: FakeOffice, bob: Caller) -> None:
    """[H34] Ours: a broker that was away for a year counts its last turns first."""
    for _ in range(3):
        worked(office, bob)
    office.clock.advance(400 * DAY_MS)
    for step in retention.steps(RetentionSettings()):
        office.do(step)
    assert len(office.rows("SELECT 1 FROM turns")) == 3
    harvested(office)
    assert len(office.rows("SELECT 1 FROM turn_statistics")) == 3
    for step in retention.steps(RetentionSettings()):
        office.do(step)
    assert office.rows("SELECT 1 FROM turn_statistics") == []
    assert len(office.rows("SELECT 1 FROM turns")) == 1


async def test_the_gauges_of_an_agent(office: FakeOffice, bob: Caller) -> None:
    """[H36] [H37] Issue 4.8: lengths, outcomes, tools, tokens, cost, kinds, inbox now and at most, notes, last turn."""
    for seconds in range(1, 21):
        tools = {"Bash": seconds, "Read": 1}
        usage = Usage(input_tokens=100, output_tokens=10, cost_usd=0.25, tool_calls=2, tools=tools, notes_bytes=seconds)
        worked(office, bob, seconds, "interrupted" if seconds == 20 else "completed", usage)
    office.send(by_token("alice"), "bob")
    last_turn_at = office.clock.now_ms()
    office.clock.advance(5000)
    figures = await figures_of(office, "bob", buckets=0)
    assert figures == AgentFigures(
        agent="bob", turns=20, outcomes={"completed": 19, "interrupted": 1}, ms_p50=10_000, ms_p95=19_000, messages=20,
        received={"operator": 20}, sent=0, inbox=2, inbox_max=1, input_tokens=2000, output_tokens=200, cost_usd=5.0,
        tool_calls=40, tools={"Bash": 210, "Read": 20}, last_turn_at_ms=last_turn_at, notes_bytes=20,
    )  # fmt: skip


async def test_an_agent_that_never_worked_has_figures_too(office: FakeOffice) -> None:
    """Ours: unknown is not zero; charts of nothing are flat."""
    figures = await figures_of(office, "bob", buckets=2)
    assert figures.series is not None
    assert figures.series.turns == [0, 0]
    assert figures.model_copy(update={"series": None}) == AgentFigures(agent="bob")


async def test_pieces_of_time(office: FakeOffice, bob: Caller) -> None:
    """[H35] [H37] Issue 4.8: since and pieces; each turn is in the piece in which it ended."""
    start = office.clock.now_ms()
    worked(office, bob, 10, usage=Usage(input_tokens=7, output_tokens=1, cost_usd=0.5, tool_calls=2))
    office.clock.advance(50_000)
    worked(office, bob, 20, "interrupted")
    worked(office, bob, 4)
    office.clock.advance(60_000 - 24_000)
    answer = await counted(office, agent="bob", since_ms=start, buckets=2)
    # It begins with the first turn there is, ten seconds in.
    assert (answer.since_ms, answer.until_ms, answer.bucket_ms) == (start + 10_000, start + 120_000, 55_000)
    series = answer.agents[0].series
    assert series is not None
    assert (series.turns, series.failed, series.received) == ([1, 2], [0, 1], [1, 3])
    assert (series.ms_p50, series.ms_p95) == ([10_000, 4000], [10_000, 20_000])
    assert (series.tokens, series.cost_usd, series.tool_calls) == ([8, 0], [0.5, 0.0], [2, 0])
    assert series.inbox_max == [0, 1]


async def test_since_leaves_older_turns_out(office: FakeOffice, bob: Caller) -> None:
    """[H35] Ours: by the end of a turn, a day unless somebody asks for more; an instant to come is now."""
    worked(office, bob)
    office.clock.advance(DAY_MS + 1)
    worked(office, bob)
    assert (await figures_of(office, "bob")).turns == 1
    assert (await figures_of(office, "bob", since_ms=0)).turns == 2
    later = await counted(office, agent="bob", since_ms=2**53)
    assert (later.agents[0].turns, later.since_ms) == (1, office.clock.now_ms())


async def test_millions_of_turns_are_not_added_up(
    office: FakeOffice, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: the newest ones are, and the answer says since when; of all or of one agent."""
    monkeypatch.setattr(statistics, "MOST_TURNS", 2)
    for _ in range(4):
        worked(office, bob)
    newest = office.clock.now_ms()
    for agent in (None, "bob"):
        answer = await counted(office, agent=agent, since_ms=0)
        assert answer.since_ms == newest - 1000
        assert [one.turns for one in answer.agents if one.agent == "bob"] == [2]


async def test_the_tools_used_most_come_first(office: FakeOffice, bob: Caller) -> None:
    """[H36] Ours: ten of them."""
    worked(office, bob, usage=Usage(tools={f"tool-{number}": number for number in range(1, 15)}))
    figures = await figures_of(office, "bob")
    assert next(iter(figures.tools.items())) == ("tool-14", 14)
    assert len(figures.tools) == 10
    assert "tool-4" not in figures.tools


async def test_a_damaged_list_of_tools_hides_nothing_else(office: FakeOffice, bob: Caller) -> None:
    """Ours: a row that cannot be read is left out of the tools alone."""
    worked(office, bob, usage=Usage(tools={"Bash": 2}))
    worked(office, bob, usage=Usage(tools={"Bash": 3}))
    harvested(office)
    office.damage("UPDATE turn_statistics SET tools = '{' WHERE turn = 1")
    figures = await figures_of(office, "bob")
    assert (figures.turns, figures.tools) == (2, {"Bash": 3})


async def test_who_may_see_whose(office: FakeOffice, bob: Caller, boss: Caller) -> None:
    """[P12] Issue 4.8: operator and manager all, an agent its own; removed ones by name only."""
    names: Callable[[AgentsCounted], list[str]] = lambda answer: [one.agent for one in answer.agents]  # noqa: E731
    assert names(await counted(office)) == names(await counted(office, boss)) == ["alice", "bob", "boss", "carol"]
    assert names(await counted(office, bob)) == names(await counted(office, bob, agent="bob")) == ["bob"]
    with pytest.raises(Denied, match="only its own figures"):
        await counted(office, bob, agent="alice")
    with pytest.raises(Unknown, match="agent list"):
        await counted(office, agent="nobody")
    office.remove("carol")
    assert names(await counted(office)) == ["alice", "bob", "boss"]
    assert names(await counted(office, agent="carol")) == ["carol"]
    with pytest.raises(Unknown):
        await counted(office, agent="operator")


async def test_pages_are_bounded(office: FakeOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: a frame holds an answer; the next page begins behind the last agent."""
    monkeypatch.setattr(statistics, "PAGE_NUMBERS", 48)
    first = await counted(office)
    assert ([one.agent for one in first.agents], first.more) == (["alice", "bob"], True)
    second = await counted(office, after="bob")
    assert ([one.agent for one in second.agents], second.more) == (["boss", "carol"], False)


def test_once_a_minute_until_nothing_is_left() -> None:
    """Ours: at the start, and after a clock that was set back within a minute."""
    harvest = statistics.Harvest()
    assert harvest.is_due(1_000_000)
    harvest.more = False
    assert not harvest.is_due(1_059_999)
    assert harvest.is_due(1_060_000)
    assert harvest.is_due(1_060_001)
    harvest.more = False
    assert not harvest.is_due(500_000)
    assert harvest.is_due(560_000)
