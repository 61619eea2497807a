"""One running program."""

import os
import signal

import anyio
import pytest

from console.supervisor.child import running
from tests.console.supervisor.children import READY, SLEEP, dying, script, steady
from wire.processes import identity


async def test_the_ready_line_is_found_among_other_output() -> None:
    """Ours: what it printed before does not matter, nor what comes after."""
    noisy = script(f"print('hello')\nprint('[1]')\n{READY}print('x' * 100_000)\n{SLEEP}")
    with anyio.fail_after(10):
        async with running(noisy, env={}, grace_s=1) as child:
            assert await child.becomes_ready()
            assert child.ready == {"event": "ready", "x": 1}


async def test_an_end_without_a_ready_line_is_noticed() -> None:
    """Ours: with its code and its last words."""
    with anyio.fail_after(10):
        async with running(script("sys.exit('cannot')"), env={}, grace_s=1) as child:
            assert not await child.becomes_ready()
            assert await child.ends() == 1
            assert child.last_words == ["cannot"]


async def test_an_end_is_noticed_while_a_grandchild_holds_its_pipes() -> None:
    """Ours: before Python 3.12.4 the event loop's own child support would wait for it."""
    body = (
        "import subprocess\n"
        "print(subprocess.Popen([sys.executable, '-S', '-c', 'import threading; threading.Event().wait(60)'],"
        " start_new_session=True).pid, file=sys.stderr, flush=True)\n"
        "sys.exit(4)"
    )
    with anyio.fail_after(10):
        async with running(script(body), env={}, grace_s=1) as child:
            assert await child.ends() == 4
    (grandchild,) = child.last_words
    os.kill(int(grandchild), signal.SIGKILL)


async def test_leaving_stops_it_and_what_it_started() -> None:
    """STYLE 22: the whole group."""
    body = (
        "import subprocess\n"
        "kid = subprocess.Popen([sys.executable, '-S', '-c', 'import threading; threading.Event().wait(60)'])\n"
        f'print(\'{{"event": "ready", "kid": %d}}\' % kid.pid, flush=True)\n{SLEEP}'
    )
    with anyio.fail_after(10):
        async with running(script(body), env={}, grace_s=5) as child:
            await child.becomes_ready()
            kid = int((child.ready or {})["kid"])
            assert identity(kid) is not None
        while identity(kid) is not None:  # noqa: ASYNC110  # it is reaped by init, whenever that comes to it
            await anyio.sleep(0.01)
    assert identity(child.pid) is None


async def test_one_that_does_not_listen_is_killed_after_its_grace() -> None:
    """DESIGN 2: the end has a bound."""
    deaf = script(f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{READY}{SLEEP}")
    with anyio.fail_after(10):
        async with running(deaf, env={}, grace_s=0.2) as child:
            await child.becomes_ready()
        assert await child.ends() == -9


async def test_cancellation_stops_it_too() -> None:
    """Ours: nothing is left running, whatever ends the caller."""
    pids: list[int] = []
    with anyio.fail_after(10), anyio.CancelScope() as scope:
        async with running(steady(), env={}, grace_s=5) as child:
            await child.becomes_ready()
            pids.append(child.pid)
            scope.cancel()
            await anyio.sleep_forever()
    assert identity(pids[0]) is None


async def test_its_environment_is_ours_and_what_is_added() -> None:
    """Ours."""
    with anyio.fail_after(10):
        async with running(
            script("sys.exit(os.environ['ADDED'] + os.environ['PATH'][:0])"), env={"ADDED": "1"}, grace_s=1
        ) as child:
            await child.ends()
            assert child.last_words == ["1"]


async def test_a_program_that_is_not_there_is_an_error_of_the_system() -> None:
    """Ours."""
    with pytest.raises(FileNotFoundError):
        async with running(["/nowhere/at-all"], env={}, grace_s=1):
            pass


async def test_only_the_last_words_are_kept() -> None:
    """Ours: a child cannot fill our memory."""
    body = "for n in range(100): print('line', n, file=sys.stderr)\nprint('x' * 1_000_000, file=sys.stderr)"
    with anyio.fail_after(10):
        async with running(script(body), env={}, grace_s=1) as child:
            await child.ends()
    assert len(child.last_words) == 20
    assert child.last_words[-2] == "line 99"
    assert len(child.last_words[-1]) <= 2 * 64 * 1024


async def test_a_death_by_signal_is_a_negative_code() -> None:
    """Ours."""
    with anyio.fail_after(10):
        async with running(script("os.kill(os.getpid(), 9)"), env={}, grace_s=1) as child:
            assert await child.ends() == -9
        async with running(dying(3), env={}, grace_s=1) as child:
            assert await child.ends() == 3
