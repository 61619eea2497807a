"""The outbox: a number is given once, and what was added waits until its fate is known."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from wire import outbox as module
from wire.errors import Full, Invalid, Stale, Unavailable
from wire.outbox import Order, Outbox

TOPIC = "queenpost/fleet/jobs/j1/events"


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """An empty one."""
    with Outbox(tmp_path / "private" / "outbox.db") as outbox:
        yield outbox


def add(outbox: Outbox, job: str = "j1", epoch: int = 1) -> int:
    """Add an event whose bytes name its number."""
    return outbox.add(job, epoch, TOPIC, lambda seq: f"{job}.{epoch}.{seq}".encode(), retain=False)


def test_numbers_begin_with_one_for_each_claim_and_grow(outbox: Outbox) -> None:
    """[X05] Reliability 4.2: from 1 in every epoch."""
    assert [add(outbox), add(outbox), add(outbox, epoch=2), add(outbox, "j2"), add(outbox)] == [1, 2, 1, 1, 3]
    assert [one.payload for one in outbox.waiting()] == [b"j1.1.1", b"j1.1.2", b"j1.2.1", b"j2.1.1", b"j1.1.3"]


def test_a_number_is_not_given_again_once_its_event_is_settled(outbox: Outbox, tmp_path: Path) -> None:
    """Reliability 4.3, 26: never two payloads with one number; over a restart too."""
    add(outbox)
    outbox.settle(one.number for one in outbox.waiting())
    assert outbox.count() == 0
    outbox.close()
    with Outbox(tmp_path / "private" / "outbox.db") as again:
        assert add(again) == 2


def test_what_cannot_be_signed_takes_no_number(outbox: Outbox) -> None:
    """Ours: an event that was refused leaves no gap."""

    def refuse(_: int) -> bytes:
        raise Invalid("data holds a float")

    with pytest.raises(Invalid):
        outbox.add("j1", 1, TOPIC, refuse, retain=False)
    assert outbox.count() == 0
    assert add(outbox) == 1


def test_a_full_outbox_refuses_and_says_so(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad input of X07: an MQTT broker that is away for long; what was accepted stays."""
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    add(outbox)
    add(outbox)
    with pytest.raises(Full, match="2 events wait"):
        add(outbox)
    assert [one.seq for one in outbox.waiting()] == [1, 2]


def test_a_full_disk_refuses_and_gives_no_number(outbox: Outbox) -> None:
    """T04: nothing is published that was not kept."""
    outbox.limit_pages(1)
    with pytest.raises(Full, match="nothing was published"):  # noqa: PT012  # which one is refused is the file's choice
        while True:
            outbox.add("j1", 1, TOPIC, lambda _: b"x" * 50_000, retain=False)
    kept = [one.seq for one in outbox.waiting()]
    assert kept == list(range(1, len(kept) + 1))


def test_a_disk_that_has_room_again_is_used_again(outbox: Outbox) -> None:
    """T04: a full disk ends a transaction, and no more than that."""
    add(outbox)
    outbox.limit_pages(1)
    with pytest.raises(Full):
        outbox.add("j1", 1, TOPIC, lambda _: b"x" * 1_000_000, retain=False)
    outbox.limit_pages(100_000)
    assert outbox.add("j1", 1, TOPIC, lambda _: b"x" * 60_000, retain=False) == 2
    outbox.settle(one.number for one in outbox.waiting())
    assert outbox.count() == 0


def test_a_file_that_others_hold_is_waited_for_and_then_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: nothing is forgotten by that, and it is used again as soon as it can be."""
    monkeypatch.setattr(module, "BUSY_S", 0.01)
    path = tmp_path / "private" / "outbox.db"
    with Outbox(path) as outbox, closing(sqlite3.connect(path, isolation_level=None)) as other:
        add(outbox)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="what is in it is kept"):
            outbox.settle([1])
        with pytest.raises(Full, match="nothing was published"):
            add(outbox)
        other.execute("ROLLBACK")
        assert [one.seq for one in outbox.waiting()] == [1]
        assert add(outbox) == 2


MAKES = """
import sys
from pathlib import Path
from wire.outbox import Order, Outbox
sys.stdin.read()
with Outbox(Path(sys.argv[1])) as outbox:
    print(outbox.add("j1", 1, "topic", lambda seq: b"x", retain=False))
"""


def test_those_who_make_the_same_file_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """Ours: SQLite does not wait where a file gets its log; two first `job publish` of one job are no error."""
    for round_ in range(5):
        command = [sys.executable, "-P", "-c", MAKES, str(tmp_path / f"{round_}" / "outbox.db")]
        made = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        for one in made:
            assert one.stdin is not None
            one.stdin.close()
            one.stdin = None
        assert sorted(int(one.communicate(timeout=60)[0]) for one in made) == [1, 2, 3, 4]


def test_a_log_that_another_process_makes_now_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: the same for certain; it is tried again."""
    path = tmp_path / "private" / "outbox.db"
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:

        def lets_go(_seconds: float) -> None:
            if other.in_transaction:
                other.execute("COMMIT")

        other.execute("CREATE TABLE mine (x)")
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(module.time, "sleep", lets_go)
        with Outbox(path) as outbox:
            assert add(outbox) == 1


def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    """Ours: the events in a damaged file are looked at by a person, not overwritten."""
    path = tmp_path / "private" / "outbox.db"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"no database" * 100)
    with pytest.raises(Invalid, match="move it away"):
        Outbox(path)
    assert path.read_bytes().startswith(b"no database")


def test_it_is_nobody_elses(outbox: Outbox, tmp_path: Path) -> None:
    """[X17] The events in it are not secret; who could write them would not need the secret."""
    assert os.stat(tmp_path / "private" / "outbox.db").st_mode & 0o077 == 0
    assert outbox.count() == 0


CHILD = """
import sys
from pathlib import Path
from wire.outbox import Order, Outbox
with Outbox(Path(sys.argv[1])) as outbox:
    while True:
        seq = outbox.add("j1", 1, "t/jobs/j1/events", lambda seq: f"{sys.argv[2]}.{seq}".encode(), retain=False)
        print(seq, flush=True)
"""


@pytest.mark.timeout(120)
def test_two_processes_that_are_killed_never_share_a_number(tmp_path: Path) -> None:
    """Reliability 4.3, 26: kill -9 between any two instructions; what was told is kept."""
    path = tmp_path / "private" / "outbox.db"
    told: list[int] = []
    for round_ in range(4):
        command = [sys.executable, "-P", "-c", CHILD, str(path)]
        pair = [
            subprocess.Popen(
                [*command, f"{round_}{side}"],
                bufsize=0,  # what a readline had read ahead, communicate would not give
                stdout=subprocess.PIPE,
                cwd=Path(module.__file__).parents[1],
            )
            for side in "ab"
        ]
        for child in pair:
            assert child.stdout is not None
            told += [int(child.stdout.readline()) for _ in range(5)]
            child.kill()
        for child in pair:
            out, _ = child.communicate(timeout=30)
            told += [int(line) for line in out.split(b"\n")[:-1]]  # the last may be cut
    with Outbox(path) as outbox:
        kept = outbox.waiting(limit=100_000)
    assert sorted(one.seq for one in kept) == list(range(1, len(kept) + 1))
    assert len(told) == len(set(told))
    assert set(told) <= {one.seq for one in kept}


def test_a_claim_that_a_newer_one_has_followed_begins_not_anew(outbox: Outbox) -> None:
    """Reliability 4.3, 26: once its last number is forgotten, nothing is signed under it any more."""
    add(outbox)
    add(outbox, epoch=2)
    outbox.settle(one.number for one in outbox.waiting())
    with pytest.raises(Stale, match="a newer one has published"):
        add(outbox)
    assert add(outbox, epoch=2) == 2


def test_many_are_added_at_once_and_one_that_is_refused_keeps_back_none(outbox: Outbox) -> None:
    """Ours: one commit for all; each learns its own end."""

    def refuse(_: int) -> bytes:
        raise Invalid("data holds a float")

    orders = [Order("j1", 1, TOPIC, sign, retain=False) for sign in (_bytes, refuse, _bytes)]
    outbox.add_all(orders)
    assert [order.seq for order in orders] == [1, None, 2]
    with pytest.raises(Invalid, match="a float"):
        orders[1].result()
    assert [one.payload for one in outbox.waiting()] == [b"1", b"2"]


def test_a_commit_that_fails_adds_none_of_them(outbox: Outbox) -> None:
    """Ours: and each is told so."""
    outbox.limit_pages(1)
    orders = [Order("j1", 1, TOPIC, lambda _: b"x" * 100_000, retain=False) for _ in range(3)]
    outbox.add_all(orders)
    for order in orders:
        with pytest.raises(Full, match="nothing was published"):
            order.result()
    assert outbox.count() == 0


def _bytes(seq: int) -> bytes:
    return str(seq).encode()
