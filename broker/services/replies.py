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
    told = earlier(tx, caller, request, result)
    if told is not None:
        return told
    answer = command()
    tx.run(
        "replies.add",
        principal=caller.principal,
        op=_op(request),
        key=request.key,
        request_sha256=_digest(request),
        result=answer.model_dump_json(),
        now=tx.now_ms,
    )
    return answer


def earlier(tx: Tx, caller: Caller, request: Mutation, result: type[R]) -> R | None:
    """Give what the same request under the same key was answered before; for what does more than a command.

    Raises:
        Conflict: the key was used for something else.
    """
    row = tx.one("replies.find", principal=caller.principal, op=_op(request), key=request.key)
    if row is None:
        return None
    if row["request_sha256"] != _digest(request):
        raise Conflict(f"key {request.key!r} was already used for another {_op(request)}; use a new key")
    return result.model_validate_json(row["result"])


def _op(request: Mutation) -> str:
    return type(request).model_fields["op"].default


def _digest(request: Mutation) -> bytes:
    return hashlib.sha256(request.model_dump_json(exclude={"id", "as_", "key"}).encode()).digest()
