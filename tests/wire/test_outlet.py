"""Where events leave: an outbox that is opened with the first of them, and where none can be."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.wire.test_link_line import Broker
from wire.errors import Invalid
from wire.jobs import JobsCarried, JobsCarry, JobsRecorded, JobsTransport
from wire.model import Request
from wire.outlet import Outlet
from wire.private_files import make_private_folder
from wire.records import Records

pytestmark = pytest.mark.anyio


def records(broker: Broker) -> Records:
    """Ask this broker, as an agent elsewhere does."""

    async def ask(request: Request, result: type[Any], *, timeout_s: float = 30.0) -> Any:
        assert timeout_s
        match request:
            case JobsTransport(user="harness"):
                told = await broker.tell()
            case JobsCarry():
                await broker.carry(request.topic, request.payload.encode(), request.retain)
                told = JobsCarried()
            case JobsRecorded():
                told = await broker.confirm(request.marks)
            case _:
                raise AssertionError(request)
        assert isinstance(told, result)
        return told

    return Records(ask, "harness")


async def test_who_publishes_nothing_needs_no_place_for_it(tmp_path: Path) -> None:
    """Ours: mail is taken all the same; the first event says what is wrong with the folder."""
    place = tmp_path / ("x" * 300) / "outbox.db"  # of a name that no file can have
    outlet = Outlet("alice", place, records(Broker()), lambda: make_private_folder(place.parent))
    async with anyio.create_task_group() as group:
        group.start_soon(outlet.run)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(Invalid, match="cannot make the folder"):
            await outlet.add("j1", 1, "t1", lambda seq: str(seq).encode(), retain=False)
        group.cancel_scope.cancel()


async def test_the_first_event_opens_it(tmp_path: Path) -> None:
    """DESIGN 7: and its folders with it, where they are ours to make."""
    place = tmp_path / "here" / "outbox.db"
    broker = Broker()
    broker.opened.set()
    outlet = Outlet("alice", place, records(broker), lambda: make_private_folder(place.parent))
    async with anyio.create_task_group() as group:
        group.start_soon(outlet.run)
        await anyio.wait_all_tasks_blocked()
        assert not place.parent.exists()
        assert await outlet.add("j1", 1, "t1", lambda seq: str(seq).encode(), retain=False) == 1
        with anyio.fail_after(20):
            while not broker.taken:  # noqa: ASYNC110  # nothing announces it
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    assert broker.taken == [b"1"]
