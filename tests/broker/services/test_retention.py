"""Retention: what ended long ago goes, what waits never does, and the account still adds up."""

import pytest

from broker.services import retention, statistics, views
from broker.services.callers import Caller
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.settings import RetentionSettings, Settings

DAY_S = 24 * 3600


def sweep(office: FakeOffice, **days: float) -> int:
    """Run every step to its end; gives how many commands it took."""
    settings = RetentionSettings(**days)
    commands = 0
    for step in retention.steps(settings):
        commands += 1
        while office.do(step):
            commands += 1
    return commands


def days(office: FakeOffice, number: float) -> None:
    """Let days pass."""
    office.clock.advance(int(number * DAY_S * 1000))


def handled(office: FakeOffice, agent: Caller) -> str:
    """Let a message be handled."""
    sent = office.send(OPERATOR_CALLER, agent.name)
    office.close(agent, office.opened(agent).id)
    return sent.id


def killed(office: FakeOffice, agent: Caller) -> str:
    """Let a message die of five failures."""
    sent = office.send(by_token("alice"), agent.name)
    for _ in range(5):
        office.close(agent, office.opened(agent).id, "crashed")
        office.pass_time(700)
    assert office.state(sent.id, agent.name) == "dead"
    return sent.id


def there(office: FakeOffice, message: str) -> bool:
    """Say whether a message is still stored."""
    return bool(office.rows("SELECT 1 FROM messages WHERE id = :id", id=int(message[1:])))


async def account(office: FakeOffice) -> dict[str, int]:
    """Give the account of `status`."""
    async with office.reading() as reader:
        return (await views.account(reader))[0].model_dump()


def integrity(office: FakeOffice) -> list[str]:
    """What SQLite finds wrong."""
    found = [str(tuple(row)) for row in office.rows("PRAGMA foreign_key_check")]
    return found + [row[0] for row in office.rows("PRAGMA integrity_check") if row[0] != "ok"]


def test_handled_mail_goes_after_30_days(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.19: not a day before; its lease and its message go with it."""
    message = handled(office, bob)
    days(office, 29)
    sweep(office)
    assert there(office, message)
    days(office, 2)
    sweep(office)
    assert not there(office, message)
    assert office.rows("SELECT 1 FROM deliveries UNION ALL SELECT 1 FROM leases") == []
    assert integrity(office) == []


def test_the_boundary_is_the_millisecond(office: FakeOffice, bob: Caller) -> None:
    """Ours: older than 30 days, not as old."""
    message = handled(office, bob)
    days(office, 30)
    sweep(office)
    assert there(office, message)
    office.clock.advance(1)
    sweep(office)
    assert not there(office, message)


def test_dead_mail_has_its_own_time(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.19: `dead_days`, whatever `handled_days` says."""
    dead = killed(office, bob)
    message = handled(office, bob)
    days(office, 31)
    sweep(office, dead_days=90)
    assert there(office, dead)
    assert not there(office, message)
    days(office, 60)
    sweep(office, dead_days=90)
    assert not there(office, dead)


def test_what_has_not_ended_is_never_deleted(office: FakeOffice, alice: Caller, bob: Caller) -> None:
    """[Z1] Invariant 16: ready, leased, held, backing off, and unread mail of the operator; a thousand days on."""
    ready = office.send(OPERATOR_CALLER, "carol").id
    leased = office.send(OPERATOR_CALLER, "alice").id
    turn = office.opened(alice)
    held = office.send(OPERATOR_CALLER, "bob").id
    for _ in range(20):
        office.opened(bob)
        office.restart()
        bob = office.harness("bob", takeover=True)
    unread = office.send(alice, "operator").id
    assert (office.state(held, "bob"), office.state(leased, "alice")) == ("held", "leased")
    days(office, 1000)
    sweep(office, handled_days=7, dead_days=7, statistics_days=1)
    assert all(there(office, message) for message in (ready, leased, held, unread))
    assert office.close(alice, turn.id).acked == [leased]


def test_a_broadcast_stays_until_its_last_copy_ended(office: FakeOffice, alice: Caller, bob: Caller) -> None:
    """DESIGN 5.19: messages without deliveries left."""
    sent = office.send(by_token("boss"), "*").id
    for agent in (alice, bob):
        office.close(agent, office.opened(agent).id)
    days(office, 31)
    sweep(office)
    assert there(office, sent)
    assert office.states("alice") == office.states("bob") == {}
    assert office.states("carol") == {sent: "ready"}


async def test_the_account_still_adds_up(office: FakeOffice, alice: Caller, bob: Caller) -> None:
    """Invariant 17: handled, redelivered, dead and mailbox count what was deleted."""
    killed(office, bob)
    handled(office, bob)
    office.send(OPERATOR_CALLER, "bob")
    office.close(bob, office.opened(bob).id, "interrupted")
    office.close(bob, office.opened(bob).id)
    office.send(alice, "operator")
    office.ack(everything=True)
    office.send(alice, "operator")
    office.send(OPERATOR_CALLER, "carol")
    before = await account(office)
    days(office, 31)
    sweep(office)
    assert await account(office) == before
    assert before["lost"] == 0
    assert (before["handled"], before["redelivered"], before["dead"]) == (2, 5, 1)
    assert office.row("SELECT count(*) AS n FROM deliveries WHERE state = 'acked'")["n"] == 0


def test_what_answered_a_deleted_message_points_nowhere(office: FakeOffice, bob: Caller) -> None:
    """Ours: it is still there and handed over; a reply to it that comes now gets a warning, not an error."""
    sent = office.send(by_token("alice"), "bob").id
    turn = office.opened(bob)
    answer = office.send(bob, "alice", in_reply_to=sent).id
    office.close(bob, turn.id)
    days(office, 31)
    sweep(office)
    assert not there(office, sent)
    (mail,) = office.opened(office.harness("alice")).mail
    assert (mail.id, mail.in_reply_to) == (answer, sent)
    assert office.send(by_token("bob"), "alice", in_reply_to=sent).warnings


def test_a_message_that_an_open_ask_names_stays(office: FakeOffice, bob: Caller) -> None:
    """Ours: until the ask is over, and as long as its own time behind that."""
    message = handled(office, bob)
    office.damage(
        "INSERT INTO asks (kind, asker, target, question, question_sha256, message, asked_at, deadline_at) "
        "VALUES ('question', 'alice', 'bob', 'why?', zeroblob(32), :message, :now, :now)",
        message=int(message[1:]),
        now=office.clock.now_ms(),
    )
    days(office, 31)
    sweep(office)
    assert there(office, message)
    office.damage("UPDATE asks SET state = 'expired', ended_at = :now", now=office.clock.now_ms())
    days(office, 29)
    sweep(office)
    assert there(office, message)
    days(office, 2)
    sweep(office)
    assert not there(office, message)
    assert office.rows("SELECT 1 FROM asks") == []


def test_open_asks_and_pending_reminders_stay(office: FakeOffice) -> None:
    """Ours: what ended is gone after its time, what fired after the statistics'."""
    now_ms = office.clock.now_ms()
    for state, ended in (("pending", None), ("done", now_ms), ("cancelled", now_ms), ("parked", None)):
        office.damage(
            "INSERT INTO reminders (agent, body, body_sha256, elapsed, state, nominal_at, due_at, made_by, made_at, "
            "ended_at) VALUES ('bob', 'x', zeroblob(32), 0, :state, :now, :due, 'bob', :now, :ended)",
            state=state,
            now=now_ms,
            due=now_ms if state == "pending" else None,
            ended=ended,
        )
    office.damage(
        "INSERT INTO firings (reminder, nominal_at, agent, message, fired_at) VALUES (2, :now, 'bob', 1, :now)",
        now=now_ms,
    )
    days(office, 31)
    sweep(office)
    assert [row["state"] for row in office.rows("SELECT state FROM reminders ORDER BY id")] == ["pending", "parked"]
    assert len(office.rows("SELECT 1 FROM firings")) == 1
    days(office, 60)
    sweep(office)
    assert office.rows("SELECT 1 FROM firings") == []


def test_turns_are_kept_for_90_days(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.19: 89, then 91; the newest of each agent stays, as its last turn."""
    for _ in range(3):
        handled(office, bob)
    office.do(statistics.harvest)
    days(office, 89)
    sweep(office)
    assert len(office.rows("SELECT 1 FROM turns")) == 3
    days(office, 2)
    sweep(office)
    assert [row["id"] for row in office.rows("SELECT id FROM turns")] == [3]
    assert integrity(office) == []


def test_a_turn_whose_mail_still_waits_is_kept(office: FakeOffice, bob: Caller) -> None:
    """Ours: the story of the mail names it."""
    office.send(OPERATOR_CALLER, "bob")
    office.close(bob, office.opened(bob).id, "interrupted")
    office.opened(bob)
    days(office, 91)
    sweep(office)
    assert len(office.rows("SELECT 1 FROM turns")) == 2


def test_counts_of_storms_and_notices_go_when_nobody_looks_at_them(office: FakeOffice) -> None:
    """Ours: flows after 24 h, what merged notices after their minute, unless something waits."""
    now_ms = office.clock.now_ms()
    office.damage("INSERT INTO flows (sender, recipient, at, n) VALUES ('alice', 'bob', :now, 3)", now=now_ms)
    for cause, due in (("over", None), ("waits", now_ms)):
        office.damage(
            "INSERT INTO merged_notices (recipient, cause, told_at, due_at) VALUES ('bob', :cause, :now, :due)",
            cause=cause,
            now=now_ms,
            due=due,
        )
    office.clock.advance(DAY_S * 1000)
    sweep(office)
    assert len(office.rows("SELECT 1 FROM flows")) == 1
    assert [row["cause"] for row in office.rows("SELECT cause FROM merged_notices")] == ["waits"]
    office.clock.advance(1)
    sweep(office)
    assert office.rows("SELECT 1 FROM flows") == []


def test_the_audit_trail_is_kept(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.19."""
    handled(office, bob)
    office.pause("bob")
    before = office.audited()
    days(office, 36_500)
    sweep(office)
    assert office.audited() == before


@pytest.mark.parametrize("damaged", [False, True])
def test_a_deleted_message_is_not_found_any_more(office: FakeOffice, bob: Caller, damaged: bool) -> None:
    """Ours: the index of the search stays whole; a body that was damaged since leaves only words behind."""
    first, second = handled(office, bob), handled(office, bob)
    office.damage("INSERT INTO message_search (rowid, body) SELECT id, body FROM messages WHERE id <= :last", last=1)
    office.damage("UPDATE fleet SET indexed_to = 1")
    if damaged:
        office.damage("UPDATE messages SET body = CAST(x'ff' AS TEXT)")
    days(office, 31)
    sweep(office)
    assert not there(office, first)
    assert not there(office, second)
    hits = office.rows("SELECT s.rowid FROM message_search s WHERE message_search MATCH 'hello'")
    assert len(hits) == int(damaged)
    office.damage("INSERT INTO message_search (message_search, rank) VALUES ('integrity-check', 0)")


def test_it_goes_in_small_commands(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.19: at most about 500 rows in a transaction; nothing is left behind."""
    for _ in range(15):
        for _ in range(32):
            office.send(OPERATOR_CALLER, "bob")
        office.close(bob, office.opened(bob).id)
    days(office, 31)
    changed: list[int] = []
    step = retention.steps(RetentionSettings())[0]
    more = True
    while more:
        before = office.database.connection.total_changes
        more = office.do(step)
        changed.append(office.database.connection.total_changes - before)
    assert office.rows("SELECT 1 FROM messages") == []
    assert max(changed) <= 3 * retention.DELIVERIES + 1
    assert len(changed) == 3


def test_nothing_to_forget_writes_nothing(office: FakeOffice, bob: Caller) -> None:
    """Ours: an hour's sweep of a young fleet costs a look."""
    handled(office, bob)
    before = office.contents()
    sweep(office)
    assert office.contents() == before


def test_ids_are_never_used_again(office: FakeOffice, bob: Caller) -> None:
    """Ours: m1 of today is not the m1 of last year."""
    handled(office, bob)
    days(office, 31)
    sweep(office)
    assert handled(office, bob) == "m2"


def test_a_key_outlives_a_week(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.1: as long as its message, and at least 7 days."""
    sent = office.send(by_token("alice"), "bob", key="k")
    office.close(bob, office.opened(bob).id)
    days(office, 7)
    sweep(office, handled_days=7)
    assert office.send(by_token("alice"), "bob", key="k").id == sent.id
    with pytest.raises(ValueError, match="greater than or equal to 7"):
        RetentionSettings(handled_days=6.9)


def test_the_settings_are_applied_with_the_file(office: FakeOffice) -> None:
    """DESIGN 10: told as a change, once."""
    settings = Settings(retention=RetentionSettings(handled_days=8))
    assert [(change.subject, change.detail) for change in office.apply(settings)] == [("retention", "handled_days")]
    assert office.apply(settings) == []
    assert office.do(retention.applied).handled_days == 8
    assert [change.subject for change in office.apply(Settings())] == ["retention"]
    assert office.do(retention.applied) == RetentionSettings()


def test_a_sweep_comes_once_an_hour_and_in_portions() -> None:
    """Ours: what is due must not wait for a year of old mail; a clock that was set back stops no sweep."""
    sweeping = retention.Sweep(begins_at_ms=60_000)
    settings = RetentionSettings()
    assert sweeping.step(59_999, settings) is None
    taken = 0
    while (step := sweeping.step(60_000, settings)) is not None:
        for _ in range(2):
            sweeping.done(step)
        taken += 1
    assert taken == len(retention.steps(settings))
    assert sweeping.step(60_000 + retention.EVERY_MS - 1, settings) is None
    assert sweeping.step(60_000 + retention.EVERY_MS, settings) is not None
    again = retention.Sweep(begins_at_ms=10**12)
    assert again.step(0, settings) is None
    assert again.step(retention.EVERY_MS, settings) is not None


def test_a_close_that_is_repeated_behind_it_is_harmless(office: FakeOffice, bob: Caller) -> None:
    """Ours: a harness that hung for a month."""
    office.send(OPERATOR_CALLER, "bob")
    turn = office.opened(bob)
    office.close(bob, turn.id)
    days(office, 31)
    sweep(office)
    assert office.close(bob, turn.id).acked == []


def test_retention_that_was_damaged_deletes_nothing(office: FakeOffice, bob: Caller) -> None:
    """Ours: a longer time than the default may have stood there; applied again, it holds again."""
    message = handled(office, bob)
    office.damage("UPDATE fleet SET retention = '{'")
    days(office, 3000)
    settings = office.do(retention.applied)
    for step in retention.steps(settings):
        office.do(step)
    assert there(office, message)
    (change,) = office.apply(Settings())
    assert (change.subject, change.detail) == ("retention", "what was stored was broken")
    assert office.do(retention.applied) == RetentionSettings()
