"""Events go to a file as JSON and to the console as a line; they never cost the program anything."""

import io
import json
import logging
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import anyio
import pytest

import wire.log_handlers
from wire.logs import bind, configure, get_logger

log = get_logger("test")


@pytest.fixture(autouse=True)
def logging_as_before() -> Generator[None]:
    """Put stdlib logging back: it belongs to the whole process."""
    root, ours = logging.getLogger(), logging.getLogger("queenpost")
    before = (root.handlers[:], root.level, ours.level, logging.raiseExceptions)
    yield
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers[:], logging.raiseExceptions = before[0], before[3]
    root.setLevel(before[1])
    ours.setLevel(before[2])


class Terminal(io.StringIO):
    """A console at which somebody sits."""

    def isatty(self) -> bool:
        """It is one."""
        return True


@pytest.fixture
def console(tmp_path: Path) -> io.StringIO:
    """The console of a program that logs into tmp_path."""
    console = Terminal()
    configure("test", folder=tmp_path, console=console, env={"NO_COLOR": "1"})
    return console


def records(folder: Path) -> list[dict[str, Any]]:
    """Give what is in the current file."""
    return [json.loads(line) for line in (folder / "test.ndjson").read_text().splitlines()]


@pytest.mark.usefixtures("console")
def test_an_event_is_one_json_object_on_one_line(tmp_path: Path) -> None:
    """Ours: time in UTC, level, program, logger, event, then what was said."""
    log.info("turn_opened", turn_id="t7", wait_s=0.5, note="two\nlines")
    [record] = records(tmp_path)
    assert record.pop("time").endswith("+00:00")
    assert record == {
        "level": "info",
        "program": "test",
        "logger": "test",
        "event": "turn_opened",
        "turn_id": "t7",
        "wait_s": 0.5,
        "note": "two\nlines",
    }


def test_the_console_gets_a_readable_line(console: io.StringIO) -> None:
    """Ours: no colours where nobody sees them."""
    log.warning("inbox_nearly_full", agent="alice")
    assert console.getvalue().endswith("  warning  test  inbox nearly full  agent=alice\n")
    assert "\x1b" not in console.getvalue()


@pytest.mark.parametrize(
    ("tty", "env", "coloured"), [(True, {}, True), (True, {"NO_COLOR": "1"}, False), (False, {}, False)]
)
def test_colours_are_for_terminals_that_want_them(tty: bool, env: dict[str, str], coloured: bool) -> None:
    """DESIGN 10: NO_COLOR."""
    console = Terminal() if tty else io.StringIO()
    configure("test", folder=None, console=console, env=env)
    log.info("started")
    assert ("\x1b[" in console.getvalue()) is coloured


def test_a_console_that_is_no_terminal_hears_only_trouble_where_there_is_a_file(tmp_path: Path) -> None:
    """Ours: a supervisor keeps it as last words; the story is in the file."""
    console = io.StringIO()
    configure("test", folder=tmp_path, console=console, env={})
    log.info("started")
    log.warning("disk_nearly_full")
    assert [record["event"] for record in records(tmp_path)] == ["started", "disk_nearly_full"]
    assert console.getvalue().count("\n") == 1
    assert "disk nearly full" in console.getvalue()


def test_what_is_relayed_is_written_at_once(
    tmp_path: Path, console: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: the lines of one commit cost one system call, and read like any other."""
    write, writes = os.write, list[bytes]()

    def counted(descriptor: int, data: bytes) -> int:
        writes.append(data)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    log.relay([("message_accepted", {"message": "m1", "body": "secret"}), ("turn_opened", {"turn": "t1"})])
    log.info("after")
    assert [data.count(b"\n") for data in writes] == [2, 1]
    accepted, opened, after = records(tmp_path)
    assert (accepted["event"], accepted["message"], accepted["body"]) == ("message_accepted", "m1", "***")
    assert (opened["event"], opened["turn"]) == ("turn_opened", "t1")
    assert accepted.keys() - {"message", "body"} == after.keys()
    first, second, _ = console.getvalue().splitlines()
    assert "message accepted  message=m1 body=***" in first
    assert "turn opened  turn=t1" in second


@pytest.mark.usefixtures("console")
def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """DESIGN 2: 0600, also where it lay there before."""
    (tmp_path / "test.ndjson").touch(0o644)
    log.info("started")
    assert (tmp_path / "test.ndjson").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("console")
def test_secrets_and_bodies_are_masked(tmp_path: Path) -> None:
    """Ours: by the name of the field, at any depth; a path or a count is no secret."""
    log.info(
        "agent_attached",
        token="x1",
        agent_token="x2",
        Authorization="x3",
        frame={"body": "x4", "to": "bob", "auth": {"password": "x5"}},
        secret="x6",
        token_path="secrets/agents/alice",
        body_bytes=12,
    )
    text = (tmp_path / "test.ndjson").read_text()
    assert not [secret for secret in ("x1", "x2", "x3", "x4", "x5", "x6") if secret in text]
    [record] = records(tmp_path)
    assert record["frame"] == {"body": "***", "to": "bob", "auth": {"password": "***"}}
    assert (record["token_path"], record["body_bytes"]) == ("secrets/agents/alice", 12)


@pytest.mark.usefixtures("console")
def test_a_field_never_hides_what_every_record_has(tmp_path: Path) -> None:
    """Ours: it gets another name instead."""
    log.info("started", level="high", event="other")
    [record] = records(tmp_path)
    assert (record["level"], record["event"]) == ("info", "started")
    assert (record["level_"], record["event_"]) == ("high", "other")


@pytest.mark.usefixtures("console")
def test_an_exception_comes_with_its_traceback(tmp_path: Path) -> None:
    """STYLE of errors: the detail is in the log."""
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("request_failed", op="inbox.send")
    [record] = records(tmp_path)
    assert (record["level"], record["exception"]) == ("error", "ValueError: no")
    assert "Traceback" in record["traceback"]


@pytest.mark.usefixtures("console")
async def test_bound_fields_are_in_every_event_inside(tmp_path: Path) -> None:
    """Ours: bound once at the edge; tasks inherit them, and others do not see them."""

    async def inner() -> None:
        log.info("inner_logged", turn_id="t2")

    with bind(agent_id="alice", turn_id="t1"):
        with bind(request_id=3):
            log.info("both_logged")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inner)
    log.info("outer_logged")
    both, inside, outside = records(tmp_path)
    assert (both["agent_id"], both["turn_id"], both["request_id"]) == ("alice", "t1", 3)
    assert (inside["agent_id"], inside["turn_id"]) == ("alice", "t2")
    assert "agent_id" not in outside
    assert "request_id" not in inside


def test_files_rotate_and_the_oldest_goes(
    tmp_path: Path, console: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 2: 16 MiB × 5."""
    monkeypatch.setattr(wire.log_handlers, "MAX_FILE_BYTES", 1000)
    for number in range(200):
        log.info("counted", number=number)
    files = sorted(tmp_path.iterdir(), key=lambda path: path.name, reverse=True)
    assert [path.name for path in files] == [*(f"test.ndjson.{n}" for n in (4, 3, 2, 1)), "test.ndjson"]
    assert max(path.stat().st_size for path in files) <= 1000
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    numbers = [json.loads(line)["number"] for path in files for line in path.read_text().splitlines()]
    assert numbers == list(range(numbers[0], 200))
    assert console.getvalue().count("counted") == 200


def test_a_file_of_an_earlier_run_is_continued(tmp_path: Path) -> None:
    """Ours: and its size counts."""
    for _ in range(2):
        configure("test", folder=tmp_path, console=None, env={})
        log.info("started")
    assert len(records(tmp_path)) == 2


def test_a_full_disk_costs_the_log_and_nothing_else(
    tmp_path: Path,
    console: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ours: said once on stderr; the half line that was written last is ended when there is room again."""
    write = os.write
    log.info("before")

    def short(descriptor: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", full)
        return write(descriptor, data[:10])

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", short)
    for _ in range(5):
        log.info("lost")
    monkeypatch.setattr(os, "write", write)
    log.info("after")
    first, torn, last = (tmp_path / "test.ndjson").read_text().splitlines()
    assert (json.loads(first)["event"], json.loads(last)["event"]) == ("before", "after")
    assert len(torn) == 10
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "No space left" in complaint
    assert console.getvalue().count("lost") == 5


def test_a_folder_that_is_gone_costs_the_log_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ours: also when it was never there."""
    configure("test", folder=tmp_path / "nothing", console=None, env={})
    log.info("lost")
    assert "cannot write the log" in capsys.readouterr().err


def test_a_console_that_is_gone_costs_nothing(tmp_path: Path) -> None:
    """Ours: a terminal was closed; the file goes on."""

    class Gone(io.StringIO):
        def write(self, text: str, /) -> int:
            raise OSError(5, "Input/output error")

    configure("test", folder=tmp_path, console=Gone(), env={})
    log.info("started")
    assert len(records(tmp_path)) == 1


@pytest.mark.usefixtures("console")
def test_anything_may_be_a_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ours: what has no form in JSON is written as text, what cannot even be that is given up."""

    class Broken:
        def __str__(self) -> str:
            raise ValueError("no text")

    log.info("odd_logged", path=tmp_path, name="\udc80", raw=b"\xff", ids={1})
    log.info("lost", broken=Broken())
    [record] = records(tmp_path)
    assert record["path"] == str(tmp_path)
    assert "no text" in capsys.readouterr().err


def test_libraries_are_heard_from_warning_on(tmp_path: Path, console: io.StringIO) -> None:
    """Ours: in the same places as everything else; below it they tell what is said, whatever the root says."""
    logging.getLogger().setLevel(logging.DEBUG)
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error", "mcp", "mcp.server.lowlevel", "websockets.client"):
        library = logging.getLogger(name)
        library.info("chatter of %s", name)
        library.warning("trouble in %s", name)
    assert [record["event"] for record in records(tmp_path)] == [
        "trouble in uvicorn",
        "trouble in uvicorn.access",
        "trouble in uvicorn.error",
        "trouble in mcp",
        "trouble in mcp.server.lowlevel",
        "trouble in websockets.client",
    ]
    assert "chatter" not in console.getvalue()


def test_what_is_below_the_level_is_not_logged(tmp_path: Path) -> None:
    """Ours: debugging is switched on by the one who starts the program."""
    configure("test", folder=tmp_path, console=None, env={}, level=logging.DEBUG)
    log.debug("shown")
    configure("test", folder=tmp_path, console=None, env={})
    log.debug("hidden")
    assert [record["event"] for record in records(tmp_path)] == ["shown"]
