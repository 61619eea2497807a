"""kill -9 of publisher, broker and MQTT broker: no event that was published is lost, none is recorded twice.

QUEENPOST_TORTURE_SEED says with which dice; it is printed. What is left of the fleet is looked at without a broker.
"""

import os
import random
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from tests.fakes.broker import short_home
from tests.fakes.jobbing import PROGRAMS
from tests.torture.broker import image
from tests.torture.job_ledger import Book, Compared, altered, compare, ends
from tests.torture.job_load import VICTIMS, tortured
from wire.home import Home

pytestmark = pytest.mark.anyio

KILLS = 50
FEW = 5
SEED = int(os.environ.get("QUEENPOST_TORTURE_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
MOST_BETWEEN = 120
"""Lines of the book, of which each event has two."""


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


async def torture(home: Home, folder: Path, program: str, *, kills: int, seed: int) -> tuple[Book, Compared]:
    """Kill each of the three so often, alone and together; gives what was published, and what came of it."""
    sys.stdout.write(f"replay: QUEENPOST_TORTURE_SEED={seed}\n")
    began = anyio.current_time()
    async with tortured(home, program, seed) as fleet:
        await fleet.more(1)
        while (few := min(fleet.kills.values())) < kills:
            await fleet.more(fleet.rng.randrange(MOST_BETWEEN))
            behind = [some for some in VICTIMS if any(fleet.kills[one] == few for one in some)]
            await fleet.kill(*fleet.rng.choice(behind))
        await fleet.drain()
        await fleet.fleet.kill()
    book = Book.read(fleet.book)
    found = compare(image(home.database, folder), book)
    sys.stdout.write(
        f"{program}: {fleet.kills} killed in {anyio.current_time() - began:.0f} s, seed {seed}: "
        f"{len(book.kept)} events kept, {found.events} recorded, {found.out_of_order} of them out of order\n"
    )
    return book, Compared(fleet.wrong + found.wrong, found.events, found.out_of_order)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("program", PROGRAMS)
async def test_no_kill_loses_or_doubles_an_event(home: Home, tmp_path: Path, program: str) -> None:
    """[X07] [X18] Reliability 4.3: invariants 23 to 26 hold over five kills of each."""
    book, found = await torture(home, tmp_path, program, kills=FEW, seed=SEED)
    assert found.wrong == []
    assert found.events >= len(book.kept) > 0


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("program", PROGRAMS)
async def test_fifty_kills_of_each_lose_and_double_nothing_either(home: Home, tmp_path: Path, program: str) -> None:
    """[X07] [X18] Issue 5: 0 lost and 0 doubled events over 50 kills of MQTT broker, bridge and publisher."""
    book, found = await torture(home, tmp_path, program, kills=KILLS, seed=SEED)
    assert found.wrong == []
    assert found.events >= len(book.kept) > KILLS


# ---- controls: the same checks have to find what is wrong

COPY = """
    INSERT INTO job_events (job, epoch, seq, event, verdict, sha256, said_at, detail, data, received_at)
        SELECT job, epoch, 1000000, event, verdict, sha256, said_at, detail, data, received_at
        FROM job_events WHERE number = :n
"""
SWAP = """
    UPDATE job_events SET seq = 0 WHERE number = :n;
    UPDATE job_events SET seq = 2 WHERE seq = 3 AND job = (SELECT job FROM job_events WHERE number = :n);
    UPDATE job_events SET seq = 3 WHERE number = :n
"""
HARM: dict[str, tuple[str, set[str]]] = {
    "an event is gone": ("DELETE FROM job_events WHERE number = :n", {"lost", "window"}),
    "an event is there twice": (COPY, {"twice", "numbered", "window"}),
    "an event is invented": ("UPDATE job_events SET data = '{\"n\":1000000}' WHERE number = :n", {"invented", "lost"}),
    "an event of another name": ("UPDATE job_events SET event = 'permission_required' WHERE number = :n", {"invented"}),
    "two events have changed places": (SWAP, {"numbered", "order"}),
    "a window that is off": ("UPDATE jobs SET highest = highest + 1", {"window"}),
    "an end that nobody said": ("UPDATE jobs SET ended_by = ended_by - 1", {"end"}),
    "an event that is not late": ("UPDATE job_events SET verdict = 'late' WHERE number = :n", {"end"}),
}


async def test_harm_that_is_done_to_a_registry_by_hand_is_found(home: Home, tmp_path: Path) -> None:
    """Reliability 5: every gate has a control that must fail; and nothing is found where there is nothing."""
    book, found = await torture(home, tmp_path, "amqtt", kills=1, seed=SEED)
    assert found.wrong == []
    whole = image(home.database, tmp_path)
    with closing(sqlite3.connect(whole)) as connection:
        (some,) = connection.execute("SELECT number FROM job_events WHERE seq = 2 ORDER BY number DESC").fetchone()
    harmed = tmp_path / "harmed.db"
    for name, (script, expected) in HARM.items():
        shutil.copyfile(whole, harmed)
        with closing(sqlite3.connect(harmed)) as connection:
            connection.executescript(script.replace(":n", str(some)))
        assert expected <= {wrong.partition(":")[0] for wrong in compare(harmed, book).wrong}, name
    ended = ends(whole)
    with closing(sqlite3.connect(harmed)) as connection:
        connection.executescript("UPDATE jobs SET ended_at = ended_at + 1")
    assert len(altered(ended, ends(harmed))) == len(ended.of) > 0
    assert altered(ended, ended) == []
    book.kept[1_000_000] = 1
    book.asked[1_000_000] = ("j", "progress")
    assert {wrong.partition(":")[0] for wrong in compare(whole, book).wrong} == {"lost"}
