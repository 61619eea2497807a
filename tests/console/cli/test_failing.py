"""How commands end: one line, the right exit code, and quiet where the caller has gone away."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from pydantic import ValidationError

from console.cli.failing import AnotherBroker, Refused, innermost, one_line_for_each_failure
from console.supervisor.app import AlreadyRuns
from wire.errors import Denied
from wire.home import Home
from wire.inbox import InboxSend


def ended_by(exc: BaseException) -> Exception:
    """Give what becomes of a failure."""
    with pytest.raises(Exception) as caught, one_line_for_each_failure():
        raise exc
    return caught.value


def test_a_refusal_keeps_its_code_and_words() -> None:
    """DESIGN 10: exit 1."""
    end = ended_by(Denied("bob may not"))
    assert isinstance(end, Refused)
    assert (end.code, end.message, end.exit_code) == ("denied", "bob may not", 1)


def test_a_refusal_is_found_inside_of_groups() -> None:
    """Ours: task groups wrap what their tasks raise."""
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [Denied("no")])])
    assert isinstance(innermost(group), Denied)
    assert isinstance(ended_by(group), Refused)


def test_a_taken_home_has_an_exit_code_of_its_own() -> None:
    """DESIGN 2: exit 3."""
    end = ended_by(AlreadyRuns("somebody is here"))
    assert isinstance(end, AnotherBroker)
    assert end.exit_code == 3


def test_a_value_that_does_not_fit_is_named_without_being_shown() -> None:
    """Ours: pydantic's words, one field, no value."""
    with pytest.raises(ValidationError) as caught:
        InboxSend(to="x" * 65, body="hi", key="k")
    end = ended_by(caught.value)
    assert isinstance(end, Refused)
    assert end.message.startswith("to: ")
    assert "xxx" not in end.message


def test_an_error_of_the_system_names_the_file() -> None:
    """Ours: a full disk or a missing right is no defect of ours."""
    end = ended_by(PermissionError(errno.EACCES, "Permission denied", "/srv/x"))
    assert isinstance(end, Refused)
    assert end.message == "/srv/x: Permission denied"


def test_ctrl_c_is_quiet() -> None:
    """Ours: 130, as a shell expects."""
    end = ended_by(KeyboardInterrupt())
    assert isinstance(end, click.exceptions.Exit)
    assert end.exit_code == 130


def test_a_defect_of_ours_keeps_its_trace() -> None:
    """Ours: what nobody foresaw is not dressed up."""
    with pytest.raises(ZeroDivisionError), one_line_for_each_failure():
        raise ZeroDivisionError


def command(home: Home, *words: str) -> subprocess.Popen[bytes]:
    """Start a command as a program of its own."""
    argv = [sys.executable, "-P", "-c", "from console.cli import main; main()", "--home", str(home.root), *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_reader_that_goes_away_ends_it_quietly(home: Home) -> None:
    """Ours: `queenpost logs | head -1`."""
    record = '{"time": "2030-01-01T00:00:00.000+00:00", "level": "info", "program": "broker", "event": "x"}\n'
    (home.logs / "broker.ndjson").write_text(record * 20_000, encoding="utf-8")
    with command(home, "logs", "-n", "20000") as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.readline()
        program.stdout.close()
        assert program.wait(timeout=15) == 141
        assert b"Traceback" not in program.stderr.read()


def test_ctrl_c_while_following_is_quiet(home: Home) -> None:
    """Ours: 130 and no trace."""
    record = '{"time": "2030-01-01T00:00:00.000+00:00", "level": "info", "program": "broker", "event": "x"}\n'
    (home.logs / "broker.ndjson").write_text(record, encoding="utf-8")
    with command(home, "logs", "-f") as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.readline()
        program.send_signal(signal.SIGINT)
        assert program.wait(timeout=15) == 130
        assert program.stderr.read().decode().splitlines() == [f"fleet {home.fleet_name}  {home.root}"]


def test_a_full_disk_behind_stdout_is_a_refusal(home: Home) -> None:
    """Ours: what could not be printed is not success."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("wb") as nowhere:
        argv = [sys.executable, "-P", "-c", "from console.cli import main; main(['--version'])"]
        ended = subprocess.run(argv, stdout=nowhere, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 1
    assert os.strerror(errno.ENOSPC).encode() in ended.stderr
