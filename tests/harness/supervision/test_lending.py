"""A keeper whose agent's session is wanted at a terminal."""

from collections.abc import Generator

import anyio
import pytest

from harness import session_lock
from harness.session_lock import Alone
from harness.supervision import keeper as keeper_module
from tests.harness.supervision.conftest import Play


@pytest.fixture
def terminal(play: Play) -> Generator[Alone]:
    """The lock of alice's session, in the hands of a terminal."""
    folder = play.house.home.agent_harness("alice")
    folder.mkdir(parents=True)
    with session_lock.alone(folder / "session.lock") as lock:
        yield lock


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often."""
    monkeypatch.setattr(keeper_module, "LOOK_EVERY_S", 0.001)


@pytest.mark.usefixtures("watchful")
async def test_it_steps_aside_behind_the_turn_and_comes_back(play: Play, terminal: Alone) -> None:
    """Issue 4.9: parked meanwhile, so that nobody is alarmed; mail that waits opens a turn at once."""
    box = play.add("alice")
    first = play.office.put("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            program = await play.program_of("alice")
            keeper.lend(now=False)
            await anyio.wait_all_tasks_blocked()
            assert not terminal.take(), "the turn goes on"
            program.ends()
            await play.office.until(lambda: box.handled == [first])
            while not terminal.take():  # noqa: ASYNC110  # as a terminal does
                await anyio.sleep(0.001)
            assert not play.backends["alice"].is_open
            await play.office.until(lambda: "open at a terminal" in box.reports[-1].reason)
            assert box.reports[-1].state == "parked"
            second = play.office.put("alice")
            await anyio.wait_all_tasks_blocked()
            assert len(box.ready) == 1
            terminal.leave()
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: box.handled == [first, second])


async def test_a_turn_that_shall_not_be_waited_for_ends_as_interrupted(play: Play) -> None:
    """Issue 4.9: its mail goes back uncounted."""
    box = play.add("alice")
    play.office.put("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            program = await play.program_of("alice")
            program.begins()
            keeper.lend(now=True)
            await program.left.wait()
            await play.office.until(lambda: bool(box.closes))
            assert (box.closes[0].outcome, len(box.ready)) == ("interrupted", 1)
            assert "terminal" in box.closes[0].reason


@pytest.mark.usefixtures("watchful")
async def test_a_terminal_that_does_not_come_is_not_waited_for(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: who asked may have given up."""
    monkeypatch.setattr(keeper_module, "COMES_WITHIN_S", 0.01)
    box = play.add("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            await play.office.until(lambda: "turns.open" in play.office.asked)
            keeper.lend(now=False)
            mail = play.office.put("alice")
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: box.handled == [mail])


@pytest.mark.usefixtures("watchful")
async def test_stopping_does_not_wait_for_a_terminal(play: Play, terminal: Alone) -> None:
    """Ours: nor does a start; the session is somebody else's, and stays so."""
    assert terminal.take()
    box = play.add("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            await keeper.settled.wait()
            await play.office.until(lambda: bool(box.reports))
            assert box.reports[-1].state == "parked"
            assert "alice" not in play.backends
        async with play.kept() as keeper:
            await keeper.settled.wait()
            keeper.drain()
            await keeper.drained.wait()
    assert not box.connected
