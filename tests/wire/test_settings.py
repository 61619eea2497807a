"""What settings may say, as models; the words for people are in `test_settings_file`."""

from typing import Any

import pytest
from pydantic import ValidationError

from wire.settings import AgentSettings, Limits, Settings, check_agent_name


def test_an_agent_needs_nothing() -> None:
    """DESIGN 10: `agent add` defaults to `backend = none`; unset recipients mean anyone."""
    agent = AgentSettings()
    assert (agent.backend, agent.role, agent.allowed_recipients) == ("none", "agent", None)


def test_unset_and_empty_recipients_are_told_apart() -> None:
    """[H07] DESIGN 5.16: unset is open, empty is only manager and operator."""
    given = Settings.model_validate({"agents": {"a": {}, "b": {"allowed_recipients": []}}})
    assert given.agents["a"].allowed_recipients is None
    assert given.agents["b"].allowed_recipients == []


def test_limits_are_those_of_the_design() -> None:
    """DESIGN 5.14: the defaults."""
    limits = Limits()
    assert (limits.send_burst, limits.send_per_minute) == (120, 60)
    assert (limits.inbox_messages, limits.inbox_bytes, limits.body_bytes) == (1000, 16 * 2**20, 24 * 2**10)


@pytest.mark.parametrize("name", ["operator", "system", "reminder", "self", "*"])
def test_a_reserved_name_is_refused(name: str) -> None:
    """DESIGN 5.17: it would be taken for somebody else."""
    with pytest.raises(ValueError, match="reserved"):
        check_agent_name(name, "agent")


def test_manager_is_a_name_for_the_manager_only() -> None:
    """DESIGN 5.17: the manager may have another name, too."""
    check_agent_name("manager", "manager")
    check_agent_name("boss", "manager")
    with pytest.raises(ValueError, match="manager"):
        check_agent_name("manager", "agent")


@pytest.mark.parametrize(
    ("agents", "words"),
    [
        ({"a": {"role": "manager"}, "b": {"role": "manager"}}, "at most one manager"),
        ({"a": {"allowed_recipients": ["b"]}}, "'b'"),
        ({"a": {"backend": "command"}}, "command"),
        ({"a": {"backend": "scripted"}}, "script"),
        ({"a": {"batch_max": 0}}, "batch_max"),
        ({"a": {"batch_max": 33}}, "batch_max"),
        ({"a": {"silence_s": 0}}, "silence_s"),
        ({"a": {"mood": "good"}}, "mood"),
        ({"A": {}}, "A"),
        ({"a\n": {}}, "a"),
    ],
)
def test_what_makes_no_fleet_is_refused(agents: dict[str, Any], words: str) -> None:
    """DESIGN 5.17 and 10: names, roles, bounds; an unknown key is an error."""
    with pytest.raises(ValidationError, match=words):
        Settings.model_validate({"agents": agents})


def test_anybody_may_be_allowed_to_write_to_manager_and_operator() -> None:
    """DESIGN 5.16: they need no table of their own."""
    Settings.model_validate({"agents": {"a": {"allowed_recipients": ["manager", "operator"]}}})
