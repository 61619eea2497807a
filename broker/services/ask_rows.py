"""Asks as they are stored, read one by one: a damaged row shows as broken and hides no other.

What may be done with an ask is in `asks`, how it ends without an answer in `ask_ends`.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import cast

from broker.store.tx import Row, Tx
from wire.asks import SHOWN_OPEN, Ask, OpenAsk
from wire.ids import ask_id, message_id, turn_id

EXCERPT_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class Words:
    """What people and models wrote into an ask."""

    question: str
    options: list[str] | None
    answer: str | None


def words_of(row: Row) -> Words | None:
    """Read the texts of a row; None where they are not what was written."""
    if hashlib.sha256(row["question"]).digest() != row["question_sha256"]:
        return None
    try:
        options = None if row["options"] is None else json.loads(row["options"])
        answer = None if row["answer"] is None else row["answer"].decode()
    except ValueError:
        return None
    if options is not None and not _are_texts(options):
        return None
    return Words(row["question"].decode(), options, answer)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in cast("list[object]", value))


def ask_of(row: Row) -> Ask:
    """Give a row as those see it who may; a broken one without its words."""
    words = words_of(row)
    return Ask(
        id=ask_id(row["id"]),
        kind=row["kind"],
        asker=row["asker"],
        target=row["target"],
        question=words.question if words else "",
        options=words.options if words else None,
        multi=bool(row["multi"]),
        state=row["state"],
        asked_at_ms=row["asked_at"],
        deadline_at_ms=row["deadline_at"],
        answer=words.answer if words else None,
        answered_by=row["answered_by"],
        ended_at_ms=row["ended_at"],
        turn=None if row["turn"] is None else turn_id(row["turn"]),
        message=None if row["message"] is None else message_id(row["message"]),
        broken=words is None,
    )


def unanswered(tx: Tx, agent: str) -> list[OpenAsk]:
    """Give what an agent was asked in mail that it has handled, and did not answer; broken rows are left out."""
    found: list[OpenAsk] = []
    for row in tx.all("asks.unanswered", target=agent, limit=SHOWN_OPEN):
        words = words_of(row)
        if words is not None:
            shown = OpenAsk(
                id=ask_id(row["id"]), asker=row["asker"], kind=row["kind"], excerpt=excerpt(words.question),
                deadline_at_ms=row["deadline_at"],
            )  # fmt: skip
            found.append(shown)
    return found


def excerpt(text: str) -> str:
    """Give the beginning of a text on one line."""
    line = " ".join(text[: EXCERPT_CHARACTERS * 4].split())
    if len(line) <= EXCERPT_CHARACTERS and len(text) <= EXCERPT_CHARACTERS * 4:
        return line
    return f"{line[: EXCERPT_CHARACTERS - 1]}…"
