"""Making the settings file true: what is declared is added, changed or revived; what left it is stopped."""

import pytest

from broker.services.callers import Caller
from tests.broker.services.refusals import refused
from tests.fakes.office import HARNESS_CALLER, FakeOffice, by_token
from wire.agents import AgentsAttached
from wire.errors import Conflict, Denied, Stale
from wire.fleet import Change
from wire.settings import AccountSettings, AgentSettings, Limits, Settings


def declared(**agents: AgentSettings) -> Settings:
    """Write a file with these agents."""
    return Settings(agents=agents)


def summary(changes: list[Change]) -> list[tuple[str, str]]:
    """Give subject and change of each."""
    return sorted((change.subject, change.change) for change in changes)


def state_of(office: FakeOffice, name: str) -> tuple[str, str]:
    """Give state and origin of an agent."""
    row = office.row("SELECT state, origin FROM agents WHERE name = :name", name=name)
    return row["state"], row["origin"]


def test_agents_of_the_file_are_added_and_owned_by_it(office: FakeOffice) -> None:
    """DESIGN 10: with tokens for those that had none."""
    changes = office.apply(declared(dora=AgentSettings(), emil=AgentSettings(batch_max=1)))
    assert summary(changes) == [("dora", "added"), ("emil", "added")]
    assert state_of(office, "dora") == ("active", "file")
    rows = office.rows("SELECT name FROM credentials WHERE name IN ('agent:dora', 'agent:emil')")
    assert len(rows) == 2
    assert office.send(by_token("alice"), "dora").state == "queued"


def test_applying_the_same_file_again_changes_nothing(office: FakeOffice) -> None:
    """DESIGN 10: desired state; nothing to do, nothing to audit."""
    settings = declared(dora=AgentSettings(batch_max=3))
    office.apply(settings)
    before = office.contents()
    assert office.apply(settings) == []
    assert office.contents() == before


def test_a_changed_agent_is_changed_and_the_difference_named(office: FakeOffice) -> None:
    """DESIGN 10: in force from the commit on."""
    office.apply(declared(dora=AgentSettings()))
    changes = office.apply(declared(dora=AgentSettings(allowed_recipients=[], batch_max=1)))
    assert changes == [Change(subject="dora", change="changed", detail="allowed_recipients, batch_max")]
    refused(office, Denied, lambda: office.send(by_token("dora"), "bob"))
    assert office.pushed("agents_changed").count("dora") == 2


def test_running_turns_go_on(office: FakeOffice) -> None:
    """DESIGN 10: a change of settings ends nothing."""
    office.apply(declared(dora=AgentSettings()))
    dora = office.harness("dora")
    office.send(by_token("alice"), "dora")
    turn = office.opened(dora)
    office.apply(declared(dora=AgentSettings(batch_max=1)))
    assert office.close(dora, turn.id).acked == ["m1"]


def test_an_agent_that_left_the_file_is_stopped_and_its_mail_kept(office: FakeOffice) -> None:
    """DESIGN 10: until `agent remove`; its turn goes back uncounted, its holder is told."""
    office.apply(declared(dora=AgentSettings()))
    dora = office.harness("dora")
    office.send(by_token("alice"), "dora")
    office.opened(dora)
    assert summary(office.apply(Settings())) == [("dora", "stopped")]
    assert state_of(office, "dora") == ("stopped", "file")
    row = office.delivery("m1", "dora")
    assert (row["state"], row["failures"], row["restarts"]) == ("ready", 0, 0)
    assert office.pushed("turn_revoked") == ["dora"]
    refused(office, Stale, lambda: office.open(dora))


def test_an_agent_that_comes_back_into_the_file_is_revived_with_its_mail(office: FakeOffice) -> None:
    """DESIGN 10: under a new epoch."""
    office.apply(declared(dora=AgentSettings()))
    first = office.harness("dora")
    office.send(by_token("alice"), "dora")
    office.apply(Settings())
    assert summary(office.apply(declared(dora=AgentSettings()))) == [("dora", "revived")]
    dora = office.harness("dora")
    assert dora.epoch == (first.epoch or 0) + 1
    assert [mail.id for mail in office.opened(dora).mail] == ["m1"]


def test_an_agent_of_the_database_stays_as_it_is(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 10: the file says nothing about it."""
    office.apply(declared(dora=AgentSettings()))
    assert state_of(office, "bob") == ("active", "database")
    assert bob.epoch == 1


def test_the_same_name_in_both_is_an_error_and_nothing_is_applied(office: FakeOffice) -> None:
    """DESIGN 10: one transaction; it says what to do."""
    error = refused(office, Conflict, lambda: office.apply(declared(dora=AgentSettings(), bob=AgentSettings())))
    assert "queenpost agent remove bob" in error.message


def test_a_removed_agent_of_the_database_may_be_declared(office: FakeOffice) -> None:
    """DESIGN 10: it belongs to the file from then on."""
    office.remove("bob")
    office.apply(declared(bob=AgentSettings()))
    assert state_of(office, "bob") == ("active", "file")


def test_a_second_manager_is_refused(office: FakeOffice) -> None:
    """DESIGN 5.17: at most one, across file and database."""
    settings = declared(chief=AgentSettings(role="manager"))
    assert "boss is the manager" in refused(office, Conflict, lambda: office.apply(settings)).message
    office.apply(declared(chief=AgentSettings()))
    assert "boss is the manager" in refused(office, Conflict, lambda: office.apply(settings)).message


def test_the_role_of_the_manager_can_move_within_the_file(office: FakeOffice) -> None:
    """DESIGN 5.17: whoever gives it up comes first, whatever the order in the file."""
    office.remove("boss")
    one, other = AgentSettings(role="manager"), AgentSettings()
    office.apply(declared(dora=one, emil=other))
    office.apply(declared(emil=one, dora=other))
    assert office.send(by_token("alice"), "manager").recipients == ["emil"]
    office.apply(declared(dora=one, emil=other))
    assert office.send(by_token("alice"), "manager").recipients == ["dora"]


def test_limits_are_stored_and_audited(office: FakeOffice) -> None:
    """DESIGN 10, 5.14: the database holds the applied settings; a change of limits is a change."""
    changes = office.apply(Settings(limits=Limits(send_burst=7)))
    assert changes == [Change(subject="limits", change="changed", detail="send_burst")]
    assert office.row("SELECT limits FROM fleet")["limits"] == '{"send_burst":7}'
    assert office.audited()[-1] == ("operator", "settings.applied", "fleet")
    before = office.contents()
    assert office.apply(Settings(limits=Limits(send_burst=7))) == []
    assert office.contents() == before


def test_each_apply_that_changes_something_is_audited_once(office: FakeOffice) -> None:
    """DESIGN 10: one audited transaction, with what changed."""
    office.apply(declared(dora=AgentSettings()))
    office.apply(declared(dora=AgentSettings()))
    office.apply(Settings())
    rows = office.rows("SELECT detail FROM audit WHERE action = 'settings.applied' ORDER BY id")
    assert [row["detail"] for row in rows] == ['{"changes": ["added dora"]}', '{"changes": ["stopped dora"]}']


@pytest.mark.parametrize("paused", [False, True])
def test_a_pause_outlives_a_change_of_the_file(office: FakeOffice, paused: bool) -> None:
    """DESIGN 5.18: only the one who paused ends it."""
    office.apply(declared(dora=AgentSettings()))
    if paused:
        office.pause("dora")
    office.apply(Settings())
    office.apply(declared(dora=AgentSettings(batch_max=2)))
    assert office.row("SELECT paused FROM agents WHERE name = 'dora'")["paused"] == int(paused)


# --- accounts ---------------------------------------------------------------------------------------


def with_account(account: AccountSettings, **more: AgentSettings) -> Settings:
    """Write a file with one account, which dora uses."""
    return Settings(
        accounts={"team": account}, agents={"dora": AgentSettings(backend="claude", account="team"), **more}
    )


def attached(office: FakeOffice, name: str) -> AgentsAttached:
    """Attach a harness; gives what it was told."""
    return office.attach(HARNESS_CALLER, name, "the-instance")


def test_an_account_reaches_whoever_hosts_its_agents(office: FakeOffice) -> None:
    """DESIGN 8: a harness learns it when it attaches; agents of others learn nothing."""
    team = AccountSettings(token_file="/run/team", max_running=6)
    changes = office.apply(with_account(team, emil=AgentSettings(backend="claude")))
    assert ("accounts", "changed") in summary(changes)
    assert attached(office, "dora").account == team
    assert attached(office, "emil").account is None
    assert office.apply(with_account(team, emil=AgentSettings(backend="claude"))) == []


def test_agents_of_a_changed_account_are_told(office: FakeOffice) -> None:
    """DESIGN 10: what the file says now holds without a restart."""
    office.apply(with_account(AccountSettings(max_running=6), emil=AgentSettings(backend="claude")))
    before = len(office.pushed("agents_changed"))
    office.apply(with_account(AccountSettings(max_running=2), emil=AgentSettings(backend="claude")))
    assert office.pushed("agents_changed")[before:] == ["dora"]


def test_damaged_accounts_are_none(office: FakeOffice) -> None:
    """[H22] Ours: nobody is kept from attaching; the next apply mends it."""
    office.apply(with_account(AccountSettings(max_running=6)))
    office.damage("UPDATE fleet SET accounts = 'damaged'")
    assert attached(office, "dora").account is None
    office.apply(with_account(AccountSettings(max_running=6)))
    assert attached(office, "dora").account == AccountSettings(max_running=6)
