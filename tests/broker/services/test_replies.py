"""Safe retries of everything but send: the first result, stored with what made it."""

import pytest

from broker.services import replies
from broker.services.callers import Caller
from tests.broker.services.refusals import refused
from tests.fakes.office import FakeOffice, by_token
from wire.errors import Conflict, Unknown


def test_a_retry_gets_the_first_result_whatever_happened_since(office: FakeOffice) -> None:
    """DESIGN 4: (principal, op, key) → result; `changed` is what the first try did."""
    first = office.pause("bob", key="k")
    office.resume_agent("bob", key="other")
    assert office.pause("bob", key="k") == first
    assert office.row("SELECT paused FROM agents WHERE name = 'bob'")["paused"] == 0


def test_a_result_survives_a_restart(office: FakeOffice) -> None:
    """DESIGN 4: it is stored in the transaction that made it."""
    first = office.pause("bob", key="k")
    office.restart()
    before = office.contents()
    assert office.pause("bob", key="k") == first
    assert office.contents() == before


def test_two_equal_requests_in_one_commit_are_one(office: FakeOffice) -> None:
    """DESIGN 4: a retry may share the commit of its first try."""
    calls = [office.pause.call("bob", key="k") for _ in range(2)]
    office.commit(*calls)
    assert [call.get().changed for call in calls] == [True, True]
    assert [action for _, action, _ in office.audited()].count("agent.paused") == 1


def test_a_reused_key_for_something_else_is_a_conflict(office: FakeOffice) -> None:
    """DESIGN 4: same op and key, other content."""
    office.pause("bob", key="k")
    refused(office, Conflict, lambda: office.pause("carol", key="k"))


def test_the_same_key_may_serve_another_op_or_principal(office: FakeOffice) -> None:
    """DESIGN 4: the key is unique per principal and op."""
    office.pause("bob", key="k")
    assert office.resume_agent("bob", key="k").changed
    manager: Caller = by_token("boss")
    assert office.pause("bob", key="k", caller=manager).changed


def test_a_refusal_is_not_stored(office: FakeOffice) -> None:
    """DESIGN 4: what was refused may succeed later under the same key."""
    refused(office, Unknown, lambda: office.pause("dora", key="k"))
    office.add("dora")
    assert office.pause("dora", key="k").changed


@pytest.mark.parametrize(("age_ms", "kept"), [(replies.KEPT_MS, True), (replies.KEPT_MS + 1, False)])
def test_results_are_kept_for_a_day(office: FakeOffice, age_ms: int, kept: bool) -> None:
    """DESIGN 4: 24 h, then forgotten."""
    office.pause("bob", key="k")
    office.clock.advance(age_ms)
    before = office.clock.now_ms() - replies.KEPT_MS
    office.do(lambda tx: tx.run("replies.forget", before=before))
    assert bool(office.rows("SELECT 1 FROM replies")) is kept
