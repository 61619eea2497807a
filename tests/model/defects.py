"""Defects of asks and reminders, to be put in on purpose: what stands in a query, or what a service does instead."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broker.services import ask_mail, asks, civil_time
from broker.services.callers import Caller
from broker.store.sql import Queries
from broker.store.tx import Row, Tx
from wire.ids import ask_number, unknown

OF_QUERIES: dict[str, tuple[str, str, str]] = {
    "a deadline never comes": ("asks.expire", "WHERE state = 'open' AND id IN", "WHERE 0 AND id IN"),
    "nobody looks at the clock for deadlines": ("turns.next_due", "FROM asks WHERE", "FROM asks WHERE 0 AND"),
    "a set clock moves deadlines": ("asks.shift_deadlines", "deadline_at + :step", "deadline_at + 0 * :step"),
    "a permission outlives its turn": ("asks.cancel_of_turn", "WHERE turn", "WHERE 0 AND turn"),
    "a permission outlives a lapsed turn": ("asks.cancel_of_lapsed", "WHERE turn", "WHERE 0 AND turn"),
    "the same permission is put twice": ("asks.same_permission", "WHERE asker", "WHERE 0 AND asker"),
    "everybody asks as much as it likes": ("asks.count_open_by", "count(*)", "0 * count(*)"),
    "handled mail closes the ask in it": ("asks.unanswered", "'acked', 'dead'", "'dead'"),
    "asks outlive those who asked": ("asks.cancel_of_agent", "asker = :agent", "0 AND asker = :agent"),
    "mail of an ask that is over stays": ("asks.waiting_mail", "WHERE message", "WHERE 0 AND message"),
    "what was missed is lost": ("reminders.due", "r.due_at <= :now", "r.due_at BETWEEN :now - 60000 AND :now"),
    "what was missed is not counted": ("reminders.add_firing", ":missed", "0 * :missed"),
    "a failure of a firing is not counted": ("reminders.add_firing", ":attempts", "min(:attempts, 1)"),
    "a cancelled reminder fires": ("reminders.cancel", "WHERE", "WHERE 0 AND"),
    "reminders outlive their agent": ("reminders.cancel_of_agent", "WHERE", "WHERE 0 AND"),
    "everybody sets as many as it likes": ("reminders.owner", "(SELECT count(*)", "(SELECT 0 * count(*)"),
    "everybody sets as fast as it likes": ("reminders.spend", "WHERE", "WHERE 0 AND"),
    "a retry has no budget": ("reminders.retry", "attempts = 0", "attempts = attempts"),
    "nobody looks at the clock for reminders": ("turns.next_due", "FROM reminders WHERE", "FROM reminders WHERE 0 AND"),
    "a set clock moves delays": ("reminders.shift_clock", "WHERE", "WHERE 0 AND"),
    "a set clock moves civil times": ("reminders.shift_clock", "AND elapsed = 1", ""),
}  # fmt: skip
"""Query, what stands there, and what stands there in the defect."""


def _answered_twice(patch: pytest.MonkeyPatch) -> None:
    """Take every answer for the first one."""
    queries, real = Queries.from_package(), asks._mine  # pyright: ignore[reportPrivateUsage]  # to break it
    first = " AND state = 'open'"
    assert first in queries["asks.answer"]
    patch.setitem(queries, "asks.answer", queries["asks.answer"].replace(first, ""))

    def open_again(tx: Tx, caller: Caller, ask: str) -> Any:
        return dict(real(tx, caller, ask)) | {"state": "open"}

    patch.setattr(asks, "_mine", open_again)


def _anybody_answers(patch: pytest.MonkeyPatch) -> None:
    """Show every ask to everybody."""

    def anybodys(tx: Tx, _caller: Caller, ask: str) -> Row:
        row = tx.one("asks.ask", ask=ask_number(ask))
        if row is None:
            raise unknown("ask", ask)
        return row

    patch.setattr(asks, "_mine", anybodys)


def _replies_to_another(patch: pytest.MonkeyPatch) -> None:
    """Let an answer reply to the first letter that there is."""

    def wrong(tx: Tx, caller: Caller, sender: Any, row: Any, text: str) -> int | None:
        return ask_mail.put_answer(tx, caller, sender, dict(row) | {"message": 1}, text)  # pyright: ignore[reportArgumentType]

    patch.setattr(asks, "put_answer", wrong)


def _waits_on(patch: pytest.MonkeyPatch) -> None:
    """Tell nobody who waits that a permission has ended."""

    def nothing(*_args: object) -> None:
        """Do nothing in place of what should be done."""

    patch.setattr(asks, "ended", nothing)


def _fires_twice(patch: pytest.MonkeyPatch) -> None:
    """Fire the same occurrence until somebody stops it."""
    queries = Queries.from_package()
    for name, right, wrong in (
        ("reminders.advance", "WHERE", "WHERE :now % 2 AND"),
        ("reminders.due", "(SELECT max(f.nominal_at) FROM firings f WHERE f.reminder = r.id)", "NULL"),
        ("reminders.add_firing", "INSERT", "INSERT OR REPLACE"),
    ):
        assert right in queries[name]
        patch.setitem(queries, name, queries[name].replace(right, wrong))


def _in_a_gap(patch: pytest.MonkeyPatch) -> None:
    """Move a civil time that is skipped by the gap, not to its end."""

    def moved(civil: datetime, zone: ZoneInfo) -> int:
        return int(civil.replace(tzinfo=zone).timestamp() * 1000)

    patch.setattr(civil_time, "_instant_of", moved)


def _in_a_fold(patch: pytest.MonkeyPatch) -> None:
    """Take the second coming of a civil time that comes twice."""

    def second(civil: datetime, zone: ZoneInfo) -> int:
        return int(civil.replace(tzinfo=zone, fold=1).timestamp() * 1000)

    real = civil_time._instant_of  # pyright: ignore[reportPrivateUsage]  # to break it

    def later(civil: datetime, zone: ZoneInfo) -> int:
        return max(real(civil, zone), second(civil, zone))

    patch.setattr(civil_time, "_instant_of", later)


OF_SERVICES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "an ask is answered twice": _answered_twice,
    "anybody answers an ask": _anybody_answers,
    "an answer replies to another letter": _replies_to_another,
    "whoever waits for an answer waits on": _waits_on,
    "a reminder fires twice": _fires_twice,
    "a gap moves a reminder too far": _in_a_gap,
    "a fold moves a reminder": _in_a_fold,
}
