"""The audit trail: one row for every state-changing action of an operator, kept for good."""

import json
from collections.abc import Iterable
from typing import Any

from broker.services.callers import Caller
from broker.store.tx import Row, Tx
from wire.inbox import Happening


def write(tx: Tx, caller: Caller, action: str, subject: str, **detail: Any) -> None:
    """Write down an action in the transaction that performs it."""
    tx.run(
        "audit.add",
        now=tx.now_ms,
        principal=caller.principal,
        action=action,
        subject=subject,
        detail=json.dumps(detail, ensure_ascii=False, sort_keys=True),
    )
    tx.log(action.replace(".", "_"), principal=caller.principal, subject=subject, **detail)


def words(detail: str) -> str:
    """Give what was written down beside an action; a damaged row shows as broken."""
    try:
        return " ".join(f"{key}={value}" for key, value in json.loads(detail).items())
    except (ValueError, AttributeError):
        return "[broken: the stored detail cannot be read]"


def story(rows: Iterable[Row]) -> list[Happening]:
    """Tell what operators did, for the history of a thing."""
    return [
        Happening(
            at_ms=row["at"],
            event=row["action"],
            detail=f"by {row['principal']} {words(row['detail'])}".rstrip(),
        )
        for row in rows
    ]
