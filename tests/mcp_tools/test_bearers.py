"""Which token opens which desk."""

from mcp_tools.bearers import Bearers
from tests.fakes.desk import FakeDesk


def test_a_token_opens_the_desk_of_its_agent_only() -> None:
    """Spec."""
    bearers, alice, bob = Bearers(), FakeDesk("alice"), FakeDesk("bob")
    tokens = bearers.issue(alice), bearers.issue(bob)
    assert (bearers(tokens[0]), bearers(tokens[1])) == (alice, bob)
    assert bearers(tokens[0][:-1]) is None
    assert bearers("") is None
    assert bearers("ünknown") is None


def test_a_new_token_voids_the_old_one() -> None:
    """Ours: one token per agent at a time."""
    bearers, alice = Bearers(), FakeDesk("alice")
    old, new = bearers.issue(alice), bearers.issue(alice)
    assert bearers(old) is None
    assert bearers(new) is alice


def test_revoking_is_at_once_and_may_be_repeated() -> None:
    """Ours."""
    bearers, alice = Bearers(), FakeDesk("alice")
    token = bearers.issue(alice)
    bearers.revoke("alice")
    bearers.revoke("alice")
    assert bearers(token) is None


def test_no_token_is_kept() -> None:
    """Ours: what is kept cannot be used to get in."""
    bearers = Bearers()
    token = bearers.issue(FakeDesk("alice"))
    assert token not in repr(vars(bearers))


def test_the_next_request_of_an_agent_can_be_expected() -> None:
    """Ours: so it is seen that its program has attached the tools."""
    bearers, alice, bob = Bearers(), FakeDesk("alice"), FakeDesk("bob")
    tokens = bearers.issue(alice), bearers.issue(bob)
    bearers(tokens[0])
    expected = bearers.expect("alice")
    assert bearers.expect("alice") is expected
    bearers(tokens[1])
    bearers("wrong")
    assert not expected.is_set()
    bearers(tokens[0])
    assert expected.is_set()
    assert not bearers.expect("alice").is_set()
