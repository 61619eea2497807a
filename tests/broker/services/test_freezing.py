"""Freeze and thaw: turns end, mail goes back uncounted and collects, nothing is sent; the columns follow the file."""

from collections.abc import Callable, Sequence

import pytest

from broker.services import asks, freezing, wakeups
from broker.services.callers import Caller
from broker.services.states import Reports, state_of
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.agents import AgentsReport
from wire.asks import AsksAnswer, AsksAsk
from wire.errors import Closed, Denied, Stale, Unknown
from wire.office import FleetFrozen

Freeze = Callable[..., FleetFrozen]


@pytest.fixture
def freeze(office: FakeOffice) -> Freeze:
    """Make the columns say who is frozen; no name: everybody."""

    def follow(*names: str) -> FleetFrozen:
        return office.do(lambda tx: freezing.follow(tx, OPERATOR_CALLER, not names, names))

    return follow


def thaw(office: FakeOffice) -> FleetFrozen:
    """Make the columns say that nobody is frozen."""
    return office.do(lambda tx: freezing.follow(tx, OPERATOR_CALLER, False, ()))


def fleet_audit(office: FakeOffice) -> Sequence[str]:
    """What was done to the fleet."""
    return [action for _, action, subject in office.audited() if subject == "fleet"]


def test_a_running_turn_ends_and_its_mail_goes_back_uncounted(office: FakeOffice, bob: Caller, freeze: Freeze) -> None:
    """[Z1] DESIGN 5.18: no failure, no restart, no back-off; the attempt is seen when it comes again."""
    sent = office.send(OPERATOR_CALLER, "bob")
    turn = office.opened(bob)
    assert freeze("bob") == FleetFrozen(everybody=False, agents=["bob"], changed=["bob"])
    row = office.delivery(sent.id, "bob")
    assert (row["state"], row["attempt"], row["failures"], row["restarts"], row["ready_at"]) == ("ready", 1, 0, 0, 0)
    ended = office.row("SELECT state, outcome, reason FROM turns")
    assert tuple(ended) == ("closed", "stopped", "frozen by the operator")
    thaw(office)
    (mail,) = office.opened(bob).mail
    assert (mail.id, mail.attempt) == (sent.id, 2)
    assert turn.id == "t1"


def test_whoever_runs_the_turn_is_told_which_one(office: FakeOffice, bob: Caller, freeze: Freeze) -> None:
    """DESIGN 5.18: at once, so that it ends the program; it stays the holder."""
    office.send(OPERATOR_CALLER, "bob")
    office.opened(bob)
    freeze("bob")
    (push,) = [push for push in office.effects.pushes if push.event == "turn_revoked"]
    assert push.agent == "bob"
    assert push.data == {"instance": bob.instance, "epoch": bob.epoch, "turn": "t1", "frozen": True}
    row = office.row("SELECT instance, epoch, lost_at FROM agents WHERE name = 'bob'")
    assert tuple(row) == (bob.instance, bob.epoch, None)


def test_the_close_of_its_harness_changes_nothing(office: FakeOffice, bob: Caller, freeze: Freeze) -> None:
    """DESIGN 5.5: it may have hung up meanwhile, and closes as stopped when it comes back; an ack comes too late."""
    sent = office.send(OPERATOR_CALLER, "bob")
    turn = office.opened(bob)
    freeze("bob")
    assert office.close(bob, turn.id, "stopped").given_back == []
    with pytest.raises(Stale):
        office.close(bob, turn.id, "completed")
    with pytest.raises(Stale):
        office.renew(bob, turn.id)
    assert office.state(sent.id, "bob") == "ready"


def test_no_turn_opens_until_the_thaw(office: FakeOffice, bob: Caller, freeze: Freeze) -> None:
    """DESIGN 5.18: a parked open stays parked; mail collects and is handed over behind the thaw."""
    waits = office.park_open(bob)
    freeze("bob")
    first = office.send(by_token("alice"), "bob")
    second = office.send(OPERATOR_CALLER, "*")
    assert waits.waits
    assert office.open(bob) is None
    assert office.states("bob") == {first.id: "ready", second.id: "ready"}
    thaw(office)
    opened = waits.get()
    assert opened is not None
    assert opened.turn is not None
    assert [mail.id for mail in opened.turn.mail] == [second.id, first.id]


def test_a_take_that_waits_in_the_turn_ends(office: FakeOffice, bob: Caller, freeze: Freeze) -> None:
    """DESIGN 5.3: closing a turn cancels its parked recv."""
    office.send(OPERATOR_CALLER, "bob")
    call = office.park_take(bob, office.opened(bob).id)
    freeze("bob")
    with pytest.raises(Closed):
        call.get()


def test_an_attended_session_gets_nothing_either(office: FakeOffice, freeze: Freeze) -> None:
    """DESIGN 5.4, 5.18: its turn ends, its mail is back; it may go on when it is thawed."""
    session = office.session("alice")
    sent = office.send(OPERATOR_CALLER, "alice")
    office.taken(session)
    freeze("alice")
    assert office.state(sent.id, "alice") == "ready"
    assert office.take(session) is None
    assert office.settle(session).acked == []
    thaw(office)
    assert [mail.attempt for mail in office.taken(session).mail] == [2]


def test_a_lapsed_turn_is_over(office: FakeOffice, bob: Caller, freeze: Freeze) -> None:
    """DESIGN 5.6, 5.18: a harness that comes back from a suspend does not take it up again."""
    office.send(OPERATOR_CALLER, "bob")
    turn = office.opened(bob)
    office.pass_time(61)
    freeze("bob")
    with pytest.raises(Stale):
        office.resume(bob, turn.id)


def test_a_frozen_agent_sends_nothing(office: FakeOffice, bob: Caller, freeze: Freeze) -> None:
    """DESIGN 5.18: to one and to all, as an instance and by its own token; others send as before."""
    freeze("bob")
    for caller in (bob, by_token("bob")):
        for to in ("alice", "operator", "manager", "*"):
            with pytest.raises(Denied, match="frozen by the operator"):
                office.send(caller, to)
    assert office.rows("SELECT 1 FROM messages") == []
    office.send(by_token("alice"), "carol")
    office.send(OPERATOR_CALLER, "bob")


def test_a_send_that_was_accepted_before_is_told_again(office: FakeOffice, bob: Caller, freeze: Freeze) -> None:
    """DESIGN 5.1: the key is looked at before anything else."""
    sent = office.send(bob, "alice", key="k")
    freeze("bob")
    assert office.send(bob, "alice", key="k").id == sent.id


def test_everybody_holds_for_who_comes_later(office: FakeOffice, freeze: Freeze) -> None:
    """DESIGN 5.18."""
    assert freeze() == FleetFrozen(everybody=True, agents=[], changed=["alice", "bob", "boss", "carol"])
    office.add("dora")
    dora = office.harness("dora")
    office.send(OPERATOR_CALLER, "dora")
    assert office.open(dora) is None
    with pytest.raises(Denied):
        office.send(dora, "operator")
    assert thaw(office).changed == ["alice", "bob", "boss", "carol", "dora"]
    assert office.opened(dora).mail


def test_the_operator_is_never_frozen(office: FakeOffice, freeze: Freeze) -> None:
    """Ours: else nobody could write to a frozen fleet."""
    freeze("operator")
    freeze()
    office.send(OPERATOR_CALLER, "*")
    assert office.row("SELECT frozen FROM agents WHERE name = 'operator'")["frozen"] == 0


def test_following_is_idempotent_and_written_down_once(office: FakeOffice, freeze: Freeze) -> None:
    """Invariant 28: one row for each change, none for a round that finds nothing to do."""
    freeze("bob")
    before = office.contents()
    assert freeze("bob").changed == []
    assert office.contents() == before
    freeze("bob", "alice")
    freeze()
    freeze()
    thaw(office)
    thaw(office)
    assert fleet_audit(office) == [
        "fleet.frozen",
        "fleet.frozen",
        "fleet.frozen",
        "fleet.thawed",
        "fleet.thawed",
    ]


def test_some_are_thawed_while_others_are_frozen(office: FakeOffice, freeze: Freeze) -> None:
    """Ours: a file that was written while the broker hung may differ in both directions."""
    freeze("bob", "alice")
    assert freeze("alice", "carol") == FleetFrozen(everybody=False, agents=["alice", "carol"], changed=["bob", "carol"])


def test_a_name_of_nobody_is_passed_over(office: FakeOffice, freeze: Freeze) -> None:
    """Ours: the file may be older than a removal; an agent that is added again under that name is frozen."""
    assert freeze("nobody", "bob").agents == ["bob"]
    office.remove("bob")
    assert freeze("bob").agents == ["bob"]
    office.add("bob")
    with pytest.raises(Denied):
        office.send(by_token("bob"), "alice")


def test_an_unknown_name_is_refused_before_anything(office: FakeOffice) -> None:
    """Bad input: nothing changes; one that was removed may still be thawed."""
    office.remove("carol")
    for name in ("nobody", "operator", "carol"):
        with pytest.raises(Unknown, match="nothing was changed"):
            office.do(lambda tx, name=name: freezing.require_known(tx, ["bob", name], removed=False))
    office.do(lambda tx: freezing.require_known(tx, ["carol"], removed=True))


def test_nobody_is_alarmed_about_a_frozen_agent(office: FakeOffice, bob: Caller, freeze: Freeze) -> None:
    """DESIGN 5.18: neither stalled nor deaf, by itself or with everybody."""
    office.send(OPERATOR_CALLER, "bob")
    assert [row["name"] for row in office.do(wakeups.stalled)] == ["bob"]
    freeze("bob")
    assert office.do(wakeups.stalled) == []
    freeze()
    assert office.do(wakeups.stalled) == []
    assert bob.epoch == 1


def test_frozen_is_graver_than_paused(office: FakeOffice, bob: Caller, freeze: Freeze) -> None:
    """DESIGN 10: stopped and failed are graver still."""
    office.pause("bob")
    freeze("bob")

    def word(reports: Reports | None = None) -> str:
        (row,) = office.do(lambda tx: tx.all("agents.summaries", removed=1, name="bob", day=None))
        return state_of(row, working=True, reports=reports or Reports())[0]

    assert word() == "frozen"
    assert word(Reports({"bob": AgentsReport(state="parked")})) == "frozen"
    assert word(Reports({"bob": AgentsReport(state="failed")})) == "failed"
    thaw(office)
    assert word() == "paused"
    freeze()
    assert word() == "frozen"
    office.remove("bob")
    assert word() == "stopped"
    assert bob.epoch == 1


def test_a_restart_keeps_everybody_frozen(office: FakeOffice, bob: Caller, freeze: Freeze) -> None:
    """Ours: it stands in the database too, until the file says otherwise."""
    freeze("bob")
    office.restart()
    office.send(OPERATOR_CALLER, "bob")
    assert office.open(office.harness("bob", bob.instance or "")) is None


def test_quota_counters_stay_true(office: FakeOffice, bob: Caller, freeze: Freeze) -> None:
    """Invariant 17."""
    for _ in range(3):
        office.send(OPERATOR_CALLER, "bob")
    office.opened(bob)
    freeze("bob")
    row = office.row(
        "SELECT a.inbox_messages AS counted, (SELECT count(*) FROM deliveries d WHERE d.recipient = a.name) AS true "
        "FROM agents a WHERE a.name = 'bob'"
    )
    assert (row["counted"], row["true"]) == (3, 3)


def test_a_frozen_agent_asks_and_answers_nothing(office: FakeOffice, freeze: Freeze) -> None:
    """DESIGN 5.18: nothing leaves it; what it was asked stays open, and the operator may still answer for it."""
    put = AsksAsk(key=office.key(), to="bob", question="which one?")
    asked = office.do(lambda tx: asks.ask(tx, by_token("alice"), put, office.rules)).id
    freeze("bob")
    own = AsksAsk(key=office.key(), to="alice", question="may I?")
    with pytest.raises(Denied, match="frozen by the operator"):
        office.do(lambda tx: asks.ask(tx, by_token("bob"), own, office.rules))
    answer = AsksAnswer(key=office.key(), ask=asked, answer="this one")
    with pytest.raises(Denied, match="frozen by the operator"):
        office.do(lambda tx: asks.answer(tx, by_token("bob"), answer, office.rules))
    assert office.row("SELECT state FROM asks")["state"] == "open"
    office.do(lambda tx: asks.answer(tx, OPERATOR_CALLER, answer, office.rules))
    assert office.row("SELECT state FROM asks")["state"] == "answered"
