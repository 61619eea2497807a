"""A fleet that starts again: the manager goes first, and everybody is told once (DESIGN 8).

What comes again to the others waits for the end of the manager's first turn, for 30 s at most: the manager may want
to say something about it. Nobody waits for a manager that does not come, may not work, or has nothing to do.
In which order a harness starts its agents is the harness' business.
"""

from broker.services import notices
from broker.services.policy import settings_of
from broker.store.tx import Row, Tx

WAIT_MS = 30_000

RESTARTED = (
    "The fleet was restarted, and you with it. What you had not finished comes again, marked as redelivered. "
    "This is for your information; it needs no answer."
)


def start(tx: Tx) -> None:
    """After a start of the broker: let others wait for the manager, where there is one to wait for."""
    tx.run("restarts.go_on")
    row = tx.one("restarts.manager", now=tx.now_ms)
    if row is not None and _is_awaited(row):
        tx.run("restarts.wait", until=tx.now_ms + WAIT_MS)
        tx.revise_due()
        tx.log("others_wait_for_manager", manager=row["name"], at_most_s=WAIT_MS // 1000)


def _is_awaited(row: Row) -> bool:
    """Say whether a first turn of the manager is to be expected."""
    if row["state"] != "active" or row["paused"] or row["frozen"] or row["budget_until"] is not None:
        return False
    if settings_of(row["settings"]).backend == "none":
        return False
    attached = row["instance"] is not None and row["lost_at"] is None
    return not attached or (not row["attended"] and bool(row["working"] or row["has_mail"]))


def keeps_back(tx: Tx, holder: Row, rows: list[Row]) -> bool:
    """Say whether a turn over this mail has to wait: it comes again, and the manager has not had its turn yet."""
    until = holder["others_wait_until"]
    if until is None or until <= tx.now_ms or holder["role"] == "manager":
        return False
    return any(row["attempt"] for row in rows)


def revise(tx: Tx, role: str) -> None:
    """Something happened to an agent: if it is the manager, it may be one that nobody has to wait for any more."""
    if role != "manager":
        return
    row = tx.one("restarts.manager", now=tx.now_ms)
    if row is None or (row["others_wait_until"] is not None and not _is_awaited(row)):
        go_on(tx)


def go_on(tx: Tx) -> None:
    """Nobody waits any more: the manager's first turn is over, or there will be none. Idempotent."""
    if tx.run("restarts.go_on"):
        _wake(tx)


def go_on_if_due(tx: Tx) -> None:
    """The manager has had its time."""
    if tx.run("restarts.go_on_if_due", now=tx.now_ms):
        _wake(tx)


def _wake(tx: Tx) -> None:
    tx.revise_due()
    rows = tx.all("restarts.waiting")
    for row in rows:
        tx.woke(row["recipient"])
    tx.log("others_go_on", agents=len(rows))


def clock_was_set(tx: Tx, step_ms: int) -> None:
    """Keep what is left of the wait."""
    tx.run("restarts.shift", step=step_ms, latest=tx.now_ms + WAIT_MS)


def tell(tx: Tx, agent: str) -> None:
    """Tell an agent that it was restarted: with its next mail, and once, however often that happens before."""
    if tx.one("restarts.riding", recipient=agent) is None:
        notices.write_riding(tx, agent, RESTARTED)
