"""Jobs and their events as they are stored, read one by one: a damaged row shows as broken and hides no other.

What may be done with a job is in `jobs`, what an event does to it in `job_events`.
"""

import hashlib
import json
from typing import Any, cast

from broker.store.tx import Row
from wire.ids import message_id
from wire.jobs import Job, JobEvent

BROKEN = "[broken: the stored text is not what was written]"


def job_of(row: Row) -> Job:
    """Give a row as those see it who may; a broken one without its words."""
    return Job(
        id=row["id"],
        state=row["state"],
        prompt=_prompt(row),
        made_by=row["made_by"],
        to=row["assigned"],
        message=None if row["message"] is None else message_id(row["message"]),
        claimed_by=row["claimed_by"],
        epoch=row["epoch"],
        registered_at_ms=row["registered_at"],
        claimed_at_ms=row["claimed_at"],
        heard_at_ms=row["heard_at"],
        due_at_ms=row["due_at"],
        ended_at_ms=row["ended_at"],
        detail=_text(row["detail"] or b""),
        events=row["events"],
        overdue=bool(row["overdue"]),
        imported=row["imported"] is not None,
        freshness_s=None if row["freshness_ms"] is None else row["freshness_ms"] / 1000,
    )


def event_of(row: Row) -> JobEvent:
    """Give an event as it was recorded."""
    return JobEvent(
        number=row["number"],
        job=row["job"],
        event=row["event"],
        epoch=row["epoch"],
        seq=row["seq"],
        verdict=row["verdict"],
        timestamp=row["said_at"],
        received_at_ms=row["received_at"],
        detail=_text(row["detail"]),
        data=_data(row["data"]),
    )


def _prompt(row: Row) -> str:
    if hashlib.sha256(row["prompt"]).digest() != row["prompt_sha256"]:
        return BROKEN
    return row["prompt"].decode()


def _text(stored: bytes) -> str:
    try:
        return stored.decode()
    except ValueError:
        return BROKEN


def _data(stored: bytes) -> dict[str, Any]:
    try:
        value: object = json.loads(stored)
    except ValueError:
        value = None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"broken": BROKEN}
