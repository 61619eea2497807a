"""Opening turns and taking more mail into them: the only way in which mail is leased."""

import pytest

from broker.services.callers import Caller
from tests.broker.services.refusals import refused
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.errors import Closed, Conflict, Unknown
from wire.escaping import rendered_bytes
from wire.ids import turn_number
from wire.settings import AgentSettings
from wire.turns import BATCH_BYTES, BATCH_MESSAGES, LEASE_MS, TURN_BYTES, TURN_MESSAGES

OWN = by_token("alice")


def mail_to(office: FakeOffice, name: str, count: int, body: str = "hello", sender: str = "alice") -> list[str]:
    """Send so many messages; gives their ids."""
    calls = [office.send.call(by_token(sender), name, body) for _ in range(count)]
    office.commit(*calls)
    return [call.get().id for call in calls]


def body_of(size: int) -> str:
    """Make a body that takes so many bytes when it is rendered."""
    return "x" * (size - rendered_bytes(""))


# --- open -------------------------------------------------------------------------------------------


def test_a_turn_opens_over_the_mail_that_is_there(office: FakeOffice, bob: Caller) -> None:
    """[H01] DESIGN 5.2: oldest first, leased for 60 s, with what a recipient has to know."""
    first, second = mail_to(office, "bob", 2)
    turn = office.opened(bob)
    assert (turn.id, turn.lease_ms, turn.carried) == ("t1", LEASE_MS, False)
    assert [(mail.id, mail.attempt, mail.sender, mail.kind) for mail in turn.mail] == [
        (first, 1, "alice", "peer"),
        (second, 1, "alice", "peer"),
    ]
    row = office.row("SELECT * FROM turns")
    assert (row["state"], row["epoch"], row["attended"]) == ("open", bob.epoch, 0)
    assert row["lease_until"] == office.clock.now_ms() + LEASE_MS
    leases = office.rows("SELECT turn, delivery, attempt FROM leases ORDER BY delivery")
    assert [tuple(lease) for lease in leases] == [(1, 1, 1), (1, 2, 1)]


def test_an_open_that_finds_nothing_writes_nothing(office: FakeOffice, bob: Caller) -> None:
    """[Z2] DESIGN 5.2: an idle fleet costs no disk."""
    before, changes = office.contents(), office.database.connection.total_changes
    assert office.open(bob) is None
    assert office.contents() == before
    assert office.database.connection.total_changes == changes


def test_a_parked_open_returns_in_the_commit_of_the_send(office: FakeOffice, bob: Caller) -> None:
    """[H02] [P02] DESIGN 5.2: the writer runs it again in the same batch, after the sends."""
    waiting = office.park_open(bob)
    assert waiting.waits
    office.send(OWN, "bob")
    result = waiting.get()
    assert result is not None
    assert result.turn is not None
    assert [mail.id for mail in result.turn.mail] == ["m1"]
    assert office.state("m1", "bob") == "leased"


def test_one_burst_is_one_turn(office: FakeOffice, bob: Caller) -> None:
    """[P04] [Z2] DESIGN 5.2: sends that share a commit share the turn that they wake."""
    waiting = office.park_open(bob)
    mail_to(office, "bob", 5)
    result = waiting.get()
    assert result is not None
    assert result.turn is not None
    assert len(result.turn.mail) == 5


def test_a_send_and_the_open_parked_with_it_share_a_commit(office: FakeOffice, bob: Caller) -> None:
    """[H02] DESIGN 5.2: no wake-up is lost between looking and waiting."""
    opening = office.open.call(bob).parked("bob", 180)
    office.commit(opening, office.send.call(OWN, "bob"))
    assert not opening.waits
    assert office.state("m1", "bob") == "leased"


def test_a_parked_open_ends_without_mail_when_its_time_is_up(office: FakeOffice, bob: Caller) -> None:
    """[H02] DESIGN 5.2: at its deadline and not before, with nothing."""
    waiting = office.park_open(bob, wait_s=30)
    office.pass_time(29.999)
    assert waiting.waits
    office.pass_time(0.001)
    assert waiting.get() is None


def test_a_withdrawn_open_leases_nothing(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 4, 5.3: a caller that has gone gets no mail."""
    waiting = office.park_open(bob)
    waiting.withdraw()
    assert waiting.get() is None
    office.send(OWN, "bob")
    assert office.state("m1", "bob") == "ready"


def test_an_open_under_the_same_epoch_gives_the_open_turn_again(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 4: a retry after a lost answer gets the same turn and mail, and a fresh lease."""
    mail_to(office, "bob", 2)
    first = office.opened(bob)
    office.clock.advance(30_000)
    office.send(OWN, "bob", "later")
    again = office.opened(bob)
    assert (again.id, again.mail) == (first.id, first.mail)
    assert again.waiting == 1
    assert office.row("SELECT lease_until FROM turns")["lease_until"] == office.clock.now_ms() + LEASE_MS


def test_a_batch_is_32_messages_by_default(office: FakeOffice, bob: Caller) -> None:
    """[H04] DESIGN 5.2: and the rest is counted in the same transaction."""
    ids = mail_to(office, "bob", 40)
    turn = office.opened(bob)
    assert [mail.id for mail in turn.mail] == ids[:BATCH_MESSAGES]
    assert turn.waiting == 40 - BATCH_MESSAGES


def test_batch_max_1_gives_one_message_per_wake(office: FakeOffice) -> None:
    """DESIGN 5.2: for agents whose turns have to be about one thing."""
    office.add("dora", AgentSettings(batch_max=1))
    ids = mail_to(office, "dora", 3)
    dora = office.harness("dora")
    for index, message in enumerate(ids):
        turn = office.opened(dora)
        assert ([mail.id for mail in turn.mail], turn.waiting) == ([message], 2 - index)
        office.close(dora, turn.id)


def test_a_batch_is_24_kib_rendered(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.2: to the byte, with frames."""
    mail_to(office, "bob", 5, body_of(BATCH_BYTES // 4))
    turn = office.opened(bob)
    assert (len(turn.mail), turn.waiting) == (4, 1)


def test_a_batch_holds_one_message_whatever_its_size(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.2: at least one, else a long message would block its inbox for ever."""
    body = "\u202e" * 7000
    assert rendered_bytes(body) > BATCH_BYTES
    office.send(OWN, "bob", body)
    office.send(OWN, "bob", "short")
    turn = office.opened(bob)
    assert ([mail.body for mail in turn.mail], turn.waiting) == ([body], 1)


def test_a_paused_agent_opens_no_turn_until_the_pause_ends(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.18: mail collects; the end of the pause is a wake."""
    office.pause("bob")
    waiting = office.park_open(bob)
    office.send(OWN, "bob")
    assert waiting.waits
    office.resume_agent("bob")
    assert not waiting.waits


def test_an_attended_session_opens_no_turn(office: FakeOffice) -> None:
    """DESIGN 5.4: it takes; only a harness opens."""
    session = office.session("bob")
    office.send(OWN, "bob")
    refused(office, Conflict, lambda: office.open(session))


def test_a_turn_that_opens_counts_what_waits_without_damaged_mail(office: FakeOffice, bob: Caller) -> None:
    """[H03] DESIGN 5.2: the count is what a later turn will find."""
    mail_to(office, "bob", 3)
    office.damage("UPDATE messages SET body = 'other' WHERE id = 1")
    office.damage("UPDATE agents SET settings = '{\"batch_max\": 1}' WHERE name = 'bob'")
    turn = office.opened(bob)
    assert ([mail.id for mail in turn.mail], turn.waiting) == (["m2"], 1)


def test_the_count_of_what_waits_leaves_out_what_backs_off(office: FakeOffice, bob: Caller) -> None:
    """[H03] DESIGN 5.2: opened, opened again and taken, the same figure: mail that is ready now."""
    mail_to(office, "bob", 2, sender="carol")
    office.close(bob, office.opened(bob).id, "crashed")
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    assert (len(turn.mail), turn.waiting) == (1, 0)
    assert office.opened(bob).waiting == 0
    office.send(OWN, "bob")
    assert office.opened(bob).waiting == 1


# --- take -------------------------------------------------------------------------------------------


def test_a_take_leases_into_the_open_turn(office: FakeOffice, bob: Caller) -> None:
    """[H04] DESIGN 5.3: one message by default, up to 32 when asked, oldest first, with the count left."""
    first = mail_to(office, "bob", 1)
    turn = office.opened(bob)
    more = mail_to(office, "bob", 40)
    taken = office.taken(bob, turn.id)
    assert ([mail.id for mail in taken.mail], taken.turn, taken.waiting) == (more[:1], turn.id, 39)
    taken = office.taken(bob, turn.id, 32)
    assert ([mail.id for mail in taken.mail], taken.waiting) == (more[1:33], 7)
    assert office.close(bob, turn.id).acked == [*first, *more[:33]]


def test_a_take_prolongs_the_lease(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.6: whoever takes is alive."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    mail_to(office, "bob", 1)
    office.clock.advance(59_000)
    office.taken(bob, turn.id)
    office.pass_time(59)
    assert office.row("SELECT state FROM turns")["state"] == "open"


def test_a_parked_take_returns_in_the_commit_of_the_send(office: FakeOffice, bob: Caller) -> None:
    """[H02] DESIGN 5.3: recv with a wait, in a harness turn."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    waiting = office.park_take(bob, turn.id)
    assert waiting.waits
    office.send(OWN, "bob")
    result = waiting.get()
    assert result is not None
    assert [mail.id for mail in result.mail] == ["m2"]


def test_a_turn_takes_64_messages_and_then_has_to_end(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.3: "nothing more in this turn; end it", also for a take that was ready to wait."""
    mail_to(office, "bob", 70)
    turn = office.opened(bob)
    assert len(office.taken(bob, turn.id, 20).mail) == 20
    assert len(office.taken(bob, turn.id, 32).mail) == TURN_MESSAGES - 52
    waiting = office.park_take(bob, turn.id)
    result = waiting.get()
    assert result is not None
    assert (result.mail, result.exhausted, result.waiting) == ([], True, 70 - TURN_MESSAGES)


def test_a_turn_takes_64_kib_and_then_has_to_end(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.3: bytes count as they are rendered; what does not fit waits for the next turn."""
    mail_to(office, "bob", 9, body_of(8 * 1024))
    turn = office.opened(bob)
    assert len(turn.mail) == 3
    taken = [len(office.taken(bob, turn.id, 32).mail) for _ in range(2)]
    assert taken == [3, 2]
    assert office.row("SELECT bytes FROM turns")["bytes"] == TURN_BYTES
    assert office.taken(bob, turn.id).exhausted


def test_mail_that_does_not_fit_any_more_ends_the_turn_instead_of_a_wait(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.3: waiting inside of a turn for mail that is there would be in vain."""
    mail_to(office, "bob", 5, body_of(12 * 1024))
    mail_to(office, "bob", 1, body_of(12 * 1024))
    turn = office.opened(bob)
    office.taken(bob, turn.id, 32)
    office.taken(bob, turn.id, 1)
    waiting = office.park_take(bob, turn.id)
    result = waiting.get()
    assert result is not None
    assert (result.exhausted, result.waiting) == (True, 1)


def test_room_that_was_given_back_can_be_used_again(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.3: the budget is over what the turn holds or has handled."""
    mail_to(office, "bob", 64)
    turn = office.opened(bob)
    last = office.taken(bob, turn.id, 32).mail[-1].id
    assert office.taken(bob, turn.id).exhausted
    office.give_back(bob, turn.id, last)
    assert [mail.id for mail in office.taken(bob, turn.id).mail] == [last]


@pytest.mark.parametrize("turn", [None, "t1", "t2", "t99"])
def test_a_take_needs_the_open_turn(office: FakeOffice, bob: Caller, turn: str | None) -> None:
    """DESIGN 5.3: a tool call belongs to the turn that was open when it arrived."""
    mail_to(office, "bob", 1)
    office.close(bob, office.opened(bob).id)
    mail_to(office, "bob", 1)
    refused(office, Closed, lambda: office.take(bob, turn))


@pytest.mark.parametrize("turn", ["m1", "x", "t0", "1"])
def test_a_take_into_something_that_is_no_turn_is_refused(office: FakeOffice, bob: Caller, turn: str) -> None:
    """Ours: `unknown`, as for every malformed id."""
    mail_to(office, "bob", 1)
    office.opened(bob)
    refused(office, Unknown, lambda: office.take(bob, turn))


def test_closing_a_turn_ends_its_parked_take(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.3: closing a turn cancels its parked recv; it leases nothing into a later turn."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    waiting = office.park_take(bob, turn.id)
    office.close(bob, turn.id)
    with pytest.raises(Closed):
        waiting.get()


def test_a_take_in_a_carried_turn_adds_to_it(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.5: a carried turn is a turn like any other."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    carried = office.close(bob, turn.id, carry=["m1"]).next
    assert carried is not None
    mail_to(office, "bob", 1)
    assert [mail.id for mail in office.taken(bob, carried.id).mail] == ["m2"]
    assert turn_number(carried.id) == 2


def test_operator_mail_that_comes_during_a_turn_is_taken_first(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8: system and operator kind first, then by place."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    mail_to(office, "bob", 2)
    urgent = office.send(OPERATOR_CALLER, "bob").id
    assert [mail.id for mail in office.taken(bob, turn.id, 2).mail] == [urgent, "m2"]


# --- take, again ------------------------------------------------------------------------------------


def test_a_repeated_take_finds_its_mail_again(office: FakeOffice, bob: Caller) -> None:
    """[P01] DESIGN 4, 5.3: its first answer was lost with the link; else nobody would ever have seen that mail."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    mail_to(office, "bob", 4)
    first = office.take(bob, turn.id, 2, "call-1")
    other = office.take(bob, turn.id, 1, "call-2")
    before = office.contents()
    again = office.take(bob, turn.id, 2, "call-1")
    assert first is not None
    assert other is not None
    assert again is not None
    assert [mail.id for mail in first.mail] == ["m2", "m3"]
    assert [mail.id for mail in other.mail] == ["m4"]
    assert (again.turn, again.mail, again.waiting) == (turn.id, first.mail, 1)
    assert office.contents() == before


def test_a_repeated_take_of_a_session_opens_no_second_turn(office: FakeOffice) -> None:
    """DESIGN 4, 5.4: the same for the first taking recv, which opened the turn."""
    mail_to(office, "bob", 2)
    session = office.session("bob")
    first = office.take(session, None, 1, "call-1")
    assert office.take(session, None, 1, "call-1") == first
    assert office.states("bob") == {"m1": "leased", "m2": "ready"}


def test_a_take_that_was_given_back_takes_anew(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.3: what left the turn is not of that call any more."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    mail_to(office, "bob", 1)
    office.take(bob, turn.id, 1, "call-1")
    office.give_back(bob, turn.id, "m2")
    again = office.take(bob, turn.id, 1, "call-1")
    assert again is not None
    assert [(mail.id, mail.attempt) for mail in again.mail] == [("m2", 2)]


def test_a_repeated_take_does_not_outlive_its_turn(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.3: the mail is settled with the turn."""
    mail_to(office, "bob", 1)
    turn = office.opened(bob)
    mail_to(office, "bob", 1)
    office.take(bob, turn.id, 1, "call-1")
    office.close(bob, turn.id)
    refused(office, Closed, lambda: office.take(bob, turn.id, 1, "call-1"))
