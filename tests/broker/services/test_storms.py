"""The storm guard: mail that goes round is held within its budget, honest mail never is."""

import itertools

import pytest

from broker.services import storms
from broker.services.callers import Caller, Rules
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.inbox import InboxSent
from wire.settings import AgentSettings, Limits

ROUNDS = 450
"""More than any budget: a test that gets so far has found no end."""


@pytest.fixture
def crew(office: FakeOffice) -> dict[str, Caller]:
    """The harness instances of a fleet of a dozen."""
    for number in range(8):
        office.add(f"worker-{number}", AgentSettings())
    names = ["alice", "bob", "carol", "boss", *(f"worker-{number}" for number in range(8))]
    return {name: office.harness(name) for name in names}


def hand_on(office: FakeOffice, caller: Caller, to: str) -> InboxSent:
    """Open a turn over what is there, write to somebody in it, finish."""
    turn = office.opened(caller)
    sent = office.send(caller, to)
    office.close(caller, turn.id)
    return sent


def go_round(office: FakeOffice, crew: dict[str, Caller], path: list[str], every_s: float = 1.0) -> list[InboxSent]:
    """Let one letter go round until it is held; gives the causal messages that went on."""
    office.send(by_token(path[-1]), path[0])
    accepted: list[InboxSent] = []
    for sender, to in itertools.islice(itertools.pairwise(itertools.cycle(path)), ROUNDS):
        office.pass_time(every_s)
        sent = hand_on(office, crew[sender], to)
        if sent.state == "held":
            return accepted
        accepted.append(sent)
    raise AssertionError("nothing ended it")


# --- what is never held -----------------------------------------------------------------------------


def test_an_honest_conversation_is_never_held(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 5.15: 200 messages, one in 15 s."""
    office.send(by_token("alice"), "bob")
    for sender, to in itertools.islice(itertools.cycle([("bob", "alice"), ("alice", "bob")]), 200):
        office.pass_time(15)
        assert hand_on(office, crew[sender], to).state == "queued"
    assert office.held() == {}
    assert office.notices("operator") == []


def test_a_burst_that_nothing_caused_is_never_held(office: FakeOffice) -> None:
    """[P05] DESIGN 5.15: it is bounded by bucket and quota; nothing is counted, at no cost."""
    call = office.send.call(by_token("alice"), "bob")
    office.commit(call)
    for _ in range(99):
        assert office.send(by_token("alice"), "bob").state == "queued"
    assert office.rows("SELECT * FROM flows") == []
    assert call.statements <= 7


def test_a_burst_in_a_turn_over_operator_mail_is_never_held(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 5.15: the operator asked for it; its depth is 1."""
    office.send(OPERATOR_CALLER, "bob")
    office.opened(crew["bob"])
    assert {office.send(crew["bob"], "alice").state for _ in range(100)} == {"queued"}


def test_a_hub_with_many_spokes_is_never_held(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 5.15: a manager among ten workers is no circle, however busy it is in all."""
    workers = [name for name in crew if name not in ("boss", "alice")]
    for name in workers:
        office.send(by_token("alice"), name)
    for _ in range(5):
        for name in workers:
            assert hand_on(office, crew[name], "manager").state == "queued"
        turn = office.opened(crew["boss"])
        for name in workers:
            assert office.send(crew["boss"], name).state == "queued"
        office.close(crew["boss"], turn.id)
        office.pass_time(20)
    assert office.row("SELECT sum(n) AS n FROM flows")["n"] == 100


def test_workers_that_also_write_to_each_other_are_not_held(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 5.15: many short circles, none of which goes round often."""
    names = list(crew)
    for name in names:
        office.send(by_token("boss" if name != "boss" else "alice"), name)
    for step in (1, 2, 3):
        turns = {name: office.opened(crew[name]).id for name in names}
        for at, name in enumerate(names):
            for other in (step, step + 4):
                assert office.send(crew[name], names[(at + other) % len(names)]).state == "queued"
        for name, turn in turns.items():
            office.close(crew[name], turn)
    assert office.held() == {}


def test_mail_to_the_operator_is_never_held(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """DESIGN 5.15, 5.17: no turn reads it, so it causes nothing; a person has to be reachable in a storm."""
    office.rules = Rules(Limits(storm_depth=2))
    office.send(by_token("alice"), "bob")
    office.opened(crew["bob"])
    assert {office.send(crew["bob"], "operator").state for _ in range(50)} == {"queued"}


# --- what is held -----------------------------------------------------------------------------------


def test_a_pair_is_held_within_its_budget(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 5.15: 30 causal messages in 5 minutes, whoever of the two wrote them."""
    assert len(go_round(office, crew, ["bob", "alice"])) == 30
    ((copy, reason),) = office.held().items()
    assert copy.endswith("/alice")
    assert reason == "storm: 31 messages between bob and alice within 5 min without the operator"


@pytest.mark.parametrize("length", [3, 4, 5, 10])
def test_a_circle_is_held_within_its_budget(office: FakeOffice, crew: dict[str, Caller], length: int) -> None:
    """[P05] DESIGN 5.15: A→B→C→A without in_reply_to evades the counters of pairs, not this one."""
    path = list(crew)[:length]
    assert len(go_round(office, crew, path)) == 30
    (reason,) = office.held().values()
    assert reason.startswith("storm: 31 messages around ")
    assert reason.endswith(" within 5 min without the operator")


def test_a_circle_in_a_busy_fleet_is_held(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 5.15: traffic of others neither hides it nor is held with it."""
    office.send(by_token("boss"), "worker-1")
    office.opened(crew["worker-1"])
    for name in ("alice", "bob", "carol"):
        for _ in range(8):
            office.send(crew["worker-1"], name)
    for caller in (crew["alice"], crew["bob"], crew["carol"]):
        office.close(caller, office.opened(caller).id)
    assert len(go_round(office, crew, ["alice", "bob", "carol"])) == 30
    assert office.send(crew["worker-1"], "alice").state == "queued"


def test_two_letters_to_each_do_not_double_the_budget(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 5.15: what a pair has beyond the quietest of the circle did not go round."""
    path = ["alice", "bob", "carol"]
    office.send(by_token("carol"), "alice")
    accepted = 0
    for sender, to in itertools.pairwise(itertools.cycle(path)):
        turn = office.opened(crew[sender])
        states = {office.send(crew[sender], to).state for _ in range(2)}
        office.close(crew[sender], turn.id)
        accepted += 2
        if "held" in states:
            break
    assert accepted <= 32


def test_a_slow_pair_is_held_by_the_day(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 5.15: 400 in 24 hours, at a pace that no five minutes show."""
    office.rules = Rules(Limits(storm_depth=1000))
    assert len(go_round(office, crew, ["bob", "alice"], every_s=60)) == 400
    (reason,) = office.held().values()
    assert reason == "storm: 401 messages between bob and alice within 24 h without the operator"


def test_a_slow_circle_is_held_by_the_day(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 5.15: the same for three."""
    office.rules = Rules(Limits(storm_depth=1000, storm_per_day=60))
    assert len(go_round(office, crew, ["alice", "bob", "carol"], every_s=60)) == 60


def test_a_chain_of_256_is_held(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 5.15: however slow; below that, depth alone holds nothing."""
    accepted = go_round(office, crew, ["bob", "alice"], every_s=600)
    assert len(accepted) == 254
    assert office.row("SELECT max(depth) AS depth FROM messages WHERE id < (SELECT max(message) FROM deliveries WHERE state = 'held')")["depth"] == 255  # fmt: skip  # noqa: E501
    (reason,) = office.held().values()
    assert "a chain of 256 messages" in reason


def test_a_broadcast_is_held_for_each_recipient_by_itself(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 5.15: the others get theirs; the answer names who does not."""
    office.rules = Rules(Limits(storm_messages=3))
    office.send(by_token("alice"), "bob")
    office.opened(crew["bob"])
    for _ in range(3):
        office.send(crew["bob"], "carol")
    sent = office.send(crew["bob"], "*")
    assert sent.state == "queued"
    assert "carol" in sent.recipients
    assert "held, not handed to carol: storm: 4 messages between bob and carol" in sent.warnings[0]
    states = {row["recipient"]: row["state"] for row in office.rows("SELECT * FROM deliveries WHERE message = 5")}
    assert {name for name, state in states.items() if state == "held"} == {"carol"}
    assert len(states) == len(crew) - 1


def test_a_broadcast_that_is_held_for_all_says_so(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 5.15: one notice for all of it."""
    office.rules = Rules(Limits(storm_depth=2))
    office.send(by_token("alice"), "bob")
    office.opened(crew["bob"])
    sent = office.send(crew["bob"], "*", key="k")
    assert sent.state == "held"
    assert len(office.held()) == len(crew) - 1
    assert len(office.notices("operator")) == 1
    assert office.send(crew["bob"], "*", key="k") == sent.model_copy(update={"duplicate": True})


# --- what a held message is -------------------------------------------------------------------------


@pytest.fixture
def stormy(office: FakeOffice, crew: dict[str, Caller]) -> str:
    """A letter of bob to alice that is held; both have nothing else to do."""
    assert len(go_round(office, crew, ["bob", "alice"])) == 30
    ((copy, _),) = office.held().items()
    return copy.partition("/")[0]


def test_the_sender_is_told_what_happened_and_what_to_do(office: FakeOffice, stormy: str) -> None:
    """[P05] DESIGN 5.15: accepted and on disk, but held; a retry of the same send gets the same answer."""
    office.send(by_token("carol"), "bob")
    bob = office.harness("bob", "bob-instance-1")
    office.opened(bob)
    sent = office.send(bob, "alice", key="k")
    assert (sent.state, sent.recipients) == ("held", ["alice"])
    (warning,) = sent.warnings
    assert warning == (
        "held, not handed to alice: storm: 31 messages between bob and alice within 5 min without the operator. "
        "The operator decides; do not send it again."
    )
    again = office.send(bob, "alice", key="k")
    assert again == sent.model_copy(update={"duplicate": True})
    assert len(office.held()) == 2


def test_a_held_message_is_outside_of_order_and_quota(office: FakeOffice, crew: dict[str, Caller], stormy: str) -> None:
    """[P05] DESIGN 5.8, 5.15: later mail of the same sender goes on, once it may."""
    row = office.row("SELECT inbox_messages, inbox_bytes FROM agents WHERE name = 'alice'")
    assert tuple(row) == (0, 0)
    later = office.send(by_token("bob"), "alice").id
    assert [mail.id for mail in office.opened(crew["alice"]).mail] == [later]
    assert office.state(stormy, "alice") == "held"


def test_the_operator_is_told_once_and_the_agents_are_not(office: FakeOffice, stormy: str) -> None:
    """[P05] DESIGN 5.15: one item while mail of the pair is held, in both directions."""
    (notice,) = office.notices("operator")
    assert notice.startswith(f"{stormy} from bob to alice is held: storm: 31 messages between bob and alice")
    assert f"`queenpost held release {stormy}`" in notice
    for sender, to in (("bob", "alice"), ("alice", "bob")) * 3:
        office.send(by_token("carol"), sender)
        caller = office.harness(sender, f"{sender}-instance-1")
        assert hand_on(office, caller, to).state == "held"
        office.pass_time(1)
    office.pass_time(120)
    assert office.notices("operator") == [notice]
    assert office.notices("alice") == office.notices("bob") == []


def test_a_held_message_counts_neither_as_lost_nor_as_waiting(office: FakeOffice, stormy: str) -> None:
    """[P01] DESIGN 5: visibly held."""
    row = office.row(office.database.queries["fleet.account"])
    assert (row["held"], row["waiting"]) == (1, 0)
    assert row["accepted"] == row["handled"] + row["held"] + row["mailbox"]
    assert stormy


# --- how it ends ------------------------------------------------------------------------------------


def again(office: FakeOffice, crew: dict[str, Caller]) -> list[InboxSent]:
    """Let the same two go on; gives what went on."""
    return go_round(office, crew, ["bob", "alice"])


def test_once_the_window_has_passed_mail_flows_again(office: FakeOffice, crew: dict[str, Caller], stormy: str) -> None:
    """[P05] DESIGN 5.15: five minutes later, with a full budget."""
    office.pass_time(300)
    assert len(again(office, crew)) == 30
    assert stormy


def test_mail_of_the_operator_gives_a_fresh_budget(office: FakeOffice, crew: dict[str, Caller], stormy: str) -> None:
    """[P05] DESIGN 5.15: a person has looked after one of the two; it costs one statement."""
    call = office.send.call(OPERATOR_CALLER, "alice", "go on")
    office.commit(call)
    assert call.statements <= 7
    office.close(crew["alice"], office.opened(crew["alice"]).id)
    assert len(again(office, crew)) == 30
    assert stormy


def test_mail_of_the_operator_to_everybody_is_a_fresh_budget_for_all(office: FakeOffice, stormy: str) -> None:
    """[P05] DESIGN 5.15: also by broadcast."""
    office.send(OPERATOR_CALLER, "*", "go on")
    assert office.rows("SELECT * FROM flows") == []
    assert stormy


def test_release_gives_a_new_place_and_a_fresh_budget(office: FakeOffice, crew: dict[str, Caller], stormy: str) -> None:
    """[P05] DESIGN 5.8, 5.15: the same id, behind what came meanwhile."""
    later = office.send(by_token("bob"), "alice").id
    assert office.release(stormy).changed == [f"{stormy}/alice"]
    turn = office.opened(crew["alice"])
    assert [mail.id for mail in turn.mail] == [later, stormy]
    office.close(crew["alice"], turn.id)
    assert len(again(office, crew)) == 30


def test_after_a_release_the_operator_is_told_anew(office: FakeOffice, crew: dict[str, Caller], stormy: str) -> None:
    """[P05] DESIGN 5.15: the next storm is another item."""
    office.release(stormy)
    office.close(crew["alice"], office.opened(crew["alice"]).id)
    office.pass_time(60)
    again(office, crew)
    assert len(office.notices("operator")) == 2


# --- clocks and costs -------------------------------------------------------------------------------


def test_a_clock_that_was_set_back_holds_nothing(office: FakeOffice, crew: dict[str, Caller], stormy: str) -> None:
    """[P05] DESIGN 5.8: what lies ahead is forgotten, and does not come back."""
    office.set_clock(-90 * 24 * 3600 * 1000)
    assert office.rows("SELECT * FROM flows") == []
    assert len(again(office, crew)) == 30
    office.set_clock(90 * 24 * 3600 * 1000)
    assert len(again(office, crew)) == 30
    assert stormy


def test_the_budget_outlives_a_restart(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 5.15: it is in the database."""
    office.send(by_token("alice"), "bob")
    office.opened(crew["bob"])
    for _ in range(30):
        assert office.send(crew["bob"], "alice").state == "queued"
    office.restart()
    assert office.send(crew["bob"], "alice").state == "held"


def test_causal_mail_costs_8_statements_at_most(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """DESIGN 6: also where a circle is looked for, and to everybody; a notice comes on top."""
    office.send(by_token("alice"), "bob")
    office.opened(crew["bob"])
    for to in ("alice", "manager", "*"):
        for _ in range(3):
            call = office.send.call(crew["bob"], to, in_reply_to="m1")
            office.commit(call)
            assert call.get().state == "queued"
            assert call.statements <= 8
    office.rules = Rules(Limits(storm_messages=2))
    office.send(crew["bob"], "alice")
    call = office.send.call(crew["bob"], "alice", in_reply_to="m1")
    office.commit(call)
    assert call.get().state == "held"
    assert call.statements <= 8


def test_the_guard_needs_its_indexes(office: FakeOffice) -> None:
    """DESIGN 6: a period is read by time, a pair by its key."""
    sql = office.database.queries["storms.traffic"]
    names = ("sender", "recipients", "window", "day", "now", "warm", "warm_day", "most")
    params = dict.fromkeys(names, 1) | {"recipients": "[]"}
    steps = "\n".join(row["detail"] for row in office.rows(f"EXPLAIN QUERY PLAN {sql}", **params))
    assert steps.count("SEARCH f USING PRIMARY KEY (sender=? AND recipient=? AND at>? AND at<?)") == 2
    assert "SEARCH f USING COVERING INDEX flows_by_time (at>? AND at<?)" in steps


def test_the_totals_of_pairs_are_the_sums_of_their_steps(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] DESIGN 6: what a look at the fleet reads is what was counted, forgiven and forgotten."""
    sums = "SELECT sender, recipient, sum(n) AS n FROM flows GROUP BY sender, recipient"
    totals = "SELECT sender, recipient, n FROM flow_totals"
    go_round(office, crew, ["alice", "bob", "carol"], every_s=4)
    go_round(office, crew, ["worker-1", "worker-2"])
    assert len(office.rows(totals)) == 5
    assert office.rows(totals) == office.rows(sums)
    office.send(OPERATOR_CALLER, "carol")
    assert len(office.rows(totals)) == 3
    assert office.rows(totals) == office.rows(sums)
    office.damage("DELETE FROM flows WHERE sender = 'worker-1' AND at = (SELECT min(at) FROM flows)")
    assert office.rows(totals) == office.rows(sums)
    office.damage("DELETE FROM flows")
    assert office.rows(totals) == []


def test_what_is_older_than_a_day_and_still_there_does_not_count(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] Ours: old steps are dropped once an hour; until then they are taken off the totals."""
    office.rules = Rules(Limits(storm_messages=400, storm_per_day=12))
    first = len(go_round(office, crew, ["alice", "bob", "carol"]))
    assert office.held() != {}
    office.pass_time(24 * 3600)
    assert office.rows("SELECT 1 FROM flows") != []
    again = go_round(office, crew, ["alice", "bob", "carol"])
    assert len(again) == first


def test_the_words_of_a_period_are_its_length(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """[P05] Ours: a window of the operator's choice, also one shorter than a step."""
    office.rules = Rules(Limits(storm_messages=2, storm_window_s=1.5))
    office.send(by_token("alice"), "bob")
    office.opened(crew["bob"])
    assert [office.send(crew["bob"], "alice").state for _ in range(3)] == ["queued", "queued", "held"]
    assert "within 1.5 s" in office.held()["m4/alice"]


def test_a_long_circle_is_named_in_short(office: FakeOffice, crew: dict[str, Caller]) -> None:
    """Ours: the reason stays readable."""
    go_round(office, crew, list(crew))
    (reason,) = office.held().values()
    assert reason.count(" → ") == storms.SHOWN_NAMES + 1
    assert "6 more → " in reason
