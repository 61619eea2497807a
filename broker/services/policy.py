"""Ownership and allow-lists. Pure: it reads no database and decides from what it is given.

Who may call an op at all stands in the op table and is checked at the edge.
"""

from collections.abc import Iterable
from functools import lru_cache

from pydantic import TypeAdapter

from broker.services.callers import OPERATOR, Caller
from wire.errors import Denied
from wire.inbox import Kind
from wire.settings import AgentSettings, AppliedSettings

STORED: TypeAdapter[AgentSettings] = TypeAdapter(AppliedSettings)
"""A home that a newer version has used may hold settings that this one does not know."""
NO_USER = 2**31
UNREADABLE = AgentSettings(backend="none", allowed_recipients=[], uid=NO_USER)
"""In the place of settings that were damaged: nothing runs, nobody but manager and operator is written to, and no
process can show the agent's own token."""
ALWAYS_REACHABLE = frozenset({"manager", "operator"})


@lru_cache(maxsize=1024)
def settings_of(stored: str) -> AgentSettings:
    """Read applied settings as they are stored; `UNREADABLE` where they were damaged."""
    try:
        return STORED.validate_json(stored)
    except ValueError:
        return UNREADABLE


@lru_cache(maxsize=1024)
def allowed_recipients(stored_settings: str) -> frozenset[str] | None:
    """Give the allow-list of an agent; None is open, empty is only manager and operator."""
    allowed = settings_of(stored_settings).allowed_recipients
    return None if allowed is None else frozenset(allowed)


def may_write(sender_role: str, allowed: Iterable[str] | None, recipient: str, recipient_role: str) -> bool:
    """Decide one pair. Manager and operator are reachable for everyone; the manager reaches everyone."""
    if sender_role in ALWAYS_REACHABLE or recipient_role in ALWAYS_REACHABLE:
        return True
    return allowed is None or recipient in frozenset(allowed)


def require_may_write(sender: str, sender_role: str, stored_settings: str, recipient: str, recipient_role: str) -> None:
    """Refuse a send that the allow-list forbids.

    Raises:
        Denied: names the recipients that are allowed.
    """
    if sender_role in ALWAYS_REACHABLE or recipient_role in ALWAYS_REACHABLE:
        return
    allowed = allowed_recipients(stored_settings)
    if allowed is None or recipient in allowed:
        return
    reachable = ", ".join(["manager", "operator", *sorted(allowed)])
    raise Denied(f"{sender} may not write to {recipient}; allowed: {reachable}. Ask the manager to relay it.")


def kind_of(caller: Caller, role: str) -> Kind:
    """Give the provenance that is stamped on mail of this caller."""
    if caller.name == OPERATOR:
        return "operator"
    return "manager" if role == "manager" else "peer"
