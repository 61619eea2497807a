"""Logins that do not work any more: the operator is told once, with what mends it, until a turn was completed again.

Which login an agent has is decided by its harness; here it is only named, for whoever has to mend it.
"""

from broker.services import notices
from broker.services.accounts import account_of
from broker.services.callers import OPERATOR
from broker.services.policy import settings_of
from broker.store.tx import Tx
from wire.logins import KEYS, mend_of
from wire.settings import DEFAULT_ACCOUNT, AccountSettings, AgentSettings

REASON_CHARACTERS = 300


def tell(tx: Tx, agent: str, turn: int, reason: str) -> None:
    """Tell the operator that a turn of the agent ended because its login does not work, unless that is known.

    Many turns may end so, of all agents that log in alike: that is one notice. A completed turn ends it.
    """
    row = tx.one("logins.before", agent=agent, turn=turn)
    if row is None or row["outcome"] == "auth":
        return
    settings = settings_of(row["settings"])
    login = _name_of(agent, settings)
    text = (
        f"The login of {login} does not work: {' '.join(reason.split())[:REASON_CHARACTERS]}\n"
        f"This mends it: {_mend(tx, agent, settings)}\n"
        "Until then its mail waits, and nothing counts against it; whether it works is tried by itself."
    )
    notices.tell(tx, OPERATOR, text, cause=f"login:{login}")
    tx.log("login_refused", agent=agent, login=login)


def _name_of(agent: str, settings: AgentSettings) -> str:
    if _has_its_own(settings):
        return f"agent {agent} ({settings.backend})"
    return f"account {settings.account or DEFAULT_ACCOUNT} ({settings.backend})"


def _has_its_own(settings: AgentSettings) -> bool:
    """As far as it can be told from here: a file that only the harness opens is taken to hold a key."""
    names = KEYS.get(settings.backend)
    if names is None:
        return True
    has_key = settings.env_file is not None or any(settings.env.get(name) for name in names)
    return settings.account is None and has_key


def _mend(tx: Tx, agent: str, settings: AgentSettings) -> str:
    if settings.backend not in KEYS:
        return "log its program in, as it wants it"
    if not _has_its_own(settings):
        account = account_of(tx, settings) or AccountSettings()
        return mend_of(settings.backend, settings.account or DEFAULT_ACCOUNT, account)
    if settings.env_file is not None:
        return f"put a key that works into {settings.env_file}"
    name = next(name for name in KEYS[settings.backend] if settings.env.get(name))
    return f"set {name} in the `env` of [agents.{agent}], then queenpost apply"
