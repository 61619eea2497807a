"""What has to be true of asks after every commit: asked of SQLite, and compared with the paper.

The numbers are those of the invariants that the project set itself for its first release. Each query gives the rows
that break its rule.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from tests.model.paper import Paper
from wire.asks import MAX_OPEN

Rows = list[tuple[Any, ...]]

BROKEN_BY: dict[str, str] = {
    "13 answered, but not in exactly one letter, or a letter without an answer": """
        SELECT id FROM asks
        WHERE (state = 'answered' AND kind = 'question' AND asker <> target) <> (answer_message IS NOT NULL)
        UNION ALL SELECT k.id FROM messages m JOIN asks k ON k.id = CAST(substr(m.about ->> 'ask', 2) AS INTEGER)
        WHERE m.about IS NOT NULL AND m.about ->> 'part' = 'answer'
        AND (k.answer_message IS NOT m.id OR m.in_reply_to <> k.message)""",
    "13 answered by somebody who was not asked": """
        SELECT id FROM asks
        WHERE state = 'answered'
        AND (answered_by NOT IN (target, 'operator') OR (answered_by = asker AND job IS NULL))""",
    "a permission that outlived its turn": """
        SELECT k.id FROM asks k JOIN turns t ON t.id = k.turn
        WHERE k.kind = 'permission' AND k.state = 'open' AND t.state = 'closed'""",
    "an open ask of or to somebody who is gone": """
        SELECT k.id FROM asks k JOIN agents a ON a.name IN (k.asker, k.target)
        WHERE k.state = 'open' AND a.state = 'removed'""",
    "the same permission twice": """
        SELECT max(id) FROM asks WHERE state = 'open' AND kind = 'permission'
        GROUP BY asker, target, question HAVING count(*) > 1""",
    "too many open questions": f"""
        SELECT max(id) FROM asks WHERE state = 'open' AND kind = 'question' AND asker <> 'operator' AND job IS NULL
        GROUP BY asker HAVING count(*) > {MAX_OPEN}""",  # noqa: S608  # a number
}

ALL = " UNION ALL ".join(
    f"SELECT {position} AS rule, * FROM ({query})"  # noqa: S608  # texts from above
    for position, query in enumerate(BROKEN_BY.values())
)

ASKS = """
    SELECT id, kind, asker, target, CAST(question AS BLOB), options, multi, turn, deadline_at, message, state,
           answer, answered_by, answer_message, ended_at, job FROM asks ORDER BY id"""
ABOUT = "SELECT id, about FROM messages WHERE id > :after AND about IS NOT NULL ORDER BY id"
OVERDUE = """
    SELECT 'a' || id FROM asks WHERE state = 'open' AND deadline_at <= :now"""


class AskInspector:
    """Looks at asks beside the services, and remembers how those ended that did."""

    def __init__(self, rows: Callable[..., Rows]) -> None:
        self._rows = rows
        self._letters = 0
        self._ended: dict[int, tuple[Any, ...]] = {}

    def check(self, paper: Paper) -> None:
        """Compare with the paper, then ask for broken rules."""
        asks = self._rows(ASKS)
        same("asks", asks, _asks(paper))
        self._check_about(paper)
        self._check_history(asks)
        if asks:
            broken = self._rows(ALL)
            names = list(BROKEN_BY)
            assert not broken, [f"{names[rule]}: {row!r}" for rule, *row in broken]

    def check_nothing_overdue(self, now: int) -> None:
        """14, 15: what was due has been done."""
        assert self._rows(OVERDUE, now=now) == []

    def _check_about(self, paper: Paper) -> None:
        """What letters carry beside their words."""
        real = [(number, json.loads(about)) for number, about in self._rows(ABOUT, after=self._letters)]
        new = [(letter.id, letter.about) for letter in paper.letters[self._letters :] if letter.about is not None]
        same("what letters carry", real, [(number, _told(about)) for number, about in new])
        self._letters = len(paper.letters)

    def _check_history(self, asks: Rows) -> None:
        """13: an ask ends once; nothing of it changes afterwards but which job it was for, which may be heard late."""
        for row in (row[:-1] for row in asks):
            before = self._ended.setdefault(row[0], row) if row[10] != "open" else self._ended.get(row[0], row)
            assert row == before, f"an ask that ended: {before!r}, and now {row!r}"


def same(what: str, real: Rows, paper: Iterable[tuple[Any, ...]]) -> None:
    """Fail with what differs."""
    expected = list(paper)
    if real == expected:
        return
    differences = [f"real {one!r}, paper {other!r}" for one, other in zip(real, expected, strict=False) if one != other]
    raise AssertionError(f"{what} ({len(real)} real, {len(expected)} on paper): {differences}")


def _told(about: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in about.items() if value not in (None, False, 0)}


def _asks(paper: Paper) -> Iterable[tuple[Any, ...]]:
    return (
        (ask.id, ask.kind, ask.asker, ask.target, ask.stored, _options(ask.options), ask.multi, ask.turn,
         ask.deadline, ask.letter.id if ask.letter else None, ask.state, ask.answer, ask.answered_by, ask.brought_by,
         ask.ended, ask.job)
        for ask in paper.asks
        if not ask.gone
    )  # fmt: skip


def _options(options: list[str] | None) -> str | None:
    return None if options is None else json.dumps(options, ensure_ascii=False)
