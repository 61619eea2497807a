"""What people and agents see of reminders: lists, counts, the story of one."""

import pytest

from broker.services import reminder_views, stories, views
from broker.services.callers import Caller
from broker.services.states import Reports
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from tests.fakes.reminding import cancel, remind, retry
from wire.errors import Denied, Unknown
from wire.finding import Explained, RemindersExplain
from wire.inbox import InboxExplain
from wire.reminders import Reminder, RemindersCounted, RemindersList, RemindersListed, RemindersStats

pytestmark = pytest.mark.anyio

OWN = by_token("alice")
DAY_S = 86_400


async def listed(office: FakeOffice, caller: Caller = OPERATOR_CALLER, **fields: object) -> RemindersListed:
    """List reminders."""
    request = RemindersList.model_validate(fields)
    async with office.reading() as reader:
        return await reminder_views.list_reminders(reader, caller, request)


async def ids(office: FakeOffice, caller: Caller = OPERATOR_CALLER, **fields: object) -> list[str]:
    """Give the ids of a listing."""
    return [one.id for one in (await listed(office, caller, **fields)).reminders]


async def counted(office: FakeOffice, caller: Caller = OPERATOR_CALLER, **fields: object) -> RemindersCounted:
    """Count what fired."""
    request = RemindersStats.model_validate(fields)
    async with office.reading() as reader:
        return await reminder_views.stats(reader, caller, request, office.clock.now_ms())


async def story(office: FakeOffice, reminder: str, caller: Caller = OPERATOR_CALLER) -> Explained:
    """Tell the story of a reminder."""
    async with office.reading() as reader:
        request = RemindersExplain(reminder=reminder)
        return await reminder_views.explain(reader, caller, request, office.clock.now_ms())


async def test_reminders_are_listed_by_their_next_firing(office: FakeOffice) -> None:
    """[H09] DESIGN 9: an agent sees its own, the operator all or one agent's; those that are over on demand."""
    remind(office, OWN, delay_s=300)
    remind(office, by_token("bob"), delay_s=200)
    remind(office, OWN, "each morning", cron="0 9 * * 1-5", zone="Europe/Berlin")
    remind(office, OWN, delay_s=0)
    remind(office, OWN, delay_s=100)
    cancel(office, OWN, "r5")
    office.due()
    assert await ids(office, OWN) == ["r1", "r3"]
    assert await ids(office, OWN, all=True) == ["r4", "r5", "r1", "r3"]
    assert await ids(office) == ["r2", "r1", "r3"]
    assert await ids(office, agent="bob") == ["r2"]
    assert (await listed(office, OWN)).reminders[1] == Reminder(
        id="r3",
        agent="alice",
        message="each morning",
        state="pending",
        next_at_ms=1_800_259_200_000,
        cron="0 9 * * 1-5",
        zone="Europe/Berlin",
        made_at_ms=office.clock.now_ms(),
    )


async def test_an_agent_sees_only_its_own(office: FakeOffice) -> None:
    """[H09] DESIGN 5: other names are denied to it, and unknown ones to the operator."""
    with pytest.raises(Denied):
        await listed(office, OWN, agent="bob")
    with pytest.raises(Denied):
        await counted(office, OWN, agent="bob")
    with pytest.raises(Unknown):
        await listed(office, agent="nobody")
    remind(office, by_token("bob"), delay_s=1)
    for reminder in ("r1", "r2", "m1"):
        with pytest.raises(Unknown, match="check the id"):
            await story(office, reminder, OWN)
        with pytest.raises(Unknown):
            await listed(office, OWN, after=reminder)


async def test_a_page_goes_on_behind_the_last_one(office: FakeOffice) -> None:
    """Ours: by number, and by the bytes that fit into a frame; equal instants are told apart by their ids."""
    for _ in range(7):
        remind(office, OPERATOR_CALLER, "x" * 20_000, delay_s=60, agent="alice")
    first = await listed(office, limit=3)
    assert ([one.id for one in first.reminders], first.more) == (["r1", "r2", "r3"], True)
    second = await listed(office, after="r3")
    assert ([one.id for one in second.reminders], second.more) == (["r4", "r5", "r6", "r7"], False)
    whole = await listed(office)
    assert ([one.id for one in whole.reminders], whole.more) == (["r1", "r2", "r3", "r4", "r5", "r6"], True)


async def test_a_damaged_row_shows_as_broken_and_hides_nothing(office: FakeOffice) -> None:
    """[P14] DESIGN 5: each row is read by itself."""
    for _ in range(3):
        remind(office, OWN, cron="* * * * *")
    office.damage("UPDATE reminders SET body = CAST(x'ff' AS TEXT), zone = CAST(x'fe' AS TEXT) WHERE id = 2")
    shown = (await listed(office)).reminders
    assert [(one.id, one.broken, one.message) for one in shown] == [
        ("r1", False, "look at the queue"),
        ("r2", True, ""),
        ("r3", False, "look at the queue"),
    ]
    assert "broken" in (await story(office, "r2")).facts["message"]


async def test_what_fired_is_counted_by_agent_and_by_attempts(office: FakeOffice) -> None:
    """[H14] Issue 3: of the last 24 hours unless told otherwise; it equals a count over the rows."""
    remind(office, OWN, cron="0 * * * *")
    remind(office, by_token("bob"), cron="0 9 * * *")
    for _ in range(30):
        office.pass_time(3600)
    office.damage("UPDATE reminders SET zone = 'Mars/Olympus' WHERE id = 1")
    office.pass_time(3600)
    office.pass_time(1)
    office.damage("UPDATE reminders SET zone = 'UTC' WHERE id = 1")
    office.pass_time(4)
    remind(office, by_token("carol"), delay_s=0)
    office.damage("UPDATE reminders SET body = 'damaged' WHERE agent = 'carol'")
    office.due()
    remind(office, OPERATOR_CALLER, delay_s=60)
    now = await counted(office)
    since = office.clock.now_ms() - DAY_S * 1000
    assert now.since_ms == since
    (row,) = office.rows("SELECT count(*) AS n FROM firings WHERE agent = 'alice' AND fired_at >= :since", since=since)
    by_agent = {one.agent: (one.delivered, one.attempts, one.failed) for one in now.agents}
    assert by_agent == {
        "alice": (row["n"], {"1": 23, "3": 1}, 0),
        "bob": (1, {"1": 1}, 0),
        "carol": (0, {}, 1),
        "operator": (0, {}, 0),
    }
    everything = await counted(office, agent="alice", since_ms=0)
    assert [(one.agent, one.delivered) for one in everything.agents] == [("alice", 31)]
    assert [one.agent for one in (await counted(office, OWN)).agents] == ["alice"]


async def test_the_story_says_why_it_has_not_fired(office: FakeOffice) -> None:
    """[P11] Issue 3: waiting for its time, due, backing off, parked, over."""
    remind(office, OWN, cron="0 9 * * *", zone="Europe/Berlin")
    told = await story(office, "r1", OWN)
    assert (told.noun, told.state, told.waits_for) == ("reminder", "pending", "its time, 2027-01-16T08:00:00Z")
    assert told.facts["when"] == "cron 0 9 * * * in Europe/Berlin"
    office.clock.advance(3 * DAY_S * 1000)
    assert (await story(office, "r1")).waits_for == "the timekeeper: it is due since 2027-01-16T08:00:00Z"
    office.due()
    (made, fired) = (await story(office, "r1")).history
    assert (made.event, made.detail) == ("set", "by alice")
    assert (fired.event, fired.detail) == ("fired", "m1 for 2027-01-18T08:00:00Z, 2 earlier ones missed")
    office.damage("UPDATE reminders SET zone = 'Mars/Olympus'")
    office.pass_time(DAY_S)
    waits = (await story(office, "r1")).waits_for
    assert waits is not None
    assert waits.startswith("the next attempt at 2027-01-19T08:00:01Z: 1 failed (there is no zone 'Mars/Olympus'")
    for seconds in (1, 4, 16, 64):
        office.pass_time(seconds)
    told = await story(office, "r1")
    assert told.state == "parked"
    assert "--retry r1" in (told.waits_for or "")
    retry(office, OPERATOR_CALLER, "r1")
    cancel(office, OPERATOR_CALLER, "r1")
    told = await story(office, "r1")
    assert (told.state, told.waits_for) == ("cancelled", None)
    assert [(step.event, step.detail) for step in told.history][2:] == [
        ("retried", "by operator"),
        ("cancelled", "cancelled by operator"),
    ]


async def test_the_mail_of_a_reminder_can_be_explained(office: FakeOffice) -> None:
    """[P11] DESIGN 10: like any other mail."""
    remind(office, OWN, delay_s=0)
    office.due()
    async with office.reading() as reader:
        told = await stories.explain(reader, OWN, InboxExplain(message="m1"), office.clock.now_ms(), Reports())
    assert (told.sender, told.kind, told.deliveries[0].state) == ("reminder", "reminder", "queued")


async def test_waiting_reminders_are_counted_where_agents_are_shown(office: FakeOffice) -> None:
    """[P13] DESIGN 9: in whoami and in the listing of the fleet; parked ones too."""
    for _ in range(3):
        remind(office, OWN, delay_s=60)
    cancel(office, OWN, "r1")
    office.damage("UPDATE reminders SET state = 'parked', due_at = NULL WHERE id = 2")
    async with office.reading() as reader:
        who = await views.whoami(reader, Reports(), OWN, "demo", office.clock.now_ms())
        fleet = await views.list_agents(reader, Reports(), removed=False)
    assert who.reminders == 2
    assert {one.name: one.reminders for one in fleet.agents} == {"alice": 2, "bob": 0, "boss": 0, "carol": 0}
