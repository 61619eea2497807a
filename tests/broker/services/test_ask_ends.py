"""How asks end without an answer: deadlines, turns, removals, clocks; and the permission that a harness waits for."""

import pytest

from broker.services.ask_ends import PER_TRANSACTION
from broker.services.callers import Caller, Rules
from tests.broker.services.refusals import refused
from tests.fakes import asks
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.asks import PERMISSION_TTL_S, AsksWaited
from wire.errors import Closed, Denied, Invalid, Unknown
from wire.settings import AgentSettings, Limits

OWN = by_token("alice")
OF_BOB = by_token("bob")
DAY_MS = 24 * 3600 * 1000


def working(office: FakeOffice, caller: Caller) -> str:
    """Open a turn of a harness over one letter; gives its id."""
    office.send(OPERATOR_CALLER, caller.name)
    return office.opened(caller).id


def ended(waited: AsksWaited | None) -> tuple[str, str | None]:
    """Give how a wait ended: state and answer."""
    assert waited is not None
    assert waited.ask is not None
    return waited.ask.state, waited.ask.answer


# --- deadlines --------------------------------------------------------------------------------------


def test_a_deadline_closes_the_ask_and_its_waiting_mail(office: FakeOffice) -> None:
    """DESIGN 5.9, 5 Asks: expired, out of the quota, and whoever asked is told once."""
    asks.ask(office, OWN, ttl_s=60.0)
    office.pass_time(59)
    assert asks.state(office, "a1") == "open"
    office.pass_time(1)
    assert (asks.state(office, "a1"), office.state("m1", "bob")) == ("expired", "expired")
    assert "deadline" in office.delivery("m1", "bob")["reason"]
    assert office.row("SELECT inbox_messages FROM agents WHERE name = 'bob'")["inbox_messages"] == 0
    assert office.notices("alice") == [
        "bob did not answer a1 in time; it is closed. Ask again if it still matters."
    ]  # fmt: skip
    office.pass_time(3600)
    assert len(office.notices("alice")) == 1


def test_the_next_deadline_is_what_is_due_next(office: FakeOffice) -> None:
    """DESIGN 5.8: the timer is told after each commit, and no sweep is needed."""
    asks.ask(office, OWN, ttl_s=60.0)
    asks.ask(office, OWN, ttl_s=30.0)
    assert office.last.due_ms == office.clock.now_ms() + 30_000
    asks.cancel(office, OWN, "a2")
    office.pass_time(59)
    assert office.last.due_ms == office.clock.now_ms() + 1000


def test_a_deadline_that_passes_while_the_question_is_in_a_turn(office: FakeOffice, bob: Caller) -> None:
    """Issue 3: the mail stays with its turn; the answer is refused, and says that it is late."""
    asks.ask(office, OWN, ttl_s=20.0)
    turn = office.opened(bob)
    office.pass_time(20)
    assert (asks.state(office, "a1"), office.state("m1", "bob")) == ("expired", "leased")
    assert "deadline passed" in refused(office, Closed, lambda: asks.answer(office, bob, "a1")).message
    office.close(bob, turn.id)
    assert office.state("m1", "bob") == "acked"


def test_deadlines_are_acted_on_a_hundred_at_once(office: FakeOffice) -> None:
    """DESIGN 5: small transactions; the rest is due at once, and the asker gets few notices."""
    office.rules = Rules(Limits(send_burst=1000))
    for number in range(PER_TRANSACTION + 20):
        asks.ask(office, by_token(("alice", "carol", "boss")[number % 3]), "bob", ttl_s=60.0)
    office.clock.advance(60_000)
    left: list[int] = []
    for _ in range(2):
        office.due()
        left.append(office.row("SELECT count(*) AS n FROM asks WHERE state = 'open'")["n"])
        if left[-1]:
            assert office.last.due_ms is not None
            assert office.last.due_ms <= office.clock.now_ms()
    assert left == [20, 0]
    assert len(office.notices("alice")) == 1
    office.pass_time(60)
    assert "did not answer a4 in time" in office.notices("alice")[1]


def test_a_clock_that_is_set_leaves_what_is_left_of_a_deadline(office: FakeOffice) -> None:
    """Issue 3: ±90 days; an ask lives as long as it was to live."""
    asks.ask(office, OWN, ttl_s=60.0)
    for step_ms in (90 * DAY_MS, -90 * DAY_MS, -90 * DAY_MS):
        office.set_clock(step_ms)
        office.pass_time(15)
        assert asks.state(office, "a1") == "open"
    office.pass_time(15)
    assert asks.state(office, "a1") == "expired"


def test_a_clock_that_was_set_back_while_the_broker_was_away(office: FakeOffice) -> None:
    """Ours: no ask outlives the longest that there is."""
    asks.ask(office, OWN, ttl_s=60.0)
    office.clock.step_wall(-90 * DAY_MS)
    office.clock.re_anchor()
    office.restart()
    deadline_at = office.row("SELECT deadline_at FROM asks")["deadline_at"]
    assert deadline_at == office.clock.now_ms() + 30 * DAY_MS


def test_an_overdue_ask_expires_after_a_restart(office: FakeOffice) -> None:
    """[H08]: deadlines are absolute instants on disk."""
    asks.ask(office, OWN, "operator", ttl_s=60.0)
    office.clock.advance(3_600_000)
    office.restart()
    office.due()
    assert asks.state(office, "a1") == "expired"


# --- removals ---------------------------------------------------------------------------------------


def test_a_removal_ends_asks_on_both_sides_with_one_notice_for_each_other(office: FakeOffice) -> None:
    """DESIGN 5.18: what bob asked and was asked; his waiting questions are told of once, not as dead letters too."""
    asks.ask(office, OWN)
    asks.ask(office, OWN)
    asks.ask(office, OF_BOB, "carol")
    asks.ask(office, OF_BOB, "operator")
    asks.ask(office, OWN, "carol")
    office.remove("bob")
    assert [row["state"] for row in office.rows("SELECT state FROM asks ORDER BY id")] == [*["cancelled"] * 4, "open"]
    assert office.states("bob") == {"m1": "expired", "m2": "expired"}
    assert office.notices("alice") == ["bob was removed from the fleet, so nobody answers or awaits a1, a2 now."]
    assert office.notices("carol") == ["bob was removed from the fleet, so nobody answers or awaits a3 now."]
    assert office.notices("operator") == []
    assert office.state("m3", "carol") == "expired"


# --- permissions ------------------------------------------------------------------------------------


def test_a_permission_is_asked_once_and_waited_for(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5 Asks: equal ones are one ask; the answer wakes the harness, and is no mail."""
    turn = working(office, bob)
    asked = asks.permission(office, bob)
    assert asked.deadline_at_ms == office.clock.now_ms() + PERMISSION_TTL_S * 1000
    again = asks.permission(office, bob)
    assert (again.id, again.duplicate, again.deadline_at_ms) == ("a1", True, asked.deadline_at_ms)
    assert asks.permission(office, bob, "Bash: ls").id == "a2"
    waiting = asks.waiting(office, bob, "a1")
    assert waiting.waits
    told = asks.answer(office, OPERATOR_CALLER, "a1", " Always\n")
    assert ended(waiting.get()) == ("answered", "always")
    assert told.message is None
    assert office.row("SELECT turn FROM asks WHERE id = 1")["turn"] == int(turn[1:])
    assert office.row("SELECT count(*) AS n FROM messages")["n"] == 1
    assert ended(asks.waiting(office, bob, "a1").get()) == ("answered", "always")


@pytest.mark.parametrize("word", ["yes", "", "allow it", "Bash"])
def test_a_permission_is_answered_with_one_of_three_words(office: FakeOffice, bob: Caller, word: str) -> None:
    """DESIGN 5 Asks: anything else is refused, and named."""
    working(office, bob)
    asks.permission(office, bob)
    error = refused(office, Invalid, lambda: asks.answer(office, OPERATOR_CALLER, "a1", word or " "))
    assert error.message == "a permission is answered with allow, always or deny"


def test_only_a_harness_in_a_turn_asks_for_permissions(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5 Asks: no agent by its own token, no session, no operator, no harness that is idle or fenced."""
    refused(office, Closed, lambda: asks.permission(office, bob))
    session = office.session("alice")
    office.send(OF_BOB, "alice")
    office.taken(session)
    for caller in (OF_BOB, session):
        refused(office, Denied, lambda caller=caller: asks.permission(office, caller))
    refused(office, Denied, lambda: asks.permission(office, OPERATOR_CALLER, to="bob"))
    working(office, bob)
    refused(office, Invalid, lambda: asks.permission(office, bob, options=["allow"]))
    office.harness("bob", takeover=True)
    refused(office, Closed, lambda: asks.permission(office, bob))


def test_a_permission_passes_allow_list_quota_and_bucket(office: FakeOffice) -> None:
    """DESIGN 5.16: what a harness raises is always allowed; it costs no token of its agent."""
    office.add("dora", AgentSettings(allowed_recipients=[]))
    dora = office.harness("dora")
    working(office, dora)
    office.rules = Rules(Limits(inbox_messages=1, send_burst=1, disk_headroom_bytes=1000), disk_free_bytes=1)
    office.damage("UPDATE agents SET inbox_messages = 9")
    for number in range(60):
        asks.permission(office, dora, f"Bash: {number}", to="boss")
    assert len(office.states("boss")) == 60


def test_a_permission_may_be_put_to_the_manager(office: FakeOffice, bob: Caller, boss: Caller) -> None:
    """DESIGN 8: its mail says what it is; the manager's word reaches the harness."""
    working(office, bob)
    asks.permission(office, bob, to="manager")
    (mail,) = office.opened(boss).mail
    assert mail.about is not None
    assert (mail.about.ask, mail.about.ask_kind) == ("a1", "permission")
    asks.answer(office, boss, "a1", "deny")
    assert ended(asks.waiting(office, bob, "a1").get()) == ("answered", "deny")
    assert office.audited()[-1][1:] == ("permission.decided", "a1")
    row = office.row("SELECT principal, detail FROM audit ORDER BY id DESC LIMIT 1")
    assert tuple(row) == ("agent:boss", '{"agent": "bob", "answer": "deny"}')


def test_a_permission_that_nobody_answers_expires_for_who_waits(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5 Asks: deadline 15 min, then deny; no notice."""
    turn = working(office, bob)
    asks.permission(office, bob)
    waiting = asks.waiting(office, bob, "a1", wait_s=2 * PERMISSION_TTL_S)
    for _ in range(PERMISSION_TTL_S // 30):
        assert waiting.waits
        office.renew(bob, turn)
        office.pass_time(30)
    assert ended(waiting.get()) == ("expired", None)
    assert office.notices("bob") == []


@pytest.mark.parametrize("outcome", ["completed", "crashed", "interrupted"])
def test_a_permission_ends_with_its_turn(office: FakeOffice, bob: Caller, boss: Caller, outcome: str) -> None:
    """DESIGN 5 Asks: however the harness closes it; its mail to the manager goes, and an answer is too late."""
    turn = working(office, bob)
    asks.permission(office, bob)
    asks.permission(office, bob, to="boss")
    asks.ask(office, bob, "carol")
    waiting = asks.waiting(office, bob, "a1")
    office.close(bob, turn, outcome)  # pyright: ignore[reportArgumentType]  # one of the three above
    assert ended(waiting.get()) == ("cancelled", None)
    assert office.states("boss") == {"m2": "expired"}
    assert [asks.state(office, ask) for ask in ("a2", "a3")] == ["cancelled", "open"]
    refused(office, Closed, lambda: asks.answer(office, OPERATOR_CALLER, "a1", "allow"))
    assert boss.epoch == 1


def test_a_permission_ends_with_a_turn_that_the_broker_ends(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: fenced by a takeover, or given up by a detach."""
    working(office, bob)
    asks.permission(office, bob)
    later = office.harness("bob", takeover=True)
    assert asks.state(office, "a1") == "cancelled"
    office.opened(later)
    asks.permission(office, later)
    office.detach(later)
    assert asks.state(office, "a2") == "cancelled"


def test_a_permission_outlives_a_lapse_and_ends_when_the_turn_is_buried(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7: a lapsed turn may come back; once another one opens, it cannot."""
    working(office, bob)
    asks.permission(office, bob)
    office.pass_time(60)
    assert asks.state(office, "a1") == "open"
    office.resume(bob, "t1")
    assert asks.permission(office, bob).duplicate
    office.pass_time(60)
    office.opened(bob)
    assert asks.state(office, "a1") == "cancelled"


def test_a_lapsed_turn_that_a_takeover_buries_takes_its_permissions_with_it(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7."""
    working(office, bob)
    asks.permission(office, bob)
    office.pass_time(60)
    office.harness("bob", takeover=True)
    assert asks.state(office, "a1") == "cancelled"


def test_waiting_is_for_ones_own_permissions(office: FakeOffice, alice: Caller, bob: Caller) -> None:
    """DESIGN 5 Asks: what is foreign does not exist; a question comes as mail."""
    working(office, bob)
    asks.permission(office, bob, to="boss")
    asks.ask(office, bob, "carol")
    for caller, ask in ((alice, "a1"), (bob, "a9"), (by_token("boss"), "a1")):
        with pytest.raises(Unknown):
            asks.waiting(office, caller, ask).get()
    with pytest.raises(Invalid, match="comes as mail"):
        asks.waiting(office, bob, "a2").get()


def test_a_permission_outlives_a_restart_of_the_broker(office: FakeOffice, bob: Caller) -> None:
    """[Z1]: the harness takes its turn back, waits again and gets the answer."""
    turn = working(office, bob)
    asks.permission(office, bob)
    office.restart()
    office.attach(Caller("harness", "harness"), "bob", bob.instance or "")
    office.resume(bob, turn)
    assert asks.permission(office, bob).duplicate
    waiting = asks.waiting(office, bob, "a1")
    asks.answer(office, OPERATOR_CALLER, "a1", "allow")
    assert ended(waiting.get()) == ("answered", "allow")
