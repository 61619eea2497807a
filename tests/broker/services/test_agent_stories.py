"""`explain` of an agent: its state, why it does nothing, what one wants to know beside, and what it did."""

import pytest

from broker.services import agent_stories
from broker.services.callers import Caller
from broker.services.states import Reports
from tests.fakes.office import FakeOffice, by_token
from wire.agents import AgentsReport
from wire.errors import Unknown
from wire.finding import AgentsExplain, Explained
from wire.settings import AgentSettings, Settings

OWN = by_token("alice")


async def explained(office: FakeOffice, name: str = "bob", reports: Reports | None = None) -> Explained:
    """Tell the story of an agent."""
    async with office.reading() as reader:
        request = AgentsExplain(agent=name)
        return await agent_stories.explain(reader, request, office.clock.now_ms(), reports or Reports())


async def why(office: FakeOffice, reports: Reports | None = None) -> tuple[str, str | None]:
    """Give the state of bob and why it does nothing."""
    story = await explained(office, reports=reports)
    return story.state, story.waits_for


# --- why nothing happens ----------------------------------------------------------------------------


async def test_an_idle_agent_waits_for_mail(office: FakeOffice, bob: Caller) -> None:
    """Issue 3.5: then for its next turn, then it works."""
    assert await why(office) == ("idle", "no mail")
    office.send(OWN, bob.name)
    assert await why(office) == ("idle", "1 message waits for its next turn, which opens in a moment; m1 is first")
    office.opened(bob)
    assert await why(office) == ("working", None)


async def test_a_back_off_is_named_with_its_rest(office: FakeOffice, bob: Caller) -> None:
    """Issue 3.5: as long as nothing else is eligible."""
    office.send(OWN, "bob")
    office.send(OWN, "bob")
    office.close(bob, office.opened(bob).id, "crashed", carry=["m2"])
    office.close(bob, "t2", "interrupted")
    assert await why(office) == (
        "idle",
        "2 messages wait; m1 backs off for 1 s after a failed turn, with what stands behind it",
    )
    office.send(by_token("carol"), "bob")
    assert "3 messages wait for its next turn" in ((await why(office))[1] or "")


async def test_a_pause_and_a_freeze_say_how_they_end(office: FakeOffice, bob: Caller) -> None:
    """Issue 3.5: with the mail that waits for it."""
    for _ in range(3):
        office.send(OWN, bob.name)
    office.pause("bob")
    paused = "3 messages wait, but it is paused; `queenpost agent resume bob` lets it go on"
    assert await why(office) == ("paused", paused)
    office.resume_agent("bob")
    office.damage("UPDATE fleet SET frozen = 1")
    assert await why(office) == (
        "frozen",
        "3 messages wait; it is frozen by the operator; `queenpost thaw` ends it",
    )
    office.damage("UPDATE fleet SET frozen = 0")
    office.damage("UPDATE agents SET frozen = 1 WHERE name = 'bob'")
    assert await why(office) == (
        "frozen",
        "3 messages wait; it is frozen by the operator; `queenpost thaw bob` ends it",
    )


async def test_an_agent_that_nobody_works_for_says_whom_it_misses(office: FakeOffice) -> None:
    """[H21] Issue 3.5: a session, a harness; deaf where the alarm was raised."""
    office.send(OWN, "bob")
    without = "1 message waits; no session is connected: `queenpost mcp --agent bob` or `queenpost recv --as bob`"
    assert await why(office) == ("away", without)
    office.apply(Settings(agents={"dora": AgentSettings(backend="command", command=["true"])}))
    dora = await explained(office, "dora")
    assert dora.waits_for == (
        "no messages wait; its harness is not connected: start it with `queenpost harness dora` or `queenpost up`"
    )
    state, reason = await why(office, Reports(is_deaf=lambda name: name == "bob"))
    assert state == "deaf"
    assert "nobody works for it; start its harness with `queenpost harness bob`" in (reason or "")


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (
            AgentsReport(state="parked", reason="missing_program: no such file"),
            "no messages wait; it is parked: missing_program: no such file",
        ),
        (
            AgentsReport(state="waiting_permission", reason="Bash(ls)"),
            "no messages wait; it waits for a permission: Bash(ls)",
        ),
        (
            AgentsReport(state="failed", reason="5 crashes"),
            "it failed: 5 crashes; its log says more, `queenpost logs --agent bob`",
        ),
        (AgentsReport(state="parked"), "no messages wait; it is parked: it does not say why"),
    ],
)
async def test_what_its_harness_reports_is_the_reason(
    office: FakeOffice, bob: Caller, report: AgentsReport, expected: str
) -> None:
    """DESIGN 8: in the harness' own words."""
    assert await why(office, Reports({bob.name: report})) == (report.state, expected)


async def test_an_agent_out_of_the_fleet_is_explained_too(office: FakeOffice) -> None:
    """Ours: what it did stays known."""
    office.remove("bob")
    story = await explained(office)
    assert (story.state, story.waits_for) == ("stopped", "removed from the fleet")
    assert [step.event for step in story.history] == ["agent.added", "agent.removed"]


@pytest.mark.parametrize("name", ["nobody", "operator", "m1", "'"])
async def test_no_such_agent(office: FakeOffice, name: str) -> None:
    """Ours: the operator is none either."""
    with pytest.raises(Unknown, match="agent list"):
        await explained(office, name)


# --- beside the state -------------------------------------------------------------------------------


async def test_facts_and_history_of_an_agent(office: FakeOffice, bob: Caller) -> None:
    """Issue 3.5: mail, holder, last turn; turns and what the operator did, in their order."""
    office.send(OWN, "bob")
    office.clock.advance(1000)
    office.close(bob, office.opened(bob).id, "crashed", reason="exit 1")
    office.clock.advance(2000)
    office.pause("bob")
    office.send(OWN, "bob")
    office.clock.advance(3000)
    story = await explained(office)
    assert story.facts == {
        "role": "agent",
        "backend": "none",
        "declared in": "the database",
        "epoch": "1",
        "holder": "a harness",
        "mail": "2 waiting, 0 in turn, 0 held, 0 dead",
        "oldest waiting": "6 s ago",
        "inbox": "2 messages, 330 bytes",
        "asks": "0 of its own open, 0 to answer",
        "reminders": "none",
        "last turn": "t1 crashed, 5 s ago",
    }
    assert [(step.event, step.detail) for step in story.history] == [
        ("agent.added", "by operator backend=none role=agent"),
        ("turn_opened", "t1, turn with 1 message"),
        ("turn_crashed", "t1 (exit 1)"),
        ("agent.paused", "by operator"),
    ]


async def test_asks_and_reminders_are_counted(office: FakeOffice) -> None:
    """Issue 3.5: with the next reminder's time."""
    at_ms = office.clock.now_ms()
    office.damage(
        "INSERT INTO asks (kind, asker, target, question, question_sha256, asked_at, deadline_at) "
        "VALUES ('question', 'bob', 'alice', 'q', zeroblob(32), :at, :at), "
        "('question', 'alice', 'bob', 'q', zeroblob(32), :at, :at), "
        "('question', 'boss', 'bob', 'q', zeroblob(32), :at, :at)",
        at=at_ms,
    )
    office.damage(
        "INSERT INTO reminders (agent, body, body_sha256, elapsed, state, nominal_at, due_at, made_by, made_at) "
        "VALUES ('bob', 'x', zeroblob(32), 1, 'pending', :at, :at, 'bob', :at), "
        "('alice', 'x', zeroblob(32), 1, 'parked', :at, NULL, 'alice', :at)",
        at=at_ms,
    )
    facts = (await explained(office)).facts
    assert facts["asks"] == "1 of its own open, 2 to answer"
    assert facts["reminders"] == "1, the next one at 2027-01-15T08:00:00Z"
    assert (await explained(office, "alice")).facts["reminders"] == "1, parked: `queenpost reminders` shows why"


async def test_a_holder_that_lost_its_connection_and_a_session_are_told_apart(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: it may come back."""
    office.connection_ended(bob)
    office.clock.advance(4000)
    assert (await explained(office)).facts["holder"] == "a harness, whose connection ended 4 s ago"
    office.session("carol")
    assert (await explained(office, "carol")).facts["holder"] == "a session"
    assert (await explained(office, "alice")).facts["holder"] == "nobody"


async def test_only_the_last_turns_are_told(office: FakeOffice, bob: Caller) -> None:
    """Ours: bounded, newest kept."""
    for _ in range(agent_stories.STEPS_MAX + 3):
        office.send(OWN, "bob")
        office.close(bob, office.opened(bob).id)
        office.clock.advance(1000)
    opened = [step.detail for step in (await explained(office)).history if step.event == "turn_opened"]
    assert len(opened) == agent_stories.STEPS_MAX
    assert opened[0].startswith("t4,")
    assert opened[-1].startswith(f"t{agent_stories.STEPS_MAX + 3},")
