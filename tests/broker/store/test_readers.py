"""Readers beside the writer: what they see, what they cannot do, and when they are stopped."""

import threading
from pathlib import Path

import anyio
import pytest

from broker.store.database import Database
from broker.store.group import Group
from broker.store.readers import Readers
from broker.store.refusals import NotWritable
from tests.broker.store.letters import job, letter_queries, send
from wire.errors import QueenpostError, Unavailable


def readers_of(database: Database, connections: int = 2, limit_s: float = 5.0) -> Readers:
    """Make readers for the letters."""
    return Readers(database.path, queries=letter_queries(), connections=connections, limit_s=limit_s)


async def test_they_see_what_was_committed(group: Group, database: Database) -> None:
    """DESIGN 6: lists and searches need no place in the writer's queue."""
    async with readers_of(database) as readers:
        async with readers.read() as reader:
            assert await reader.one("letters.all") is None
        group.commit([job(send("anna", "one")), job(send("bert", "two"))])
        async with readers.read() as reader:
            row = await reader.one("letters.all")
            assert row is not None
            assert row["body"] == "one"
            assert [row["body"] for row in await reader.all("letters.all")] == ["one", "two"]


async def test_one_read_sees_one_commit(group: Group, database: Database) -> None:
    """Ours: counts and lists of one answer agree; the writer is not held up."""
    async with readers_of(database) as readers, readers.read() as reader:
        assert await reader.all("letters.all") == []
        group.commit([job(send("anna", "one"))])
        assert await reader.all("letters.all") == []
        async with readers.read() as other:
            assert len(await other.all("letters.all")) == 1


@pytest.mark.parametrize("query", ["letters.add", "letters.rename"])
async def test_they_cannot_write(database: Database, query: str) -> None:
    """DESIGN 6: opened with mode=ro."""
    async with readers_of(database) as readers:
        with pytest.raises(NotWritable):
            async with readers.read() as reader:
                await reader.all(query, recipient="anna", body="x")


async def test_they_cannot_checkpoint(group: Group, database: Database) -> None:
    """DESIGN 6: a `query_only` connection can, `mode=ro` cannot; only the writer does."""
    group.commit([job(send("anna", "one"))])
    before = database.wal_bytes()
    async with readers_of(database) as readers:
        with pytest.raises(QueenpostError):
            async with readers.read() as reader:
                await reader.all("letters.checkpoint")
    assert database.wal_bytes() == before > 0


async def test_a_read_that_takes_too_long_is_stopped(group: Group, database: Database) -> None:
    """DESIGN 6: interrupted; its connection serves the next one."""
    async with readers_of(database, connections=1, limit_s=0.05) as readers:
        for _ in range(3):
            with anyio.fail_after(10), pytest.raises(Unavailable, match="took longer than"):
                async with readers.read() as reader:
                    await reader.one("letters.forever")
        group.commit([job(send("anna", "one"))])
        async with readers.read() as reader:
            assert len(await reader.all("letters.all")) == 1


async def test_a_reader_that_is_cancelled_is_stopped_too(database: Database) -> None:
    """Ours: the caller hung up; its query must not run on for nobody."""
    async with readers_of(database, connections=1) as readers:
        with anyio.fail_after(10):
            with anyio.move_on_after(0.05) as scope:
                async with readers.read() as reader:
                    await reader.one("letters.forever")
            assert scope.cancelled_caught
            async with readers.read() as reader:
                assert await reader.all("letters.all") == []


async def test_waiting_for_a_connection_has_the_same_limit(database: Database) -> None:
    """Style 20: waits have a named deadline."""
    async with readers_of(database, connections=1, limit_s=0.05) as readers:
        await readers._free.acquire()  # pyright: ignore[reportPrivateUsage]  # a user who never comes back
        with anyio.fail_after(10), pytest.raises(Unavailable, match="took longer than"):
            async with readers.read():
                pytest.fail("there is only one connection")


async def test_an_error_of_the_caller_passes_through_and_frees_the_connection(database: Database) -> None:
    """Ours."""
    async with readers_of(database, connections=1) as readers:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with readers.read():
                    raise ZeroDivisionError
        async with readers.read() as reader:
            assert await reader.all("letters.all") == []


async def test_an_open_read_keeps_the_wal_and_an_ended_one_does_not(group: Group, database: Database) -> None:
    """Ours: that is why reads are short."""

    def checkpoint() -> int:
        return database.connection.execute(database.queries["letters.checkpoint"]).fetchone()[0]

    database.connection.execute("PRAGMA busy_timeout = 0")
    async with readers_of(database) as readers:
        group.commit([job(send("anna", "one"))])
        async with readers.read() as reader:
            await reader.all("letters.all")
            group.commit([job(send("anna", "two"))])
            assert checkpoint() == 1
        assert checkpoint() == 0


async def test_their_threads_end_with_them(database: Database) -> None:
    """Ours: aiosqlite runs a thread for each connection."""
    before = set(threading.enumerate())
    async with readers_of(database, connections=3):
        threads = set(threading.enumerate()) - before
        assert len(threads) == 3
    for thread in threads:
        thread.join(timeout=5)
        assert not thread.is_alive()


async def test_a_home_without_a_database_is_refused_and_none_is_made(tmp_path: Path) -> None:
    """Ours."""
    readers = Readers(tmp_path / "broker.db", queries=letter_queries())
    with pytest.raises(NotWritable):
        await readers.__aenter__()
    assert list(tmp_path.iterdir()) == []
