"""The order of a fleet."""

from pathlib import Path

import anyio
import pytest

from console.cli.failing import innermost
from console.supervisor.fleet import Ready, supervise
from console.supervisor.keeper import Ended, News, Program
from console.supervisor.policy import Patience
from tests.console.supervisor.children import READY, SLEEP, dying, script, steady

QUICK = Patience(restarts=1, first_wait_s=0.0, longest_wait_s=0.0)


def noting(name: str, notes: Path) -> list[str]:
    """Give a program that notes its start and its end."""
    say = f"(lambda what: open({str(notes)!r}, 'a').write('{name} ' + what + '\\n'))"
    body = (
        f"say = {say}\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"  # both are noted, or neither
        "signal.signal(signal.SIGTERM, lambda *_: (say('ends'), sys.exit(0)))\n"
        "say('starts')\n"
        f"signal.pthread_sigmask(signal.SIG_UNBLOCK, {{signal.SIGTERM}})\n{READY}{SLEEP}"
    )
    return script(body)


def program(name: str, command: list[str]) -> Program:
    """Make a program with little patience."""
    return Program(name, lambda _: command, 5, patience=QUICK, must_start=name == "broker")


async def test_broker_first_and_last(tmp_path: Path) -> None:
    """DESIGN 2: broker, its ready line, harness; and back."""
    notes = tmp_path / "notes"
    stop = anyio.Event()
    news: list[News] = []
    broker, harness = (program(name, noting(name, notes)) for name in ("broker", "harness"))
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            ready: Ready = await tasks.start(supervise, broker, harness, news.append, stop)
            assert ready.harness == {"event": "ready", "x": 1}
            stop.set()
    assert notes.read_text().splitlines() == ["broker starts", "harness starts", "harness ends", "broker ends"]


async def test_a_harness_that_fails_leaves_the_broker_running() -> None:
    """DESIGN 2: shown as failed; the broker still accepts mail."""
    news: list[News] = []
    stop = anyio.Event()
    broker, harness = program("broker", steady()), program("harness", script("sys.exit(1)"))
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            ready: Ready = await tasks.start(supervise, broker, harness, news.append, stop)
            assert ready.harness is None
            assert [one.happened for one in news if one.program == "broker"] == ["started", "ready"]
            assert news[-1].happened == "failed"
            stop.set()


async def test_a_broker_that_fails_ends_the_fleet(tmp_path: Path) -> None:
    """DESIGN 2: and the harness is stopped, not left behind."""
    notes = tmp_path / "notes"
    broker, harness = program("broker", dying(5)), program("harness", noting("harness", notes))
    with anyio.fail_after(15), pytest.raises(BaseExceptionGroup) as caught:
        await supervise(broker, harness, lambda _: None, anyio.Event())
    ended = innermost(caught.value)
    assert isinstance(ended, Ended)
    assert (ended.program, ended.code) == ("broker", 5)
    said = notes.read_text().splitlines() if notes.exists() else []
    assert said in ([], ["harness starts", "harness ends"])


async def test_stopping_before_it_is_ready_stops_what_there_is() -> None:
    """Ours: Ctrl-C in the first second."""
    stop = anyio.Event()
    news: list[News] = []

    def tell(one: News) -> None:
        news.append(one)
        stop.set()

    with anyio.fail_after(15):
        await supervise(program("broker", script(SLEEP)), program("harness", steady()), tell, stop)
    assert [one.program for one in news] == ["broker"]


async def test_a_drained_harness_ends_the_fleet(tmp_path: Path) -> None:
    """Issue 4.9: it ends by itself, then the broker is stopped."""
    notes = tmp_path / "notes"
    note = f"open({str(notes)!r}, 'a').write"
    drains = f"signal.signal(signal.SIGUSR1, lambda *_: ({note}('harness drains\\n'), sys.exit(0)))\n{READY}{SLEEP}"
    broker, harness = program("broker", noting("broker", notes)), program("harness", script(drains))
    drain = anyio.Event()
    news: list[News] = []
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            await tasks.start(supervise, broker, harness, news.append, anyio.Event(), drain)
            drain.set()
    assert notes.read_text().splitlines() == ["broker starts", "harness drains", "broker ends"]
