"""Defects of the safety valves, to be put in on purpose: what stands in a query, or what a service does instead."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from broker.services import audit, freezing, letters, recall, storms
from broker.services.admission import Sender
from broker.services.callers import Caller
from broker.store.sql import Queries
from broker.store.tx import Row, Tx
from wire.ids import message_number

FROZEN = "a.frozen OR (SELECT f.frozen FROM fleet f WHERE f.id = 1) AS frozen"

OF_QUERIES: dict[str, tuple[str, str, str]] = {
    "held mail goes on": ("storms.add_held", "'held', j.value", "'ready', j.value"),
    "a pair is only who writes": ("storms.traffic", "f.sender = j.value AND", "0 AND f.sender = j.value AND"),
    "a release leaves the budget spent": ("storms.forgive_pair", "WHERE", "WHERE 0 AND"),
    "the operator's word gives no budget": ("storms.forgive", "WHERE", "WHERE 0 AND"),
    "held mail that was discarded comes back": ("letters.end_held", "discarded_at = :now", "discarded_at = NULL"),
    "a recall stops at the letter itself": ("letters.family", "ON m.turn = l.turn", "ON m.turn = 0 * l.turn"),
    "a frozen agent gets a turn": ("turns.holder", FROZEN, "0 AS frozen"),
    "a frozen agent writes": ("inbox.sender", FROZEN, "0 AS frozen"),
    "nobody counts what is forgotten": ("retention.count", "WHERE", "WHERE 0 AND"),
    "an agent's newest turn is forgotten": ("retention.drop_turns", "t.id < (SELECT max", "t.id <= (SELECT max"),
    "an open ask loses its letter": ("retention.left_over", "WHERE a.state = 'open'", "WHERE 0 AND a.state = 'open'"),
}
"""Query, what stands there, and what stands there in the defect."""


def _no_storm(patch: pytest.MonkeyPatch) -> None:
    """Weigh nothing."""

    def light(*_args: object) -> dict[str, str]:
        return {}

    patch.setattr(storms, "weigh", light)


def _no_circle(patch: pytest.MonkeyPatch) -> None:
    """See pairs only."""

    def none(*_args: object) -> None:
        return None

    patch.setattr(storms, "busiest", none)


def _held_in_quota(patch: pytest.MonkeyPatch) -> None:
    """Count held mail into the quota."""
    hold = storms.hold

    def counted(tx: Tx, message: int, sender: Sender, held: Mapping[str, str], size: int) -> None:
        hold(tx, message, sender, held, size)
        for name in held:
            tx.run("inbox.count_one_in", recipient=name, messages=1, bytes=size)

    patch.setattr(storms, "hold", counted)


def _released_twice(patch: pytest.MonkeyPatch) -> None:
    """Release what waits already."""

    def waiting(tx: Tx, text: str, recipient: str | None) -> list[Row]:
        rows = tx.all("letters.copies", message=message_number(text), recipient=recipient)
        return [row for row in rows if row["state"] in ("held", "ready")]

    patch.setattr(letters, "_held", waiting)


def _silent_release(patch: pytest.MonkeyPatch) -> None:
    """Write everything down but releases."""
    write = audit.write

    def most(tx: Tx, caller: Caller, action: str, subject: str, **detail: Any) -> None:
        if action != "message.released":
            write(tx, caller, action, subject, **detail)

    patch.setattr(audit, "write", most)


def _recalls_leased(patch: pytest.MonkeyPatch) -> None:
    """Take mail out of turns."""
    patch.setattr(recall, "UNLEASED", ("scheduled", "ready", "held", "leased"))
    queries = Queries.from_package()
    patch.setitem(queries, "letters.recall", queries["letters.recall"].replace("'ready',", "'ready', 'leased',"))


def _turns_run_on(patch: pytest.MonkeyPatch) -> None:
    """Freeze without ending turns."""

    def nothing(*_args: object) -> None:
        return None

    patch.setattr(freezing, "_stop", nothing)


def _forgets_waiting(patch: pytest.MonkeyPatch) -> None:
    """Delete mail that waits, as if it had died long ago."""
    queries = Queries.from_package()
    dead = "deliveries INDEXED BY deliveries_settled\nWHERE state IN ('dead', 'expired') AND settled_at < :dead_before"
    assert dead in queries["retention.settled"], "it reads differently now; put the defect in anew"
    waiting = "deliveries WHERE state IN ('dead', 'expired', 'ready') AND coalesce(settled_at, 0) < :dead_before"
    patch.setitem(queries, "retention.settled", queries["retention.settled"].replace(dead, waiting))
    drop = queries["retention.drop_deliveries"]
    patch.setitem(queries, "retention.drop_deliveries", drop.replace("'dead',", "'dead', 'ready',"))


OF_SERVICES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "a storm is never held": _no_storm,
    "a circle is never held": _no_circle,
    "held mail is in the quota": _held_in_quota,
    "what was released is released again": _released_twice,
    "a release leaves no trace": _silent_release,
    "a recall takes leased mail": _recalls_leased,
    "a freeze lets turns run on": _turns_run_on,
    "retention deletes what waits": _forgets_waiting,
}
