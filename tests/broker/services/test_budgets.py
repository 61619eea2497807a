"""Budgets of a day: told when they near their end, kept to when they are spent, raised by the operator's answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.services import budgets, retention, views
from broker.services.callers import Caller
from broker.services.states import Reports
from tests.fakes import asks
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.agents import AgentSummary
from wire.errors import Denied, Invalid
from wire.settings import AgentSettings, RetentionSettings, Settings
from wire.turns import Usage

DAY_MS = 86_400_000
TOKENS = AgentSettings(backend="scripted", script="echo", daily_budget_tokens=1000)
MANAGER = AgentSettings(role="manager")


def fleet(bob: AgentSettings = TOKENS) -> Settings:
    """A fleet of bob and his manager."""
    return Settings(agents={"bob": bob, "boss": MANAGER, "carol": AgentSettings()})


@pytest.fixture
def office(tmp_path: Path) -> Iterator[FakeOffice]:
    """It is noon, in UTC; bob has a thousand tokens a day."""
    with FakeOffice(tmp_path) as office:
        office.set_clock(DAY_MS // 2 - office.clock.now_ms() % DAY_MS)
        office.apply(fleet())
        yield office


@pytest.fixture
def bob(office: FakeOffice) -> Caller:
    """Its harness."""
    return office.harness("bob")


def spends(office: FakeOffice, agent: Caller, tokens: int | None = None, usd: float | None = None) -> None:
    """Let a turn end that cost so much."""
    office.send(OPERATOR_CALLER, agent.name)
    usage = Usage(input_tokens=tokens, cost_usd=usd)
    office.close(agent, office.opened(agent).id, usage=usage)


def may_work(office: FakeOffice, agent: Caller) -> bool:
    """Say whether a turn opens for new mail; it is given back."""
    office.send(OPERATOR_CALLER, agent.name)
    opened = office.open(agent)
    if opened is None or opened.turn is None:
        return False
    office.close(agent, opened.turn.id, "interrupted", begun=False)
    return True


def open_asks(office: FakeOffice) -> list[str]:
    """The ids of the asks to the operator that are open."""
    rows = office.rows("SELECT id FROM asks WHERE state = 'open' AND target = 'operator' ORDER BY id")
    return [f"a{row['id']}" for row in rows]


async def shown(office: FakeOffice, agent: str = "bob") -> AgentSummary:
    """What `status` shows of an agent."""
    async with office.reading() as reader:
        listed = await views.list_agents(reader, Reports(), removed=True, name=agent, now_ms=office.clock.now_ms())
    return listed.agents[0]


def midnight(office: FakeOffice) -> int:
    """When this day ends."""
    return (office.clock.now_ms() // DAY_MS + 1) * DAY_MS


def until_midnight(office: FakeOffice) -> None:
    """Let the rest of the day pass, and what is due happen."""
    office.clock.advance(midnight(office) - office.clock.now_ms())
    office.due()


async def test_what_was_spent_today_shows(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.6: tokens in and out and cost, of agents without a budget too; unknown where no program said."""
    assert ((await shown(office)).tokens_today, (await shown(office)).cost_usd_today) == (None, None)
    office.send(OPERATOR_CALLER, "bob")
    office.close(bob, office.opened(bob).id, usage=Usage(input_tokens=100, output_tokens=20))
    spends(office, bob, usd=0.5)
    spends(office, bob)
    spends(office, office.harness("carol"), 7)
    assert ((await shown(office)).tokens_today, (await shown(office)).cost_usd_today) == (120, 0.5)
    assert ((await shown(office, "carol")).tokens_today, (await shown(office, "carol")).cost_usd_today) == (7, None)
    until_midnight(office)
    assert (await shown(office)).tokens_today is None


def test_at_80_percent_operator_and_manager_are_told_once(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.6: the turns go on, nobody is asked."""
    spends(office, bob, 799)
    assert office.notices("operator") == []
    spends(office, bob, 31)
    text = (
        "bob has used 830 of 1,000 tokens, 83% of its budget for today. At 100 % it opens no more turns until 00:00 "
        "UTC; the operator is asked then."
    )
    assert office.notices("operator") == office.notices("boss") == [text]
    spends(office, bob, 100)
    office.pass_time(120)
    assert office.notices("operator") == office.notices("boss") == [text]
    assert (may_work(office, bob), open_asks(office)) == (True, [])


def test_notices_of_a_whole_fleet_are_one(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.6: within a minute, as all notices; a manager is not told of itself."""
    office.apply(
        Settings(agents={"bob": TOKENS, "boss": TOKENS.model_copy(update={"role": "manager"}), "carol": TOKENS})
    )
    for agent in (bob, office.harness("carol"), office.harness("boss")):
        spends(office, agent, 900)
    office.pass_time(60)
    first, second = office.notices("operator")
    assert first.startswith("bob has used 900")
    assert second.startswith("2 notices in one:\n- carol has used 900")
    assert "\n- boss has used" in second
    assert not any("boss has used" in notice for notice in office.notices("boss"))


async def test_at_100_percent_no_turn_opens_and_the_operator_is_asked_once(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.6: mail collects and nothing is counted against it; the state says why and until when."""
    spends(office, bob, 1000)
    before = office.states("bob")
    waiting = office.send(by_token("carol"), "bob").id
    parked = office.park_open(bob)
    assert parked.waits
    office.pass_time(180)
    row = office.delivery(waiting, "bob")
    assert (row["state"], row["attempt"], row["failures"]) == ("ready", 0, 0)
    assert office.states("bob") == before | {waiting: "ready"}
    bob_shown = await shown(office)
    assert (bob_shown.state, bob_shown.until_ms) == ("parked", midnight(office))
    assert bob_shown.reason == "its budget for today is spent: 1,000 of 1,000 tokens; a1 asks whether to raise it"
    assert open_asks(office) == ["a1"]
    ask = office.row("SELECT * FROM asks")
    assert (ask["asker"], ask["target"], ask["kind"], ask["deadline_at"]) == (
        "bob",
        "operator",
        "question",
        midnight(office),
    )
    assert ask["options"] == '["+50 %", "no limit today", "no"]'
    assert ask["question"].startswith("bob has spent its budget for today (1,000 of 1,000 tokens): no turn opens")
    assert "00:00 UTC" in ask["question"]


def test_a_turn_that_runs_is_not_cut(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.6: not by a budget that is lowered either; what it costs counts."""
    spends(office, bob, 500)
    office.send(OPERATOR_CALLER, "bob")
    turn = office.opened(bob).id
    office.apply(fleet(TOKENS.model_copy(update={"daily_budget_tokens": 100})))
    assert office.renew(bob, turn).lease_ms
    assert office.close(bob, turn, usage=Usage(input_tokens=5)).acked
    assert not may_work(office, bob)


def test_money_is_counted_as_well(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.6: whichever ends first."""
    office.apply(fleet(TOKENS.model_copy(update={"daily_budget_usd": 2.0})))
    spends(office, bob, 10, 1.5)
    assert may_work(office, bob)
    spends(office, bob, 10, 0.5)
    assert not may_work(office, bob)
    assert "20 of 1,000 tokens and $2.00 of $2.00" in office.row("SELECT question FROM asks")["question"]


def test_the_answer_takes_effect_at_once(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.6: +50 % wakes the agent, without mail to it; the next end is told and asked about anew."""
    spends(office, bob, 1000)
    office.send(by_token("carol"), "bob")
    parked = office.park_open(bob)
    letters = len(office.states("bob"))
    answered = asks.answer(office, OPERATOR_CALLER, "a1", "+50 %")
    assert (answered.asker, answered.message, answered.warnings) == ("bob", None, [])
    assert not parked.waits
    assert len(office.states("bob")) == letters
    turn = office.opened(bob)
    office.close(bob, turn.id, usage=Usage(output_tokens=300))
    office.pass_time(60)
    assert "bob has used 1,300 of 1,500 tokens, 87%" in office.notices("operator")[-1]
    spends(office, bob, 200)
    assert (may_work(office, bob), open_asks(office)) == (False, ["a2"])
    assert ("operator", "ask.answered", "a1") in office.audited()


def test_a_raise_that_is_not_enough_asks_again(office: FakeOffice, bob: Caller) -> None:
    """Ours: the budget has to be larger than what was spent."""
    spends(office, bob, 1800)
    asks.answer(office, OPERATOR_CALLER, "a1", "+50%")
    assert (may_work(office, bob), open_asks(office)) == (False, ["a2"])
    asks.answer(office, OPERATOR_CALLER, "a2", "+ 100 %")
    assert (may_work(office, bob), open_asks(office)) == (True, [])


def test_no_limit_lasts_until_midnight(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.6: the next day has its budget again."""
    spends(office, bob, 1000)
    asks.answer(office, OPERATOR_CALLER, "a1", "No limit today")
    spends(office, bob, 50_000)
    assert (may_work(office, bob), open_asks(office)) == (True, [])
    until_midnight(office)
    spends(office, bob, 1000)
    assert (may_work(office, bob), open_asks(office)) == (False, ["a2"])


async def test_no_is_an_answer(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.6: nobody asks again that day; at midnight the mail is handed over."""
    spends(office, bob, 1000)
    asks.answer(office, OPERATOR_CALLER, "a1", "no")
    assert (may_work(office, bob), open_asks(office)) == (False, [])
    assert (await shown(office)).reason == "its budget for today is spent: 1,000 of 1,000 tokens"
    until_midnight(office)
    assert may_work(office, bob)


def test_an_answer_that_says_nothing_is_refused(office: FakeOffice, bob: Caller) -> None:
    """Ours: it would change nothing, and the ask would be gone."""
    spends(office, bob, 1000)
    for text in ("maybe", "+0.5 %", "50 %", "-10 %", "+ %"):
        with pytest.raises(Invalid, match="no limit today"):
            asks.answer(office, OPERATOR_CALLER, "a1", text)
    assert open_asks(office) == ["a1"]


def test_an_agent_can_neither_answer_nor_withdraw_it(office: FakeOffice, bob: Caller) -> None:
    """[P12] Ours: the broker asks in its name; it counts among nobody's questions. Withdrawn is a no."""
    spends(office, bob, 1000)
    with pytest.raises(Denied, match="your own"):
        asks.answer(office, by_token("bob"), "a1", "no limit today")
    with pytest.raises(Denied, match="the broker"):
        office.do(asks.cancelling(office, by_token("bob"), "a1"))
    letters = office.states("bob")
    office.do(asks.cancelling(office, OPERATOR_CALLER, "a1"))
    assert (open_asks(office), office.states("bob")) == ([], letters)
    assert not may_work(office, bob)


def test_midnight_opens_turns_again(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.6: to the millisecond, by the timer; the ask is over, and nobody gets mail of it."""
    spends(office, bob, 1000)
    office.send(by_token("carol"), "bob")
    letters = len(office.states("bob"))
    office.clock.advance(midnight(office) - office.clock.now_ms() - 1)
    parked = office.park_open(bob)
    office.due()
    assert parked.waits
    assert office.last.due_ms == office.clock.now_ms() + 1
    office.clock.advance(1)
    office.due()
    assert not parked.waits
    assert (open_asks(office), len(office.states("bob"))) == ([], letters)
    assert office.notices("bob") == []


def test_a_turn_over_midnight_counts_on_the_day_on_which_it_ends(office: FakeOffice, bob: Caller) -> None:
    """Ours: that is when its program says what it cost."""
    office.send(OPERATOR_CALLER, "bob")
    turn = office.opened(bob).id
    office.clock.advance(DAY_MS)
    office.close(bob, turn, usage=Usage(input_tokens=1000))
    day = office.clock.now_ms() // DAY_MS
    assert [tuple(row) for row in office.rows("SELECT day, tokens FROM spending")] == [(day, 1000)]


def test_a_budget_in_the_middle_of_a_day_counts_what_was_spent_before(office: FakeOffice) -> None:
    """Issue 4.6: from the first turn of the day on."""
    carol = office.harness("carol")
    spends(office, carol, 600)
    agents = fleet().agents
    office.apply(Settings(agents=agents | {"carol": AgentSettings(daily_budget_tokens=500)}))
    assert (may_work(office, carol), open_asks(office)) == (False, ["a1"])
    office.apply(Settings(agents=agents))
    assert (may_work(office, carol), open_asks(office)) == (True, [])


def test_a_larger_budget_of_the_file_takes_effect_at_once(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.6: apply wakes the agent, and nobody has to answer any more; its end is told anew."""
    spends(office, bob, 1000)
    office.send(by_token("carol"), "bob")
    parked = office.park_open(bob)
    office.apply(fleet(TOKENS.model_copy(update={"daily_budget_tokens": 2000})))
    assert not parked.waits
    assert open_asks(office) == []
    office.close(bob, office.opened(bob).id, usage=Usage(input_tokens=1000))
    assert (may_work(office, bob), open_asks(office)) == (False, ["a2"])


@pytest.mark.parametrize("days", [0, 1])
def test_a_restart_forgets_nothing(office: FakeOffice, bob: Caller, days: int) -> None:
    """Issue 4.6: the same day it is kept to; the day after, turns open before anything is due."""
    spends(office, bob, 1000)
    office.clock.advance(days * DAY_MS)
    office.restart()
    bob = office.harness("bob", takeover=True)
    assert (may_work(office, bob), open_asks(office)) == (bool(days), ["a1"] if not days else [])


def test_a_clock_that_was_set_to_another_day_and_back(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.6: each day keeps what was spent on it; there is never more than one ask."""
    spends(office, bob, 1000)
    office.set_clock(DAY_MS)
    assert (may_work(office, bob), open_asks(office)) == (True, [])
    office.set_clock(-DAY_MS)
    assert not may_work(office, bob)
    assert len(open_asks(office)) <= 1
    office.set_clock(-DAY_MS)
    assert (may_work(office, bob), open_asks(office)) == (True, [])


def test_a_clock_that_was_set_within_the_day_keeps_midnight(office: FakeOffice, bob: Caller) -> None:
    """Ours: the ask ends with the day, wherever the clock is."""
    spends(office, bob, 1000)
    for step_ms in (3_600_000, -7_200_000):
        office.set_clock(step_ms)
        assert office.row("SELECT budget_until FROM agents WHERE name = 'bob'")["budget_until"] == midnight(office)
        assert office.row("SELECT deadline_at FROM asks")["deadline_at"] == midnight(office)


def test_an_answer_after_its_day_says_so(office: FakeOffice, bob: Caller) -> None:
    """Ours: a race with midnight; the new day is not raised."""
    spends(office, bob, 1000)
    office.clock.advance(DAY_MS)
    answered = asks.answer(office, OPERATOR_CALLER, "a1", "no limit today")
    assert answered.warnings == ["the day that a1 was about is over; bob has a fresh budget"]
    office.due()
    spends(office, bob, 1000)
    assert not may_work(office, bob)


def test_a_removed_agent_asks_for_nothing(office: FakeOffice) -> None:
    """Ours: what it spent counts if it comes back on the same day."""
    office.add("dora", AgentSettings(daily_budget_tokens=10))
    dora = office.harness("dora")
    spends(office, dora, 10)
    office.remove("dora")
    assert open_asks(office) == []
    office.add("dora", AgentSettings(daily_budget_tokens=10))
    assert (may_work(office, office.harness("dora")), len(open_asks(office))) == (False, 1)


def test_a_session_is_not_held_up(office: FakeOffice, bob: Caller) -> None:
    """Ours: a person's program, which says nothing of what it costs."""
    spends(office, bob, 1000)
    office.detach(bob)
    session = office.session("bob")
    office.send(by_token("carol"), "bob")
    assert office.taken(session).mail


def test_what_was_spent_is_kept_as_long_as_the_statistics(office: FakeOffice, bob: Caller) -> None:
    """[H34] Ours: 89 days on it is there, 91 days on it is not."""
    spends(office, bob, 5)
    for days, left in ((89, 1), (2, 0)):
        office.clock.advance(days * DAY_MS)
        for step in retention.steps(RetentionSettings()):
            office.do(step)
        assert len(office.rows("SELECT 1 FROM spending")) == left


def test_an_instant_belongs_to_a_day_of_utc() -> None:
    """Issue 4.6: said so wherever it is shown."""
    assert (budgets.day_of(DAY_MS - 1), budgets.day_of(DAY_MS)) == (0, 1)
    assert (budgets.end_of_day(DAY_MS - 1), budgets.end_of_day(DAY_MS)) == (DAY_MS, 2 * DAY_MS)
