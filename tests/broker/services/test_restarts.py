"""A fleet that starts again: the manager goes first, for 30 s at most, and everybody is told once."""

from pathlib import Path

import pytest

from broker.services import freezing, restarts
from broker.services.callers import Caller
from broker.services.restarts import RESTARTED, WAIT_MS
from tests.fakes.office import HARNESS_CALLER, OPERATOR_CALLER, FakeOffice, by_token
from wire.settings import AgentSettings

OWN = by_token("carol")


@pytest.fixture
def fleet(tmp_path: Path) -> FakeOffice:
    """Two agents and their manager, all of them with a program, attached, each with a letter in an open turn."""
    office = FakeOffice(tmp_path)
    settings = AgentSettings(backend="command", command=["true"])
    office.add("chief", settings.model_copy(update={"role": "manager"}))
    for name in ("dora", "emil"):
        office.add(name, settings)
    office.add("carol")
    for name in ("chief", "dora", "emil"):
        office.send(OWN, name)
        office.opened(office.harness(name))
    return office


def come_back(office: FakeOffice, name: str) -> Caller:
    """Attach an agent as the harness of a restarted fleet does, which has reaped the one before."""
    return office.harness(name, takeover=True)


def waits(office: FakeOffice) -> bool:
    """Say whether others wait for the manager."""
    return office.row("SELECT others_wait_until AS until FROM fleet")["until"] is not None


def test_what_comes_again_waits_for_the_first_turn_of_the_manager(fleet: FakeOffice) -> None:
    """[H20]: it may want to say something about it; new mail to somebody who had nothing open does not wait."""
    fleet.restart()
    chief, dora = come_back(fleet, "chief"), come_back(fleet, "dora")
    assert fleet.open(dora) is None
    turn = fleet.opened(chief)
    assert fleet.open(dora) is None
    fleet.close(chief, turn.id)
    assert fleet.last.effects.woken >= {"dora"}
    assert fleet.opened(dora).mail[-1].attempt == 2


def test_after_30_s_nobody_waits_any_more(fleet: FakeOffice) -> None:
    """[H20]: the manager that never comes leaves nobody asleep."""
    fleet.restart()
    dora = come_back(fleet, "dora")
    fleet.pass_time(WAIT_MS / 1000 - 0.001)
    assert fleet.open(dora) is None
    fleet.pass_time(0.001)
    assert "dora" in fleet.last.effects.woken
    assert fleet.opened(dora).mail


def test_new_mail_does_not_wait(fleet: FakeOffice) -> None:
    """[H20]: only what was in a turn before is kept back."""
    fleet.add("fritz", AgentSettings(backend="command", command=["true"]))
    fleet.restart()
    fritz = come_back(fleet, "fritz")
    fleet.send(OWN, "fritz")
    assert [mail.sender for mail in fleet.opened(fritz).mail] == ["carol"]


@pytest.mark.parametrize("why", ["paused", "removed", "frozen"])
def test_a_manager_that_cannot_work_is_not_waited_for(fleet: FakeOffice, why: str) -> None:
    """[H20]: known before the start, or learned behind it."""
    fleet.restart()
    dora = come_back(fleet, "dora")
    assert waits(fleet)
    match why:
        case "paused":
            fleet.pause("chief")
        case "removed":
            fleet.remove("chief")
        case _:
            fleet.do(lambda tx: freezing.follow(tx, OPERATOR_CALLER, False, ["chief"]))
    assert not waits(fleet)
    assert fleet.opened(dora).mail
    fleet.restart()
    assert not waits(fleet)


def test_a_manager_without_mail_is_not_waited_for(fleet: FakeOffice) -> None:
    """[H20]: it opens no turn, so there is no end to wait for."""
    chief = come_back(fleet, "chief")
    fleet.close(chief, fleet.opened(chief).id)
    fleet.restart()
    assert waits(fleet)
    come_back(fleet, "chief")
    assert not waits(fleet)


def test_a_manager_that_rests_is_not_waited_for(fleet: FakeOffice) -> None:
    """[H20]: its harness says that it is parked or failed; `broker.edge.errands.report` calls this."""
    fleet.restart()
    come_back(fleet, "chief")
    dora = come_back(fleet, "dora")
    assert fleet.open(dora) is None
    fleet.do(restarts.go_on)
    assert fleet.opened(dora).mail


def test_nobody_waits_without_a_manager_or_for_one_without_a_program(tmp_path: Path) -> None:
    """[H20]: a manager with backend "none" is a person, who may not be there."""
    office = FakeOffice(tmp_path)
    office.restart()
    assert not waits(office)
    office.add("boss", AgentSettings(role="manager"))
    office.restart()
    assert not waits(office)


def test_a_turn_that_lives_through_a_start_of_the_broker_is_not_held_up(fleet: FakeOffice) -> None:
    """[H20] DESIGN 5.7: it is resumed and closed as ever."""
    instance = fleet.row("SELECT instance FROM agents WHERE name = 'dora'")["instance"]
    turn = fleet.row("SELECT id FROM turns WHERE agent = 'dora' AND state = 'open'")["id"]
    fleet.restart()
    reply = fleet.attach(HARNESS_CALLER, "dora", instance)
    assert fleet.close(Caller("agent", "dora", reply.epoch, instance), f"t{turn}").acked == ["m2"]
    assert fleet.notices("dora") == []


def test_a_clock_that_is_set_changes_nothing_about_the_wait(fleet: FakeOffice) -> None:
    """[H20] Reliability: neither an hour forward nor an hour back."""
    fleet.restart()
    for step_ms in (3_600_000, -3_600_000):
        fleet.set_clock(step_ms)
        assert waits(fleet)
    fleet.pass_time(WAIT_MS / 1000)
    assert not waits(fleet)


# --- the notice -------------------------------------------------------------------------------------


def test_a_restarted_agent_is_told_once_and_with_its_next_mail(fleet: FakeOffice) -> None:
    """[H20]: the notice opens no turn by itself, however often the fleet was restarted before."""
    chief = come_back(fleet, "chief")
    fleet.close(chief, fleet.opened(chief).id)
    for _ in range(3):
        fleet.restart()
        chief = come_back(fleet, "chief")
    assert fleet.notices("chief") == [RESTARTED]
    assert fleet.open(chief) is None
    fleet.send(OWN, "chief")
    turn = fleet.opened(chief)
    assert [mail.kind for mail in turn.mail] == ["system", "peer"]
    assert turn.waiting == 0
    assert len(fleet.close(chief, turn.id).acked) == 2
    assert fleet.open(chief) is None


def test_a_failed_turn_never_blames_the_notice(fleet: FakeOffice) -> None:
    """[H20] DESIGN 5.9: it goes back uncounted, and the mail is as good as alone."""
    fleet.restart()
    chief = come_back(fleet, "chief")
    for _ in range(5):
        fleet.close(chief, fleet.opened(chief).id, "crashed")
        fleet.pass_time(601)
    assert fleet.states("chief")["m1"] == "dead"
    riders = fleet.rows("SELECT failures, alone, state FROM deliveries WHERE recipient = 'chief' AND rides = 1")
    assert [tuple(row) for row in riders] == [(0, 0, "ready")]


def test_mail_that_has_to_be_alone_is(fleet: FakeOffice) -> None:
    """[H20] DESIGN 5.9: the notice waits for other mail."""
    fleet.restart()
    chief = come_back(fleet, "chief")
    fleet.damage("UPDATE deliveries SET alone = 1 WHERE recipient = 'chief' AND rides = 0")
    turn = fleet.opened(chief)
    assert [mail.id for mail in turn.mail] == ["m1"]
    assert turn.waiting == 0


def test_a_new_agent_and_a_session_are_told_nothing(tmp_path: Path) -> None:
    """[H20]: nothing was restarted that they could have been in the middle of."""
    office = FakeOffice(tmp_path)
    office.add("dora", AgentSettings(backend="command", command=["true"]))
    office.restart()
    office.harness("dora")
    assert office.notices("dora") == []


def test_a_harness_that_comes_back_to_the_same_broker_is_no_restart_of_the_fleet(fleet: FakeOffice) -> None:
    """[H20]: its mail says that it comes again, and that is enough."""
    come_back(fleet, "dora")
    assert fleet.notices("dora") == []


def test_a_notice_that_waits_is_no_mail_that_waits(fleet: FakeOffice) -> None:
    """[H20]: it is no reason for an alarm, and nobody counts it as queued."""
    chief = come_back(fleet, "chief")
    fleet.close(chief, fleet.opened(chief).id)
    fleet.restart()
    come_back(fleet, "chief")
    assert "chief" not in [row["name"] for row in fleet.rows(fleet.database.queries["agents.stalled"], now=10**15)]
