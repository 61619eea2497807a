"""Safe retries: (principal, op, key) → result, stored in the transaction that made it (DESIGN 4).

`inbox.send` is not among them: its key is a column of its message and lives as long.
"""

import hashlib
from collections.abc import Callable
from typing import TypeVar

from broker.services.callers import Caller
from broker.store.tx import Tx
from wire.errors import Conflict
from wire.model import Mutation, Result

R = TypeVar("R", bound=Result)

KEPT_MS = 24 * 3600 * 1000


def once(tx: Tx, caller: Caller, request: Mutation, result: type[R], command: Callable[[], R]) -> R:
    """Run `command`, or give the result that the same request under the same key got before.

    Raises:
        Conflict: the key was used for something else.
    """
    op: str = type(request).model_fields["op"].default
    digest = hashlib.sha256(request.model_dump_json(exclude={"id", "as_", "key"}).encode()).digest()
    row = tx.one("replies.find", principal=caller.principal, op=op, key=request.key)
    if row is not None:
        if row["request_sha256"] != digest:
            raise Conflict(f"key {request.key!r} was already used for another {op}; use a new key")
        return result.model_validate_json(row["result"])
    answer = command()
    tx.run(
        "replies.add",
        principal=caller.principal,
        op=op,
        key=request.key,
        request_sha256=digest,
        result=answer.model_dump_json(),
        now=tx.now_ms,
    )
    return answer
