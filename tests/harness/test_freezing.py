"""A frozen agent: its program ends, nothing is counted, and the loop waits for the thaw."""

import os
from pathlib import Path

import anyio
import pytest

from harness import freezing as module
from harness.freezing import Freezing
from tests.harness.conftest import Stage
from wire.freeze_file import change_frozen
from wire.home import Home


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again at once."""
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.005)


def freeze(home: Home, *names: str) -> None:
    """Freeze as the command line does: no broker is asked."""
    change_frozen(home.frozen, lambda now: now.and_also(names))


def thaw(home: Home) -> None:
    """Thaw everybody."""
    change_frozen(home.frozen, lambda now: now.without([]))


async def test_a_running_program_is_ended_and_its_turn_closed_as_stopped(stage: Stage, home: Home) -> None:
    """[P15] DESIGN 5.18: no rest behind it, no crash counted; the mail is handled behind the thaw."""
    mail = stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            program = await stage.backend.next_program()
            program.begins()
            freeze(home, "alice")
            stage.loop.freeze()
            await program.left.wait()
            await stage.office.until(lambda: stage.box.closes)
            (close,) = stage.box.closes
            assert (close.outcome, close.reason.partition(";")[0]) == ("stopped", "stopped: frozen by the operator")
            await anyio.wait_all_tasks_blocked()
            assert stage.office.asked.count("turns.open") == 1
            thaw(home)
            stage.hosted.freezing.look()
            (await stage.backend.next_program()).ends()
            await stage.handled(mail)
    assert stage.sleeps == []


async def test_a_turn_that_opens_all_the_same_is_not_run(stage: Stage, home: Home) -> None:
    """DESIGN 5.18: the open was parked at a broker that hung, and that leased before it read the file."""
    with anyio.fail_after(10):
        async with stage.running():
            await stage.office.until(lambda: "turns.open" in stage.office.asked)
            freeze(home)
            mail = stage.office.put("alice")
            await stage.office.until(lambda: stage.box.closes)
            assert (stage.box.closes[0].outcome, stage.box.closes[0].begun) == ("stopped", False)
            assert stage.backend.started == 0
            thaw(home)
            stage.hosted.freezing.look()
            (await stage.backend.next_program()).ends()
            await stage.handled(mail)


async def test_a_frozen_agent_does_not_ask_for_a_turn(stage: Stage, home: Home) -> None:
    """DESIGN 5.18: frozen before the harness started; leaving works all the same."""
    freeze(home, "alice")
    stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            await anyio.wait_all_tasks_blocked()
            assert "turns.open" not in stage.office.asked


async def test_the_freeze_of_another_is_none_of_its_business(stage: Stage, home: Home) -> None:
    """Ours."""
    freeze(home, "bob")
    mail = stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            (await stage.backend.next_program()).ends()
            await stage.handled(mail)


async def test_whoever_watches_is_told_of_each_change(home: Home) -> None:
    """Ours: within half a second; also where it was frozen from the beginning."""
    freezing = Freezing(home.frozen)
    told: list[tuple[bool, bool]] = []
    heard = anyio.Event()

    def hear() -> None:
        nonlocal heard
        told.append((freezing.holds("alice"), freezing.holds("bob")))
        heard.set()
        heard = anyio.Event()

    freeze(home, "alice")
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(freezing.watch, hear)
            await heard.wait()
            freeze(home)
            await heard.wait()
            thaw(home)
            await heard.wait()
            tasks.cancel_scope.cancel()
    assert told == [(True, False), (True, True), (False, False)]


def test_the_file_is_read_only_when_it_changed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: looking costs a stat."""
    reads: list[Path] = []
    real = module.read_frozen

    def counted(path: Path) -> object:
        reads.append(path)
        return real(path)

    monkeypatch.setattr(module, "read_frozen", counted)
    freezing = Freezing(home.frozen)
    assert not freezing.holds("alice")
    assert reads == []
    freeze(home, "alice")
    assert all(freezing.holds("alice") for _ in range(5))
    assert len(reads) == 1
    thaw(home)
    assert not freezing.holds("alice")


def test_a_file_that_cannot_be_read_freezes(home: Home, tmp_path: Path) -> None:
    """Ours: it fails safe, and is read again until it can be."""
    freezing = Freezing(home.frozen)
    home.frozen.touch()
    assert freezing.holds("alice")
    thaw(home)
    assert not freezing.holds("alice")
    (tmp_path / "file").touch()
    assert Freezing(tmp_path / "file" / "frozen").holds("alice")
    os.symlink(home.frozen, home.frozen.with_name("loop"))
    assert not Freezing(home.frozen.with_name("loop")).holds("alice")
