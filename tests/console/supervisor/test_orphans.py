"""What a killed supervisor leaves behind."""

import subprocess
from pathlib import Path

import anyio.to_thread

from console.supervisor.orphans import Record, end, left_behind
from tests.console.supervisor.children import READY, SLEEP, script, steady


def started(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a program in a group of its own and wait until it is ready."""
    program = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert program.stdout is not None
    program.stdout.readline()
    return program


async def test_orphans_are_found_by_what_was_written_down_and_ended(tmp_path: Path) -> None:
    """Ours: the harness first; one that does not listen is killed."""
    record = Record(tmp_path / "up.children")
    deaf = script(f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{READY}{SLEEP}")
    with started(steady()) as broker, started(deaf) as harness:
        record.remember("broker", broker.pid)
        record.remember("harness", harness.pid)
        orphans = left_behind(tmp_path / "up.children")
        assert {name: child.pid for name, child in orphans.items()} == {"harness": harness.pid, "broker": broker.pid}
        assert list(orphans) == ["harness", "broker"]
        with anyio.fail_after(15):
            async with anyio.create_task_group() as reaping:
                reaping.start_soon(anyio.to_thread.run_sync, broker.wait)
                reaping.start_soon(anyio.to_thread.run_sync, harness.wait)
                await end(orphans.values(), 0.3)
        assert (broker.wait(), harness.wait()) == (-15, -9)
    assert left_behind(tmp_path / "up.children") == {}


def test_a_process_that_got_the_number_since_is_no_orphan(tmp_path: Path) -> None:
    """Ours."""
    with started(steady()) as program:
        (tmp_path / "up.children").write_text(f'{{"broker": [{program.pid}, "another/process/1"]}}')
        assert left_behind(tmp_path / "up.children") == {}
        program.kill()


def test_no_record_or_a_broken_one_names_nobody(tmp_path: Path) -> None:
    """Ours: it must never stop a start."""
    path = tmp_path / "up.children"
    assert left_behind(path) == {}
    for text in ("", "[]", '{"broker": 1}', '{"broker": ["x", "y"]}', "\xff"):
        path.write_text(text, encoding="latin-1")
        assert left_behind(path) == {}
    Record(path).forget()
    assert not path.exists()
