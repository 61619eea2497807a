"""What the broker did, in numbers that the rows bear out."""

from broker.services import figures
from broker.services.callers import Caller
from tests.fakes import jobs
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token

OWN = by_token("alice")


async def counted(office: FakeOffice, figure: str, **params: int) -> dict[str, int]:
    """Count one figure."""
    async with office.reading() as reader:
        return await figures.counts(reader, figure, **params)


async def test_messages_by_kind_and_deliveries_by_state(office: FakeOffice, bob: Caller) -> None:
    """Issue 3.5: messages since an instant, deliveries all there are."""
    office.send(OWN, "bob")
    office.clock.advance(1000)
    since = office.clock.now_ms()
    office.send(OWN, "*")
    office.send(OPERATOR_CALLER, "carol")
    office.opened(bob)
    assert await counted(office, "messages", since=since) == {"operator": 1, "peer": 1}
    assert await counted(office, "messages", since=0) == {"operator": 1, "peer": 2}
    assert await counted(office, "deliveries") == {"leased": 2, "ready": 3}


async def test_turns_by_outcome_and_how_long_they_took(office: FakeOffice, bob: Caller) -> None:
    """Issue 3.5: the middle one, and the one that 95 of 100 do not exceed."""
    async with office.reading() as reader:
        assert await figures.turn_lengths(reader, 0) == (None, None)
    for seconds in range(1, 21):
        office.send(OWN, "bob")
        turn = office.opened(bob)
        office.clock.advance(seconds * 1000)
        office.close(bob, turn.id, "interrupted" if seconds == 20 else "completed")
    assert await counted(office, "turns", since=0) == {"completed": 19, "interrupted": 1}
    async with office.reading() as reader:
        assert await figures.turn_lengths(reader, 0) == (10_000, 19_000)
        assert await figures.turn_lengths(reader, office.clock.now_ms()) == (20_000, 20_000)


async def test_jobs_and_their_events(office: FakeOffice) -> None:
    """Issue 5: ended jobs since then, open ones always; events by what was made of them, refusals by the newest."""
    jobs.register(office)
    ended, running = jobs.publisher(office), jobs.publisher(office)
    jobs.heard(office, running.claimed.topic, b"{}")
    running.say("started")
    for event in ("completed", "progress"):
        ended.say(event)
    everything = {"accepted": 2, "late": 1, "refused": 1}
    assert await counted(office, "events", since=0) == everything
    assert await counted(office, "jobs", since=0) == {"completed": 1, "pending": 1, "running": 1}
    office.clock.advance(1000)
    since = office.clock.now_ms()
    running.say("progress")
    assert await counted(office, "events", since=since) == {"accepted": 1}
    assert await counted(office, "jobs", since=since) == {"pending": 1, "running": 1}


async def test_asks_and_reminders(office: FakeOffice) -> None:
    """[H14] Issue 3.5: ended asks since then, open ones always; firings since then."""
    office.damage(
        "INSERT INTO asks (kind, asker, target, question, question_sha256, state, asked_at, deadline_at, ended_at) "
        "VALUES ('question', 'bob', 'alice', 'q', zeroblob(32), 'open', 1, 1, NULL), "
        "('question', 'bob', 'alice', 'q', zeroblob(32), 'expired', 1, 1, 50), "
        "('question', 'bob', 'alice', 'q', zeroblob(32), 'cancelled', 1, 1, 20)"
    )
    office.damage(
        "INSERT INTO firings (reminder, nominal_at, agent, message, fired_at) "
        "VALUES (1, 1, 'bob', 1, 20), (2, 1, 'bob', 2, 50)"
    )
    assert await counted(office, "asks", since=30) == {"expired": 1, "open": 1}
    assert await counted(office, "asks", since=0) == {"cancelled": 1, "expired": 1, "open": 1}
    async with office.reading() as reader:
        assert [await figures.firings(reader, since) for since in (0, 30, 60)] == [2, 1, 0]


def test_a_probe_wakes_who_waits_for_it_and_leaves_no_mail(office: FakeOffice) -> None:
    """[P02] Issue 3.5: a waiter sees only what is written after it began."""
    before = office.rows("SELECT * FROM sqlite_sequence")
    office.do(figures.write_probe)
    number = office.do(figures.last_probe)
    assert office.do(lambda tx: figures.probe_after(tx, number)) is None
    office.do(figures.write_probe)
    assert office.do(lambda tx: figures.probe_after(tx, number)) == number + 1
    assert office.last.effects.woken == set()
    assert figures.PROBER in office.effects.woken
    assert office.rows("SELECT * FROM sqlite_sequence") == before
