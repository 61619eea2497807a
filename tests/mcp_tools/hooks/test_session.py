"""The hooks of a session as programs: what they ask, what they say, and that nothing holds them up."""

import json
import os
import socket
import sys
from collections.abc import Generator
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess, Popen, run
from typing import Any

import anyio
import pytest

from mcp_tools.hooks import session
from mcp_tools.serving import bearer_path
from mcp_tools.session_note import note_path
from tests.fakes.link import FakeBroker
from tests.mcp_tools.hooks.conftest import PROGRAM, TOKEN, Hooks, context
from wire.errors import Denied, Stale
from wire.fleet import PROTOCOL, Push
from wire.home import Home
from wire.private_files import write_secret
from wire.turns import TurnsSettled


async def test_the_end_of_a_turn_settles_it(hooks: Hooks) -> None:
    """Spec (DESIGN 5.4): by the agent's own token, from a connection of its own."""
    assert await hooks.run("stop", stop_hook_active=False) is None
    assert hooks.ops() == ["turns.settle", "inbox.peek"]
    assert hooks.broker.hellos == [{"hello": "queenpost", "protocol": PROTOCOL, "token": TOKEN, "kind": "hook"}]


async def test_waiting_mail_lets_the_session_go_on_but_once(hooks: Hooks) -> None:
    """[P03] Spec: at most one continuation; the second end settles and is the end."""
    hooks.waiting(2)
    assert await hooks.run("stop", stop_hook_active=False) == {
        "decision": "block",
        "reason": "Queenpost: 2 messages wait; call recv.",
    }
    assert await hooks.run("stop", stop_hook_active=True) is None
    assert hooks.ops() == ["turns.settle", "inbox.peek"] * 2


@pytest.mark.parametrize("said", [{}, {"stop_hook_active": "no"}, {"stop_hook_active": None}])
async def test_a_client_that_does_not_say_whether_it_goes_on_is_not_made_to(
    hooks: Hooks, said: dict[str, object]
) -> None:
    """Ours: it might go on for ever."""
    hooks.waiting(1)
    assert await hooks.run("stop", **said) is None
    assert hooks.ops()[0] == "turns.settle"


async def test_mail_in_the_middle_of_a_turn_is_named_once(hooks: Hooks) -> None:
    """[P02] Spec: only when more has come than this session knows of."""
    answers: list[Any] = []
    for count in (0, 1, 1, 3, 3, 2, 3, 0, 1):
        hooks.waiting(count)
        answers.append(await hooks.run("tool", tool_name="Bash"))
    assert [answer and context(answer, "PostToolUse") for answer in answers] == [
        None,
        "Queenpost: 1 message waits; call recv.",
        None,
        "Queenpost: 3 messages wait; call recv.",
        None,
        None,
        "Queenpost: 3 messages wait; call recv.",
        None,
        "Queenpost: 1 message waits; call recv.",
    ]


async def test_another_session_is_told_anew(hooks: Hooks) -> None:
    """Ours: what one conversation knows the next one does not."""
    hooks.waiting(2)
    assert await hooks.run("tool", session_id="a") is not None
    assert await hooks.run("tool", session_id="b") is not None
    assert await hooks.run("tool", session_id="b") is None


async def test_our_own_tools_are_not_followed_by_a_word(hooks: Hooks) -> None:
    """Ours: recv says by itself what still waits."""
    hooks.waiting(2)
    assert await hooks.run("tool", tool_name="mcp__queenpost__recv") is None
    assert await hooks.run("tool", tool_name="Bash") is None


async def test_a_session_begins_with_who_it_is(hooks: Hooks) -> None:
    """[P13] Spec: after a compaction too; and what waits."""
    quiet = context(await hooks.run("start", source="startup"), "SessionStart")
    assert quiet.startswith("You are alice in a Queenpost fleet; ")
    assert "handled when your turn ends" in quiet
    hooks.waiting(1)
    text = context(await hooks.run("start", source="compact"), "SessionStart")
    assert text == f"{quiet} Queenpost: 1 message waits; call recv."
    assert await hooks.run("tool") is None


@pytest.mark.parametrize(
    "said", [b"", b"not json", b"[1]", b"7", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' + b'"x' * 3_000_000]
)
@pytest.mark.parametrize("moment", ["stop", "tool"])
async def test_what_the_client_says_may_be_anything(hooks: Hooks, moment: str, said: bytes) -> None:
    """Spec: garbage is no reason not to settle."""
    with anyio.fail_after(10):
        ended = await anyio.run_process([*PROGRAM, moment, "alice", str(hooks.home.root)], input=said)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert hooks.ops()[-1] == "inbox.peek"


async def test_a_client_that_never_ends_its_sentence_is_not_waited_for(hooks: Hooks) -> None:
    """Spec: bounded; the turn is settled all the same."""
    async with await anyio.open_process(
        [*PROGRAM, "stop", "alice", str(hooks.home.root)], stdin=PIPE, stderr=PIPE
    ) as process:
        with anyio.fail_after(10):
            await hooks.broker.next("turns.settle")
            assert await process.wait() == 0


async def test_pushes_between_the_answers_are_passed_over(hooks: Hooks) -> None:
    """Ours: they come to every connection."""
    del hooks.broker.answers["turns.settle"]
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: hooks.run("stop", stop_hook_active=False))
        request = await hooks.broker.next("turns.settle")
        await hooks.broker.push(Push(event="mail_waiting", agent="alice"))
        await hooks.broker.reply(request, TurnsSettled(acked=[]))
        await hooks.broker.next("inbox.peek")


@pytest.mark.parametrize("refusal", ["hello", "settle", "nothing"])
async def test_a_refusal_is_silence(hooks: Hooks, refusal: str) -> None:
    """Spec: a void token, an agent that somebody else has, a broker that hangs up."""
    hooks.waiting(3)
    if refusal == "settle":
        hooks.broker.answers["turns.settle"] = lambda _: Stale("another instance works for alice now")
    else:
        hooks.broker.greeting = Denied("this token is not valid") if refusal == "hello" else None
    assert await hooks.run("stop", stop_hook_active=False) is None


async def test_a_hook_shows_a_server_over_http_that_its_client_is_there(hooks: Hooks) -> None:
    """Spec (DESIGN 5.4): renewed by hooks."""
    path = bearer_path(hooks.home, "alice")
    write_secret(path, "x")
    os.utime(path, (0, 0))
    await hooks.run("tool")
    assert path.stat().st_mtime > 0
    assert path.read_text() == "x\n"


async def test_a_hook_of_another_window_leaves_the_mail_alone(hooks: Hooks) -> None:
    """Ours: two windows in one project run the same hooks, and only one of them has the mail."""
    hooks.waiting(2)
    server, another_client = os.getpid(), 2**22 + 1
    write_secret(note_path(hooks.home, "alice"), f"{server} {another_client}")
    assert await hooks.run("stop", stop_hook_active=False) is None
    assert await hooks.run("tool") is None
    assert hooks.ops() == []
    write_secret(note_path(hooks.home, "alice"), f"{server} {os.getpid()}")
    assert await hooks.run("tool") is not None


@pytest.mark.parametrize("variable", ["QUEENPOST_MCP_TOKEN", "QUEENPOST_MCP_URL"])
@pytest.mark.parametrize("moment", ["start", "tool", "stop"])
async def test_a_hosted_program_in_the_same_folder_is_left_alone(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch, moment: str, variable: str
) -> None:
    """Ours: it would be told that it is somebody else, and settle mail that it never had.

    A client may keep one of the two from its hooks.
    """
    hooks.waiting(2)
    monkeypatch.setenv(variable, "of-bob")
    assert await hooks.run(moment, stop_hook_active=False) is None
    assert hooks.ops() == []


@pytest.mark.parametrize("note", ["", "x y", "1", "{dead} 1", "1 2 3"])
async def test_a_note_that_means_nothing_does_not_silence_a_hook(hooks: Hooks, note: str) -> None:
    """Ours: left behind by a server that was killed, or never whole."""
    gone = await anyio.run_process([sys.executable, "-S", "-c", "import os; print(os.getpid())"])
    note_path(hooks.home, "alice").write_text(note.replace("{dead}", gone.stdout.decode().strip()))
    hooks.waiting(2)
    assert await hooks.run("tool") is not None


async def test_the_broker_is_found_where_it_was_noted(home: Home, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ours: a home whose own path is too long for a socket."""
    elsewhere = home.place_socket({"XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("r"))})
    assert elsewhere == home.socket
    noted = tmp_path_factory.mktemp("s") / home._socket_folder  # pyright: ignore[reportPrivateUsage]  # as it makes one
    noted = noted.with_name(f"{noted.name}1")
    noted.mkdir(mode=0o700)
    write_secret(home.run / "socket", str(noted / "broker.sock"))
    async with FakeBroker(home.socket) as broker:
        hooks = Hooks(home, broker)
        hooks.waiting(1)
        assert home.socket == noted / "broker.sock"
        assert await hooks.run("tool") is not None
        write_secret(home.run / "socket", str(noted.with_name("queenpost-00000000-1") / "broker.sock"))
        assert await hooks.run("tool", session_id="of a copied home") is None


# --- when something is missing --------------------------------------------------------------------------


def silent(home: Path, moment: str = "stop") -> CompletedProcess[bytes]:
    """Run a hook in a world that is not whole; it has 8 seconds less than pytest."""
    return run([*PROGRAM, moment, "alice", str(home)], input=b"{}", capture_output=True, check=False, timeout=12)


def is_silent(ended: CompletedProcess[bytes]) -> bool:
    """Say whether nobody would notice that it ran."""
    return (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


@pytest.mark.parametrize("moment", ["start", "tool", "stop"])
def test_without_a_home_a_token_or_a_broker_it_is_silent(home: Home, tmp_path: Path, moment: str) -> None:
    """Spec: exit 0, nothing on stdout."""
    assert is_silent(silent(tmp_path / "nowhere", moment))
    assert is_silent(silent(home.root, moment))
    home.agent_secret("alice").unlink()
    assert is_silent(silent(home.root, moment))


def test_a_token_that_others_may_read_is_not_used(home: Home, broker_that_hangs: socket.socket) -> None:
    """Ours: as everywhere else."""
    home.agent_secret("alice").chmod(0o644)
    assert is_silent(silent(home.root))
    broker_that_hangs.setblocking(False)
    with pytest.raises(BlockingIOError):
        broker_that_hangs.accept()


@pytest.mark.parametrize("words", [[], ["stop"], ["stop", "alice"], ["dance", "alice", "."], ["stop", "../x", "."]])
def test_an_odd_command_line_is_silent(words: list[str]) -> None:
    """Ours: a client would show it to somebody who cannot mend it."""
    assert is_silent(run([*PROGRAM, *words], input=b"{}", capture_output=True, check=False, timeout=12))


@pytest.fixture
def broker_that_hangs(home: Home) -> Generator[socket.socket]:
    """A broker that was stopped: the kernel takes connections, and nobody answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(home.socket))
        listener.listen(1)
        yield listener


@pytest.mark.parametrize("moment", ["start", "tool", "stop"])
def test_a_broker_that_hangs_is_given_up(home: Home, broker_that_hangs: socket.socket, moment: str) -> None:
    """Spec: bounded in all; it heard nothing but our hello."""
    assert is_silent(silent(home.root, moment))
    connection, _ = broker_that_hangs.accept()
    with connection:
        assert json.loads(connection.recv(4096))["hello"] == "queenpost"


@pytest.mark.parametrize(
    "answer", [b"garbage\n", b"[]\n", b'{"protocol":1}\n' * 2, b"\n", b'{"event":1}\n', b"x" * 70_000]
)
def test_a_broker_that_talks_nonsense_is_given_up(home: Home, broker_that_hangs: socket.socket, answer: bytes) -> None:
    """Ours: whatever it is, it is bounded."""
    with run_beside(home) as process:
        connection, _ = broker_that_hangs.accept()
        with connection:
            connection.sendall(answer)
            assert process.communicate(timeout=12) == (b"", b"")
    assert process.returncode == 0


def run_beside(home: Home) -> Popen[bytes]:
    """Start a hook and go on."""
    return Popen([*PROGRAM, "stop", "alice", str(home.root)], stdin=DEVNULL, stdout=PIPE, stderr=PIPE)


def test_the_bounds_leave_a_client_its_second() -> None:
    """Spec: at most 1 s in all; the client's part cannot use up the broker's."""
    assert session.WITHIN_S < 1
    assert session.HEARD_WITHIN_S <= session.WITHIN_S / 2


def test_it_loads_nothing_of_ours_and_nothing_that_is_slow() -> None:
    """Spec: the standard library only, and of that little; no time is measured here."""
    command = [sys.executable, "-I", "-S", "-X", "importtime", *PROGRAM[3:]]
    ended = run(command, stdin=DEVNULL, capture_output=True, check=True, timeout=12)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ended.stderr.decode().splitlines()}
    assert {"json", "socket"} <= loaded
    ours = {"broker", "console", "harness", "mcp_tools", "node", "prompts", "wire"}
    slow = {"anyio", "argparse", "asyncio", "click", "dataclasses", "hashlib", "inspect", "logging", "mcp", "pathlib"}
    assert not loaded & {*ours, *slow, "pydantic", "pydantic_core", "subprocess", "tempfile", "typing"}
