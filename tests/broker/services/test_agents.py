"""The registry: add, remove, pause, resume; what happens to the mail, the turns and the tokens of an agent."""

import json

import pytest

from broker.services import agents, asks, credentials, reminders
from broker.services.callers import Caller
from tests.broker.services.refusals import refused
from tests.fakes.office import HARNESS_CALLER, OPERATOR_CALLER, FakeOffice, by_token
from wire.agents import AgentsRestart, Restart
from wire.asks import AsksAsk
from wire.errors import Conflict, Invalid, Stale, Unknown
from wire.reminders import RemindersAdd
from wire.settings import AgentSettings, Settings

OWN = by_token("alice")


def agent(office: FakeOffice, name: str) -> dict[str, object]:
    """Give the row of an agent."""
    return dict(office.row("SELECT * FROM agents WHERE name = :name", name=name))


# --- add --------------------------------------------------------------------------------------------


def test_an_added_agent_is_owned_by_the_database_and_has_a_token(office: FakeOffice) -> None:
    """DESIGN 10: `agent add` makes an agent that the database owns, marked so."""
    office.add("dora", AgentSettings(batch_max=2))
    row = agent(office, "dora")
    assert (row["role"], row["origin"], row["state"], row["epoch"]) == ("agent", "database", "active", 0)
    assert row["settings"] == '{"batch_max":2}'
    assert "agent:dora" in office.do(credentials.load)
    assert office.pushed("agents_changed")[-1] == "dora"


@pytest.mark.parametrize("name", ["operator", "system", "reminder", "self", "*"])
def test_reserved_names_are_refused(office: FakeOffice, name: str) -> None:
    """DESIGN 5.17: mail from them would be taken for somebody else's."""
    refused(office, Invalid, lambda: office.add(name))


@pytest.mark.parametrize("name", ["", "Alice", "9lives", "a b", "a_b", "ä", "a" * 32, "a\n", "-a", "a.b"])
def test_malformed_names_are_refused(office: FakeOffice, name: str) -> None:
    """DESIGN 5.17: `^[a-z][a-z0-9-]{0,30}$`, to the end of the text."""
    refused(office, Invalid, lambda: office.do(lambda _: agents.require_name(name, "agent")))


def test_the_longest_name_is_31_letters(office: FakeOffice) -> None:
    """DESIGN 5.17: one more is refused above."""
    office.add("a" * 31)
    assert office.send(OWN, "a" * 31).state == "queued"


def test_only_the_manager_may_be_called_manager(office: FakeOffice) -> None:
    """DESIGN 5.17: so that the address `manager` never leads to anybody else."""
    refused(office, Invalid, lambda: office.add("manager"))
    office.remove("boss")
    office.add("manager", AgentSettings(role="manager"))
    assert office.send(OWN, "manager").recipients == ["manager"]


def test_a_fleet_has_at_most_one_manager(office: FakeOffice) -> None:
    """DESIGN 5.17: the one there is, is named; a removed one is none."""
    error = refused(office, Conflict, lambda: office.add("chief", AgentSettings(role="manager")))
    assert "boss is the manager" in error.message
    office.remove("boss")
    office.add("chief", AgentSettings(role="manager"))


def test_an_agent_that_exists_is_not_added_again(office: FakeOffice) -> None:
    """DESIGN 10: the same name in both is an error that says who owns it."""
    assert "the database" in refused(office, Conflict, lambda: office.add("bob")).message
    office.apply(Settings(agents={"dora": AgentSettings()}))
    assert "queenpost.toml" in refused(office, Conflict, lambda: office.add("dora")).message


# --- remove -----------------------------------------------------------------------------------------


def test_waiting_mail_of_a_removed_agent_is_dead_with_one_notice_per_sender(office: FakeOffice) -> None:
    """[P01] DESIGN 5.18: visible, and told once to each, not once a letter."""
    for sender in (OWN, OWN, by_token("carol"), OPERATOR_CALLER):
        office.send(sender, "bob")
    reply = office.remove("bob")
    assert (reply.changed, reply.dead) == (True, 4)
    assert set(office.states("bob").values()) == {"dead"}
    assert "m1, m2 to bob" in office.notices("alice")[0]
    assert [len(office.notices(name)) for name in ("alice", "carol", "operator")] == [1, 1, 1]
    assert "bob was removed from the fleet" in office.delivery("m1", "bob")["reason"]
    assert (agent(office, "bob")["inbox_messages"], agent(office, "bob")["inbox_bytes"]) == (0, 0)


def test_mail_in_the_turn_of_a_removed_agent_is_dead_too(office: FakeOffice, bob: Caller) -> None:
    """[P01] DESIGN 5.18: the turn ends, its holder is told, and nothing is acked afterwards."""
    office.send(OWN, "bob")
    turn = office.opened(bob)
    office.remove("bob")
    assert office.state("m1", "bob") == "dead"
    assert office.pushed("turn_revoked") == ["bob"]
    assert office.row("SELECT state, outcome FROM turns")["outcome"] == "interrupted"
    refused(office, Stale, lambda: office.close(bob, turn.id))


def test_held_and_backing_off_mail_of_a_removed_agent_is_dead_too(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.18: whatever is not settled."""
    for _ in range(2):
        office.send(OWN, "bob")
    office.close(bob, office.opened(bob).id, "crashed")
    office.damage("UPDATE deliveries SET state = 'held' WHERE message = 2")
    size = office.delivery("m1", "bob")["bytes"]
    office.damage("UPDATE agents SET inbox_messages = 1, inbox_bytes = :size WHERE name = 'bob'", size=size)
    assert office.remove("bob").dead == 2
    assert (agent(office, "bob")["inbox_messages"], agent(office, "bob")["inbox_bytes"]) == (0, 0)


def test_asks_and_reminders_of_a_removed_agent_are_cancelled(office: FakeOffice) -> None:
    """DESIGN 5.18: both ways; the other side is told, and other agents' are left alone."""

    def question(caller: Caller, to: str) -> str:
        request = AsksAsk(key=office.key(), to=to, question=f"for {to}?")
        return office.do(lambda tx: asks.ask(tx, caller, request, office.rules)).id

    def remind(caller: Caller) -> str:
        request = RemindersAdd(key=office.key(), message="look again", delay_s=3600)
        return office.do(lambda tx: reminders.add(tx, caller, request, office.rules)).id

    gone = {question(by_token("bob"), "alice"), question(OWN, "bob"), question(by_token("bob"), "operator")}
    stays = {question(OWN, "carol")}
    waits = [remind(by_token(name)) for name in ("bob", "bob", "carol")]
    office.remove("bob")
    states = {f"a{row['id']}": row["state"] for row in office.rows("SELECT id, state FROM asks")}
    assert states == dict.fromkeys(gone, "cancelled") | dict.fromkeys(stays, "open")
    put_off = {f"r{row['id']}": row["state"] for row in office.rows("SELECT id, state FROM reminders")}
    assert put_off == dict(zip(waits, ("cancelled", "cancelled", "pending"), strict=True))
    assert any("bob was removed" in notice for notice in office.notices("alice"))
    detail = office.row("SELECT detail FROM audit WHERE action = 'agent.removed'")["detail"]
    assert json.loads(detail) == {"dead": 0, "asks": 3, "reminders": 2}


def test_the_tokens_of_a_removed_agent_are_void(office: FakeOffice) -> None:
    """DESIGN 5.18: from the commit on."""
    office.remove("bob")
    assert "agent:bob" not in office.do(credentials.load)


def test_removing_wakes_what_the_agent_had_parked(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.18: it ends with `stale`, at once."""
    waiting = office.park_open(bob)
    office.remove("bob")
    with pytest.raises(Stale, match="not part of the fleet"):
        waiting.get()


def test_removing_twice_changes_nothing(office: FakeOffice) -> None:
    """DESIGN 4: idempotent, with and without the key."""
    first = office.remove("bob", key="k")
    assert office.remove("bob", key="k") == first
    assert not office.remove("bob").changed
    refused(office, Unknown, lambda: office.remove("nobody"))
    refused(office, Unknown, lambda: office.remove("operator"))


def test_an_agent_of_the_file_is_removed_only_after_it_left_the_file(office: FakeOffice) -> None:
    """DESIGN 10: an agent declared there is changed only there."""
    office.apply(Settings(agents={"dora": AgentSettings()}))
    error = refused(office, Conflict, lambda: office.remove("dora"))
    assert "queenpost apply" in error.message
    office.apply(Settings())
    assert office.remove("dora").changed


def test_an_agent_that_comes_back_starts_with_an_empty_inbox(office: FakeOffice) -> None:
    """DESIGN 5.18: dead mail stays dead until it is requeued, under the same id."""
    office.send(OWN, "bob")
    office.remove("bob")
    office.add("bob")
    bob = office.harness("bob")
    assert office.open(bob) is None
    office.requeue("m1")
    assert [mail.id for mail in office.opened(bob).mail] == ["m1"]


def test_mail_that_a_removed_agent_sent_goes_on(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.1: what was accepted is handled."""
    office.send(OWN, "bob")
    office.remove("alice")
    assert office.close(bob, office.opened(bob).id).acked == ["m1"]


# --- pause ------------------------------------------------------------------------------------------


def test_the_running_turn_of_a_paused_agent_finishes(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.18: the current turn finishes, none opens, mail collects."""
    office.send(OWN, "bob")
    turn = office.opened(bob)
    assert office.pause("bob").changed
    office.send(OWN, "bob")
    more = office.taken(bob, turn.id)
    assert (more.mail, more.exhausted) == ([], True)
    office.renew(bob, turn.id)
    assert office.close(bob, turn.id).acked == ["m1"]
    assert office.open(bob) is None
    assert office.states("bob") == {"m1": "acked", "m2": "ready"}


def test_the_turn_of_a_paused_agent_can_be_resumed(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.7, 5.18: it is the running one, also after its lease ran out."""
    office.send(OWN, "bob")
    turn = office.opened(bob)
    office.pause("bob")
    office.pass_time(60)
    assert office.resume(bob, turn.id).turn is not None


def test_pausing_twice_changes_nothing(office: FakeOffice) -> None:
    """DESIGN 4: idempotent, and audited once."""
    assert office.pause("bob").changed
    assert not office.pause("bob").changed
    assert office.resume_agent("bob").changed
    assert not office.resume_agent("bob").changed
    actions = [action for _, action, subject in office.audited() if subject == "bob"]
    assert actions == ["agent.added", "agent.paused", "agent.resumed"]


@pytest.mark.parametrize("name", ["nobody", "operator", "bob"])
def test_who_is_not_there_is_not_paused(office: FakeOffice, name: str) -> None:
    """DESIGN 5.18: removed, unknown, or without turns: the same answer."""
    office.remove("bob")
    refused(office, Unknown, lambda: office.pause(name))
    refused(office, Unknown, lambda: office.resume_agent(name))


def test_a_pause_survives_restarts_and_new_holders(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.18: it is the operator's word, not the connection's."""
    office.pause("bob")
    office.detach(bob)
    office.restart()
    successor = office.harness("bob")
    office.send(OWN, "bob")
    assert office.open(successor) is None


# --- restart ----------------------------------------------------------------------------------------


def test_a_restart_is_told_to_the_harness_that_holds_the_agent(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.9: it does the work; here nothing changes but the audit trail."""
    before = agent(office, "bob")
    request = AgentsRestart(key="k", agent="bob", now=True)
    assert office.do(lambda tx: agents.restart(tx, OPERATOR_CALLER, request)).changed
    assert office.pushed("agents_changed")[-1] == "bob"
    assert agent(office, "bob") == before
    assert office.row("SELECT action FROM audit ORDER BY id DESC LIMIT 1")["action"] == "agent.restarted"
    assert bob.instance is not None


def test_a_restart_is_said_again_to_whoever_attaches(office: FakeOffice, bob: Caller) -> None:
    """Issue 4.9: the push is lost with its link; the newest wish is not, whatever is restarted meanwhile."""
    assert wished(office, bob) is None
    office.connection_ended(bob, local=False)
    for now, fresh in ((False, True), (True, False)):
        request = AgentsRestart(key=f"k{now}", agent="bob", now=now, fresh=fresh)
        office.do(lambda tx, r=request: agents.restart(tx, OPERATOR_CALLER, r))
    office.restart()
    wish = wished(office, bob)
    assert wish is not None
    assert (wish.now, wish.fresh) == (True, False)
    assert wished(office, bob) == wish
    office.damage("UPDATE audit SET detail = '[]'")
    assert wished(office, bob) == Restart(number=wish.number)


def wished(office: FakeOffice, caller: Caller) -> Restart | None:
    """Attach once more and give what is said of a restart."""
    return office.attach(HARNESS_CALLER, "bob", caller.instance or "").restart


def test_a_restart_of_whom_nobody_holds_is_refused(office: FakeOffice, bob: Caller) -> None:
    """Ours: there is nothing to start anew; a session of its own has no loop."""
    office.detach(bob)
    office.session("alice")
    for name in ("alice", "bob"):
        request = AgentsRestart(key="k", agent=name)
        refused(office, Conflict, lambda r=request: office.do(lambda tx: agents.restart(tx, OPERATOR_CALLER, r)))
    request = AgentsRestart(key="k", agent="nobody")
    refused(office, Unknown, lambda: office.do(lambda tx: agents.restart(tx, OPERATOR_CALLER, request)))
