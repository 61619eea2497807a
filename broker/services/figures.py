"""What the broker did, in numbers; and the write and the wake by which `doctor` proves that it works."""

from broker.store.readers import Reader
from broker.store.tx import Tx

DAY_MS = 86_400_000
PROBER = "~probe"
"""Whom a probe wakes; no agent can be called so."""


async def counts(reader: Reader, figure: str, **params: int) -> dict[str, int]:
    """Count one figure of `figures.sql` by its label."""
    return {row["label"]: row["n"] for row in await reader.all(f"figures.{figure}", **params)}


async def turn_lengths(reader: Reader, since_ms: int) -> tuple[int | None, int | None]:
    """Give the middle and the 95th percentile of how long turns took, in milliseconds; None without any."""
    row = await reader.one("figures.turn_lengths", since=since_ms)
    return (row["p50"], row["p95"]) if row else (None, None)


async def firings(reader: Reader, since_ms: int) -> int:
    """Count reminders that fired."""
    row = await reader.one("figures.firings", since=since_ms)
    return row["n"] if row else 0


def last_probe(tx: Tx) -> int:
    """Give the number of the last probe."""
    row = tx.one("figures.probed")
    return row["probed_at"] if row else 0


def probe_after(tx: Tx, number: int) -> int | None:
    """Give the number of a later probe; None while there is none. What a waiter runs."""
    last = last_probe(tx)
    return last if last > number else None


def write_probe(tx: Tx) -> None:
    """Write something durable that is nobody's mail, and wake who waits for it."""
    tx.run("figures.probe")
    tx.woke(PROBER)
