"""Allow-lists and provenance, from what they are given: no database in it."""

import json

import pytest

from broker.services.callers import OPERATOR, Caller
from broker.services.policy import (
    UNREADABLE,
    allowed_recipients,
    kind_of,
    may_write,
    require_may_write,
    settings_of,
)
from wire.errors import Denied
from wire.settings import AgentSettings


def stored(*allowed: str) -> str:
    """Write settings with an allow-list as they are stored."""
    return AgentSettings(allowed_recipients=list(allowed)).model_dump_json(exclude_defaults=True)


def test_unset_and_empty_are_not_the_same() -> None:
    """[H07] DESIGN 5.16: unset is open, empty is manager and operator only; both survive being stored."""
    open_settings = AgentSettings().model_dump_json(exclude_defaults=True)
    assert allowed_recipients(open_settings) is None
    assert allowed_recipients(stored()) == frozenset()
    assert allowed_recipients(json.dumps({"allowed_recipients": None})) is None


@pytest.mark.parametrize(
    ("sender_role", "allowed", "recipient_role", "may"),
    [
        ("agent", None, "agent", True),
        ("agent", frozenset[str](), "agent", False),
        ("agent", frozenset[str](), "manager", True),
        ("agent", frozenset[str](), "operator", True),
        ("agent", frozenset({"bob"}), "agent", True),
        ("agent", frozenset({"carol"}), "agent", False),
        ("manager", frozenset[str](), "agent", True),
        ("operator", frozenset[str](), "agent", True),
    ],
)
def test_every_pair_of_roles(sender_role: str, allowed: frozenset[str] | None, recipient_role: str, may: bool) -> None:
    """[H07] DESIGN 5.16: the same answer for a send, a broadcast and the roster."""
    assert may_write(sender_role, allowed, "bob", recipient_role) is may
    settings = stored(*allowed) if allowed is not None else "{}"
    if may:
        require_may_write("alice", sender_role, settings, "bob", recipient_role)
    else:
        with pytest.raises(Denied):
            require_may_write("alice", sender_role, settings, "bob", recipient_role)


def test_provenance_is_the_credentials() -> None:
    """[P12] DESIGN 5, Provenance: stamped by the broker."""
    assert kind_of(Caller("operator", OPERATOR), "operator") == "operator"
    assert kind_of(Caller("agent", "boss"), "manager") == "manager"
    assert kind_of(Caller("agent", "alice"), "agent") == "peer"


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"batch_max": 0}', '{"allowed_recipients": "bob"}'])
def test_settings_that_were_damaged_allow_nothing(damaged: str) -> None:
    """Ours: an allow-list that cannot be read is not an open one."""
    assert settings_of(damaged) is UNREADABLE
    assert allowed_recipients(damaged) == frozenset()
    assert not may_write("agent", allowed_recipients(damaged), "bob", "agent")
    assert may_write("agent", allowed_recipients(damaged), "boss", "manager")
