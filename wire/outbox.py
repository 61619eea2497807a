"""The outbox of one publisher: numbers events, has them signed, keeps the exact bytes until they are recorded.

One SQLite file, durable before `add` returns; several processes may use it. It knows no MQTT.
"""

import re
import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Self

from wire.errors import Full, Invalid, QueenpostError, Stale, Unavailable
from wire.private_files import make_private_folder

BUSY_S = 10.0
PAUSE_S = 0.02
MAX_WAITING = 100_000
"""Events that wait for an MQTT broker that is away; then `add` refuses, and says so."""

_NAME = re.compile(r"^-- ([a-z_]+) --$", re.MULTILINE)


@cache
def _queries() -> Mapping[str, str]:
    """Give the statements of outbox.sql by the name of their block."""
    pieces = _NAME.split((files("wire") / "outbox.sql").read_text("utf-8"))
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event whose record is not known yet."""

    number: int
    """Grows in the order of adding."""
    job: str
    epoch: int
    seq: int
    topic: str
    payload: bytes
    retain: bool


@dataclass(slots=True)
class Order:
    """An event to be added."""

    job: str
    epoch: int
    topic: str
    sign: Callable[[int], bytes]
    retain: bool
    seq: int | None = None
    error: QueenpostError | None = None
    kept: "Waiting | None" = None
    """What was added."""

    @property
    def done(self) -> bool:
        """Say whether it was added, or refused."""
        return self.seq is not None or self.error is not None

    def result(self) -> int:
        """Give its number; raises what kept it from being added."""
        if self.seq is None:
            raise self.error or Unavailable("the event was not added: nobody has tried")
        return self.seq


class Outbox:
    """See the module. A context manager; not to be used from two threads at once."""

    def __init__(self, path: Path) -> None:
        """Open it, or make a new one.

        Raises:
            Invalid: the file is no outbox, or cannot be opened.
        """
        self._path = path
        make_private_folder(path.parent)
        try:
            self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            self._begin_log()
            self._connection.execute("PRAGMA synchronous = FULL")
            self._run("claims")
            self._run("events")
            path.chmod(0o600)
        except (sqlite3.Error, OSError) as exc:
            raise Invalid(f"the outbox {path} cannot be used: {exc}; move it away, and see what was in it") from exc

    def _begin_log(self) -> None:
        """Write through a log. SQLite does not wait for another process that does the same at this moment."""
        until_s = time.monotonic() + BUSY_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as exc:
                if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until_s:
                    raise
                time.sleep(PAUSE_S)
            else:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what waits in it waits on."""
        self._connection.close()

    def add(self, job: str, epoch: int, topic: str, sign: Callable[[int], bytes], *, retain: bool) -> int:
        """Give an event the next number of its claim and keep what `sign` makes of it; durable once this returns.

        No number is ever given to two events, whatever is killed in between: bytes and number are one transaction,
        and only what was committed is published.

        Raises:
            Full: too many wait, or the disk is full; nothing was added. Stale: a newer claim has published.
            Whatever `sign` raises: nothing was added either.
        """
        order = Order(job, epoch, topic, sign, retain)
        self.add_all([order])
        return order.result()

    def add_all(self, orders: Sequence["Order"]) -> None:
        """Add many in one transaction, in their order; what became of each stands in its `result` once this returns.

        One that is refused keeps back none of the others.
        """
        try:
            with self._transaction():
                for order in orders:
                    try:
                        order.seq = self._add(order)
                    except QueenpostError as exc:
                        order.error = exc
        except sqlite3.Error as exc:
            for order in orders:
                order.seq = order.kept = None
                order.error = Full(f"the event could not be kept in {self._path}: {exc}; nothing was published")

    def _add(self, order: "Order") -> int:
        job, epoch = order.job, order.epoch
        if self._run("count").fetchone()[0] >= MAX_WAITING:
            raise Full(f"{MAX_WAITING} events wait for the MQTT broker; nothing was added. Is it down?")
        row = self._run("last", job=job, epoch=epoch).fetchone()
        if row is None and self._run("newer", job=job, epoch=epoch).fetchone() is not None:
            # Its last number may have been forgotten: 1 could be given twice.
            raise Stale(f"claim {epoch} of job {job} is over: a newer one has published; claim it again")
        seq = (row[0] if row else 0) + 1
        payload = order.sign(seq)
        self._run("number", job=job, epoch=epoch, seq=seq)
        number = self._run(
            "add", job=job, epoch=epoch, seq=seq, topic=order.topic, payload=payload, retain=int(order.retain)
        ).lastrowid
        order.kept = Waiting(number or 0, job, epoch, seq, order.topic, payload, order.retain)
        return seq

    def waiting(self, after: int = 0, limit: int = 500) -> list[Waiting]:
        """Give what waits behind a number, in the order of adding.

        Raises:
            Unavailable: the disk, or another process, does not let it; so do `settle` and `count`.
        """
        with self._used():
            return [Waiting(*row[:6], retain=bool(row[6])) for row in self._run("waiting", after=after, limit=limit)]

    def settle(self, numbers: Iterable[int]) -> None:
        """Forget events whose fate is known. Not synced: what comes back with a power cut is asked for again."""
        with self._used(), self._unsynced(), self._transaction():
            self._connection.executemany(_queries()["forget"], [{"number": number} for number in numbers])
            self._run("forget_claims")

    def limit_pages(self, pages: int) -> None:
        """Let the file grow no further than this, or than it is: for tests of a full disk."""
        self._connection.execute(f"PRAGMA max_page_count = {int(pages)}")

    def count(self) -> int:
        """Count what waits."""
        with self._used():
            return self._run("count").fetchone()[0]

    def _run(self, query: str, **params: str | int | bytes) -> sqlite3.Cursor:
        return self._connection.execute(_queries()[query], params)

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk may have ended it
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _unsynced(self) -> Generator[None]:
        self._connection.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            self._connection.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def _used(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise Unavailable(f"the outbox {self._path} cannot be used now: {exc}; what is in it is kept") from exc
