"""The rows of a message's life, written as plainly as Python can: no check, no read, one transaction a batch.

Requests and answers are those of the product. What it looks up, this keeps in memory. It is no post office: a
restart would forget the mail.
"""

import sqlite3
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from broker.store.migrate import product_migrations
from broker.store.sql import Queries

PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "cache_size = -65536",
           "temp_store = MEMORY", "wal_autocheckpoint = 4000")  # fmt: skip
"""What the product's own connection is set to, where it matters for speed."""

FRAME_BYTES = 160
DIGEST = bytes(32)
"""Stands for every checksum; the floor computes none."""


@dataclass(slots=True)
class Letter:
    """A message that waits, or that a turn holds."""

    message: int
    delivery: int
    sender: str
    recipient: str
    body: str
    bytes: int
    sent_at_ms: int


@dataclass(slots=True)
class Job:
    """One request and the connection that wants the answer."""

    line: Any
    frame: dict[str, Any]


@dataclass(slots=True)
class Answer:
    """The result of a job, committed."""

    job: Job
    result: dict[str, Any]


class Store:
    """One writing connection on the product's schema. Used by one thread."""

    def __init__(self, path: Path, agents: Iterable[str]) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
        for pragma in PRAGMAS:
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        for migration in product_migrations():
            self._db.executescript(migration.sql)
        self._sql = Queries.from_text({"floor": (files("benchmarks.floor") / "writes.sql").read_text("utf-8")})
        self._places: defaultdict[str, int] = defaultdict(int)
        self._mail: defaultdict[str, deque[Letter]] = defaultdict(deque)
        self._parked: dict[str, Job] = {}
        self._turns: dict[int, Letter] = {}
        self._now_ms = 0
        with self._db:
            for agent in agents:
                self._run("floor.add_agent", name=agent, now=0)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def commit(self, jobs: Iterable[Job]) -> list[Answer]:
        """Write a batch in one transaction; parked opens share the commit of the send that wakes them."""
        self._now_ms = time.time_ns() // 1_000_000
        answers: list[Answer] = []
        woken: list[str] = []
        self._db.execute("BEGIN IMMEDIATE")
        for job in jobs:
            frame = job.frame
            match frame["op"]:
                case "inbox.send":
                    answers.append(Answer(job, self._send(frame)))
                    woken.append(frame["to"])
                case "turns.open":
                    self._parked[frame["as"]] = job
                    woken.append(frame["as"])
                case "turns.close":
                    answers.append(Answer(job, self._close(frame)))
                case _:
                    answers += self._withdraw(job)
        for agent in woken:
            if agent in self._parked and self._mail[agent]:
                answers.append(Answer(self._parked.pop(agent), self._open(agent)))
        self._db.execute("COMMIT")
        return answers

    def _run(self, query: str, **params: str | bytes | int | None) -> int:
        return self._db.execute(self._sql[query], params).lastrowid or 0

    def _send(self, frame: dict[str, Any]) -> dict[str, Any]:
        sender, to, body = frame["as"], frame["to"], frame["body"]
        size = len(body) + FRAME_BYTES
        self._places[to] += 1
        message = self._run(
            "floor.add_message", sender=sender, recipient=to, body=body, key=frame["key"], digest=DIGEST,
            now=self._now_ms,
        )  # fmt: skip
        delivery = self._run(
            "floor.add_delivery", message=message, recipient=to, sender=sender, bytes=size, place=self._places[to]
        )
        self._run("floor.count", recipient=to, messages=1, bytes=size)
        self._run("floor.spend", sender=sender, now=self._now_ms)
        self._mail[to].append(Letter(message, delivery, sender, to, body, size, self._now_ms))
        return {
            "id": f"m{message}", "to": to, "state": "queued", "recipients": [to], "skipped": [], "warnings": [],
            "duplicate": False,
        }  # fmt: skip

    def _open(self, agent: str) -> dict[str, Any]:
        letter = self._mail[agent].popleft()
        turn = self._run("floor.add_turn", agent=agent, bytes=letter.bytes, now=self._now_ms)
        self._run("floor.lease", turn=turn, delivery=letter.delivery)
        self._run("floor.add_lease", turn=turn, delivery=letter.delivery)
        self._turns[turn] = letter
        mail: dict[str, Any] = {
            "id": f"m{letter.message}", "sender": letter.sender, "kind": "peer", "body": letter.body,
            "sent_at_ms": letter.sent_at_ms, "depth": 1, "broadcast": False, "attempt": 1, "earlier": [],
        }  # fmt: skip
        return {"turn": {"id": f"t{turn}", "mail": [mail], "waiting": 0, "lease_ms": 60000, "carried": False}}

    def _close(self, frame: dict[str, Any]) -> dict[str, Any]:
        turn = int(frame["turn"][1:])
        letter = self._turns.pop(turn)
        self._run("floor.close", turn=turn, now=self._now_ms)
        self._run("floor.ack", turn=turn, delivery=letter.delivery, now=self._now_ms)
        self._run("floor.count", recipient=letter.recipient, messages=-1, bytes=-letter.bytes)
        return {"id": frame["turn"], "acked": [f"m{letter.message}"], "given_back": [], "dead": [], "held": []}

    def _withdraw(self, cancel: Job) -> list[Answer]:
        """End the wait of an open; not part of any load."""
        wanted = cancel.frame["request"]
        for agent, job in list(self._parked.items()):
            if job.line is cancel.line and job.frame["id"] == wanted:
                del self._parked[agent]
                return [Answer(job, {}), Answer(cancel, {"cancelled": True})]
        return [Answer(cancel, {"cancelled": False})]
