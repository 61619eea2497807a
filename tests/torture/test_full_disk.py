"""A disk that fills up in the middle of a batch, and under a running broker: no reply is a lie.

The second half needs a small file system of its own and may be left out; then it says so by name.
"""

import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from broker.services.callers import Caller
from tests.fakes.broker import BrokerProcess, run_to_end, short_home
from tests.fakes.office import Call, FakeOffice
from tests.scenarios.fleet import Worker
from tests.torture.disk import small_disk
from wire.client import new_key
from wire.errors import Full, QueenpostError, Unavailable
from wire.home import Home
from wire.inbox import InboxSent
from wire.settings import Limits
from wire.turns import TurnsClosed, TurnsOpened

LIMITS = Limits(send_burst=1_000_000, inbox_messages=1_000_000, inbox_bytes=2**30, disk_headroom_bytes=0)
PLENTY = 1_000_000
BODY = "x" * 3000

# ---- in the middle of a batch


@dataclass
class Batch:
    """Sends, closes and waiting opens that share one commit."""

    sends: dict[str, Call[InboxSent]] = field(default_factory=dict[str, Call[InboxSent]])
    """By key."""
    closes: dict[str, Call[TurnsClosed]] = field(default_factory=dict[str, Call[TurnsClosed]])
    """By turn."""
    opens: dict[str, Call[TurnsOpened | None]] = field(default_factory=dict[str, Call[TurnsOpened | None]])
    """By agent."""
    again: dict[str, Callable[[], Call[Any]]] = field(default_factory=dict[str, Callable[[], Call[Any]]])
    """Makes each send and close anew, with the same key."""


def limit_pages(office: FakeOffice, more: int) -> None:
    """Let the database grow by this many pages and no further."""
    pages = office.database.connection.execute("PRAGMA page_count").fetchone()[0]
    office.database.connection.execute(f"PRAGMA max_page_count = {pages + more}")


def batch_of(office: FakeOffice, callers: dict[str, Caller], rng: random.Random) -> Batch:
    """Prepare a fleet in which half of the agents work and half wait, and what they all do next."""
    batch = Batch()
    names = list(callers)
    for name in names[::2]:
        office.send(callers[names[1]], name, BODY)
        turn = office.opened(callers[name]).id
        batch.again[f"close {turn}"] = partial(office.close.call, callers[name], turn)
        batch.closes[turn] = batch.again[f"close {turn}"]()
    for name in names[1::2]:
        batch.opens[name] = office.park_open(callers[name])
    for number in range(16):
        sender, recipient = rng.sample(names, 2)
        key = f"batch-{number}"
        batch.again[f"send {key}"] = partial(office.send.call, callers[sender], recipient, f"{key} {BODY}", key=key)
        batch.sends[key] = batch.again[f"send {key}"]()
    return batch


def lies(path: Path, batch: Batch) -> list[str]:
    """Compare what everybody was told with what another connection sees committed."""
    told: list[str] = []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        for key, send in batch.sends.items():
            rows = connection.execute("SELECT id FROM messages WHERE key = ?", (key,)).fetchall()
            expected = [int(send.get().id[1:])] if was_done(send) else []
            if [row["id"] for row in rows] != expected:
                told.append(f"send {key}: is {[row['id'] for row in rows]}, was answered {send.outcome}")
        for turn, close in batch.closes.items():
            row = connection.execute("SELECT state, outcome FROM turns WHERE id = ?", (int(turn[1:]),)).fetchone()
            left = connection.execute(
                "SELECT count(*) FROM deliveries WHERE turn = ? AND state = 'leased'", (int(turn[1:]),)
            ).fetchone()[0]
            if (row["state"] == "closed", left == 0) != (was_done(close), was_done(close)):
                told.append(f"close {turn}")
        for agent, opening in batch.opens.items():
            row = connection.execute("SELECT id FROM turns WHERE agent = ? AND state = 'open'", (agent,)).fetchone()
            answer = opening.get() if was_done(opening) else None
            turn = answer.turn.id if answer and answer.turn else None
            if (f"t{row['id']}" if row else None) != turn:
                told.append(f"open of {agent}")
        verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
        return told if verdict == "ok" else [*told, verdict]


def was_done(call: Call[InboxSent] | Call[TurnsClosed] | Call[TurnsOpened | None]) -> bool:
    """Say whether a call was answered with a result; a refusal has to be one of a full disk."""
    if call.outcome is None:
        return False
    assert call.outcome.error is None or isinstance(call.outcome.error, Full | Unavailable)
    return call.outcome.error is None


@pytest.mark.timeout(120)
def test_a_full_disk_in_the_middle_of_a_batch_makes_no_reply_a_lie(tmp_path: Path) -> None:
    """[P09] DESIGN 6: sends, closes and waiting opens, at 40 places of fullness; retries succeed once there is room."""
    ends: Counter[str] = Counter()
    for pages in range(40):
        rng = random.Random(pages)
        folder = tmp_path / str(pages)
        folder.mkdir()
        with FakeOffice(folder, limits=LIMITS) as office:
            callers: dict[str, Caller] = {}
            for name in ("ann", "ben", "cleo", "dan", "eve", "finn"):
                office.add(name)
                callers[name] = office.harness(name)
            batch = batch_of(office, callers, rng)
            calls = [*batch.sends.values(), *batch.closes.values()]
            rng.shuffle(calls)
            limit_pages(office, pages)
            office.submit(*(call.submission for call in calls))
            assert lies(folder / "broker.db", batch) == [], f"at {pages} pages"
            done = sum(was_done(call) for call in calls)
            ends["all" if done == len(calls) else "some" if done else "none"] += 1
            office.database.connection.execute(f"PRAGMA max_page_count = {PLENTY}")
            finish(office, callers, batch)
            shutil.rmtree(folder, ignore_errors=True)
    assert ends["some"] >= 5, ends
    assert ends["all"] >= 1, ends


def test_the_comparison_finds_a_lie(tmp_path: Path) -> None:
    """Reliability 5: a control that must fail; answers that were swapped between those that had room and the others."""
    with FakeOffice(tmp_path, limits=LIMITS) as office:
        callers: dict[str, Caller] = {}
        for name in ("ann", "ben"):
            office.add(name)
            callers[name] = office.harness(name)
        batch = batch_of(office, callers, random.Random(1))
        limit_pages(office, 8)
        office.commit(*batch.closes.values(), *batch.sends.values())
        kept = next(send for send in batch.sends.values() if was_done(send))
        refused = next(send for send in batch.sends.values() if not was_done(send))
        assert lies(tmp_path / "broker.db", batch) == []
        kept.outcome, refused.outcome = refused.outcome, kept.outcome
        assert len(lies(tmp_path / "broker.db", batch)) == 2
        (turn,) = batch.closes
        office.damage("UPDATE turns SET state = 'open', outcome = NULL WHERE id = :turn", turn=int(turn[1:]))
        assert any(f"close {turn}" in lie for lie in lies(tmp_path / "broker.db", batch))


def finish(office: FakeOffice, callers: dict[str, Caller], batch: Batch) -> None:
    """Repeat everything, with its key, and work it all off."""
    for again in batch.again.values():
        call = again()
        office.commit(call)
        call.get()
    for caller in callers.values():
        while (answer := office.open(caller)) is not None and answer.turn is not None:
            office.close(caller, answer.turn.id)
    sent = office.row("SELECT count(*) AS n, count(DISTINCT body) AS bodies FROM messages WHERE key LIKE 'batch-%'")
    assert (sent["n"], sent["bodies"]) == (16, 16)
    assert office.rows("SELECT * FROM deliveries WHERE state <> 'acked'") == []


# ---- under a running broker

DISK_BYTES = 8 * 1024 * 1024
BALLAST_BYTES = 2 * 1024 * 1024


@pytest.fixture
def disk() -> Iterator[Path]:
    """A file system of 8 MiB; skips the test where it cannot be had."""
    with (
        short_home() as home,
        small_disk(home.root.with_name("disk"), DISK_BYTES, "full disk under a running broker") as folder,
    ):
        yield folder


SETTINGS = """
[limits]
send_burst = 1_000_000
send_per_minute = 10_000_000
inbox_messages = 1_000_000
inbox_bytes = 1_000_000_000
disk_headroom_bytes = 0
[agents.alice]
[agents.bob]
"""


async def send_until_refused(alice: Worker, accepted: dict[str, str]) -> tuple[str, QueenpostError]:
    """Send to bob until the disk takes no more; gives the key that was refused, and how."""
    while True:
        key = new_key()
        try:
            accepted[key] = (await alice.send("bob", BODY, key=key)).id
        except QueenpostError as exc:
            return key, exc


@pytest.mark.anyio
@pytest.mark.timeout(120)
async def test_a_broker_whose_disk_fills_up_refuses_and_goes_on_when_there_is_room(disk: Path) -> None:
    """[P09] DESIGN 5.14, 6: `full` with what to do; what was accepted is handled; no restart is needed."""
    home = Home(disk / "home")
    home.create()
    (home.root / "queenpost.toml").write_text(SETTINGS, encoding="utf-8")
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * BALLAST_BYTES)
    async with BrokerProcess(home) as fleet:
        alice, bob = await fleet.harness("alice", "bob")
        pid = (await fleet.status()).pid
        accepted: dict[str, str] = {}
        refused, error = await send_until_refused(alice, accepted)
        assert isinstance(error, Full)
        assert "free" in error.message
        handled = await work_off(bob)
        for _ in range(3):
            await send_until_refused(alice, accepted)
        ballast.unlink()
        receipt = await alice.send("bob", BODY, key=refused)
        accepted[refused] = receipt.id
        assert not receipt.duplicate
        while len(handled) < len(accepted):
            more = await work_off(bob)
            assert more, f"{len(accepted) - len(handled)} messages do not come"
            handled |= more
        assert handled == set(accepted.values())
        status = await fleet.status()
        assert (status.pid, status.account.lost, status.account.waiting) == (pid, 0, 0)
        assert status.account.handled == len(accepted) > 100


async def work_off(bob: Worker) -> set[str]:
    """Handle what can be handled; gives the messages whose turn was answered as completed."""
    handled: set[str] = set()
    try:
        while (turn := await bob.open(wait_s=0)) is not None:
            handled |= set((await bob.close(turn.id)).acked)
    except (Full, Unavailable):
        return handled  # the disk has no room even for an ack
    return handled


def fill(ballast: Path) -> None:
    """Write until the disk takes no more."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass


@pytest.mark.anyio
@pytest.mark.timeout(120)
async def test_a_broker_does_not_start_on_a_full_disk_and_says_so(disk: Path) -> None:
    """Bad input and misuse: exit 1 with a reason, no stack trace; it starts as soon as there is room."""
    home = Home(disk / "home")
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        sent = await fleet.send("bob")
        await fleet.kill()
        ballast = disk / "ballast"
        fill(ballast)
        home.operator_secret.unlink()
        ended = await run_to_end(home)
        assert ended.returncode == 1
        assert b"Traceback" not in ended.stderr
        assert b"queenpost broker: " in ended.stderr
        ballast.unlink()
        await fleet.start()
        assert await fleet.state_of(sent.id) == "queued"
