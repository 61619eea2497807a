"""10,000 sends on a disk of 2 MiB: each is stored or refused in so many words, and room brings everything back."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from broker.services.callers import Caller
from tests.fakes.broker import short_home
from tests.fakes.office import FakeOffice
from tests.torture.disk import small_disk
from wire.errors import QueenpostError
from wire.settings import Limits

DISK_BYTES = 2 * 1024 * 1024
BALLAST_BYTES = 768 * 1024
SENDS = 10_000
LIMITS = Limits(send_burst=1_000_000, inbox_messages=1_000_000, inbox_bytes=2**30, disk_headroom_bytes=0)


@pytest.fixture
def disk() -> Iterator[Path]:
    """A file system of 2 MiB."""
    with (
        short_home() as home,
        small_disk(home.root.with_name("disk"), DISK_BYTES, "10,000 sends on a disk of 2 MiB") as folder,
    ):
        yield folder


@pytest.mark.timeout(300)
def test_every_send_on_a_disk_of_2_mib_is_stored_or_refused(disk: Path) -> None:
    """[P09] Reliability 5, goal 7: all errors are explicit, acks work again within the room that is freed."""
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * BALLAST_BYTES)
    home = disk / "home"
    home.mkdir()
    with FakeOffice(home, limits=LIMITS) as office:
        office.add("ann")
        office.add("ben")
        ann, ben = office.harness("ann"), office.harness("ben")
        accepted, ends = fill(office, ann)
        assert set(ends) == {"accepted", "full"}, ends
        assert ends["accepted"] == len(accepted) > 10
        assert stored(home / "broker.db") == set(accepted)
        ballast.unlink()
        office.clock.advance(2000)
        office.send(ann, "ben", key="the-first-after")
        handled: set[str] = set()
        while (opened := office.open(ben)) is not None and opened.turn is not None:
            handled |= set(office.close(ben, opened.turn.id).acked)
        assert handled >= set(accepted.values())
        assert office.send(ann, "ben", key="once-there-is-room").state == "queued"
    with FakeOffice(home, limits=LIMITS) as office:
        assert office.row("PRAGMA integrity_check")[0] == "ok"


def fill(office: FakeOffice, ann: Caller) -> tuple[dict[str, str], Counter[str]]:
    """Send until the number is reached, whatever the disk says; gives ids by key, and how sends ended."""
    accepted: dict[str, str] = {}
    ends: Counter[str] = Counter()
    for number in range(SENDS):
        key = f"key-{number}"
        try:
            accepted[key] = office.send(ann, "ben", f"letter {number} " + "x" * (number % 700), key=key).id
            ends["accepted"] += 1
        except QueenpostError as exc:
            ends[exc.code] += 1
    return accepted, ends


def stored(database: Path) -> set[str]:
    """What another connection sees, by key."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {row[0] for row in connection.execute("SELECT key FROM messages WHERE key IS NOT NULL")}
