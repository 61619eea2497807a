"""The accounts that the file declares: logins that agents share. The broker only keeps them; harnesses use them."""

from pydantic import TypeAdapter, ValidationError

from broker.store.tx import Tx
from wire.settings import DEFAULT_ACCOUNT, AccountSettings, AgentSettings, AppliedAccount

_STORED: TypeAdapter[dict[str, AccountSettings]] = TypeAdapter(dict[str, AppliedAccount])


def applied_accounts(tx: Tx) -> dict[str, AccountSettings]:
    """Read the applied accounts; where they were damaged there are none until they are applied again."""
    row = tx.one("fleet.tables")
    try:
        return _STORED.validate_json(row["accounts"]) if row else {}
    except ValidationError:
        tx.log("accounts_unreadable")
        return {}


def account_of(tx: Tx, settings: AgentSettings) -> AccountSettings | None:
    """Give the account that an agent names, or the default one; None where the file declares none of that name."""
    if settings.account is None and settings.backend in ("none", "command", "scripted"):
        return None
    return applied_accounts(tx).get(settings.account or DEFAULT_ACCOUNT)
