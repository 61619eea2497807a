"""The index of the search: filled when somebody searches, in small commands, so that sends pass between them.

A damaged body goes in empty. Retention takes out what it deletes, but for bodies that were damaged since: those stay
as words without a message, which a search passes over; when such entries span most of the index, it is made anew.
"""

from broker.services.leasing import is_intact
from broker.store.tx import Row, Tx

CHUNK_MESSAGES = 500
CHUNK_BYTES = 64 * 1024
"""What one command puts in: some ten milliseconds of the writer's time."""
FORGOTTEN_MIN = 1000
"""An index with fewer dead entries than this is not made anew."""


def is_stale(state: Row) -> bool:
    """Say whether most of what the index spans was deleted since."""
    forgotten = state["oldest"] - state["oldest_indexed"] if state["oldest_indexed"] else 0
    return forgotten > max(state["indexed_to"] - state["oldest"] + 1, FORGOTTEN_MIN)


def begin_anew(tx: Tx) -> None:
    """Empty the index. Harmless when repeated."""
    tx.run("finding.empty_index")
    tx.run("finding.set_indexed", id=0)


def index_some(tx: Tx) -> int:
    """Put the next messages into the index; gives the last one that is in it then, 0 if there was nothing left."""
    entries: list[dict[str, str | int]] = []
    size = 0
    for row in tx.each("finding.unindexed", limit=CHUNK_MESSAGES):
        entries.append({"id": row["id"], "body": row["body"].decode() if is_intact(row) else ""})
        size += len(row["body"])
        if size >= CHUNK_BYTES:
            break
    if not entries:
        return 0
    tx.run_each("finding.index", entries)
    last = int(entries[-1]["id"])
    tx.run("finding.set_indexed", id=last)
    return last
