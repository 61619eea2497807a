"""link: stdin and stdout joined to the broker, and how it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio.to_thread
import pytest

from tests.console.cli.test_root import modules_after
from tests.console.conftest import Terminal
from tests.fakes.link import WELCOME
from wire.fleet import PROTOCOL, Hello
from wire.greeting import decode_greeting
from wire.home import Home

PROGRAM = [sys.executable, "-P", "-c", "from console.cli import main; main()"]


@contextmanager
def linked(home: Home, *words: str) -> Generator["subprocess.Popen[bytes]"]:
    """Run `queenpost link` with a pipe at each end; killed at the end of the block, if it still runs."""
    command = [*PROGRAM, "--home", str(home.root), "link", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def hello(token: str) -> bytes:
    """Give the frame that opens the link."""
    return Hello(protocol=PROTOCOL, token=token, kind="test").model_dump_json(exclude_none=True).encode() + b"\n"


def read_line(process: "subprocess.Popen[bytes]") -> bytes:
    """Read a line of what the far end says."""
    assert process.stdout is not None
    return process.stdout.readline()


def write(process: "subprocess.Popen[bytes]", data: bytes) -> None:
    """Say something to it."""
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


def end_of(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    """Wait for its end; give exit code and what it wrote to stderr."""
    _, said = process.communicate(timeout=15)
    return process.returncode, said.decode()


async def test_it_greets_and_then_copies_both_ways(terminal: Terminal) -> None:
    """DESIGN 4: the greeting brings version, home and the operator's token; what follows is the broker's."""

    def talk() -> None:
        with linked(terminal.home) as process:
            greeting = decode_greeting(read_line(process))
            assert greeting is not None
            assert (greeting.protocol, greeting.home) == (PROTOCOL, str(terminal.home.root))
            assert greeting.token == "the-token-of-the-operator"
            write(process, hello(greeting.token))
            assert json.loads(read_line(process))["fleet"] == WELCOME.fleet
            assert end_of(process) == (0, "")  # its input ends

    await anyio.to_thread.run_sync(talk)
    (said,) = terminal.broker.hellos
    assert said["token"] == "the-token-of-the-operator"


@pytest.mark.parametrize(
    ("words", "token"), [(("--as", "bob"), "the-token-of-bob"), (("--no-token",), None), (("--token-file",), "mine")]
)
async def test_whose_token_it_says(terminal: Terminal, tmp_path: Path, words: tuple[str, ...], token: str) -> None:
    """DESIGN 4 Tokens: of an agent, of a file, or none where the caller has its own."""
    if words == ("--token-file",):
        path = tmp_path / "token"
        path.touch(0o600)
        path.write_text("mine\n", encoding="utf-8")
        words = (*words, str(path))

    def greeting() -> str | None:
        with linked(terminal.home, *words) as process:
            said = decode_greeting(read_line(process))
            assert said is not None
            return said.token

    assert await anyio.to_thread.run_sync(greeting) == token


async def test_a_broker_that_hangs_up_is_told_apart_from_a_client_that_left(terminal: Terminal) -> None:
    """Ours: exit 1 with the reason on stderr, which ssh passes on."""
    terminal.broker.greeting = None

    def talk() -> tuple[int, str]:
        with linked(terminal.home) as process:
            read_line(process)
            write(process, hello("token"))
            assert read_line(process) == b""
            return end_of(process)

    code, said = await anyio.to_thread.run_sync(talk)
    assert code == 1
    assert said.startswith("queenpost: unavailable: the broker has ended the connection")


async def test_sigterm_ends_it(terminal: Terminal) -> None:
    """Ours: as sshd ends what a lost connection left."""

    def talk() -> int:
        with linked(terminal.home) as process:
            read_line(process)
            os.kill(process.pid, signal.SIGTERM)
            return process.wait(15)

    assert await anyio.to_thread.run_sync(talk) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "queenpost: unavailable: no broker runs for the home {home}; start it there with `queenpost up`\n"),
        (("--broker", "ssh://post"), "queenpost: invalid: this command works on the files of a home"),
    ],
)
def test_without_a_broker_it_says_so_and_nothing_else(home: Home, words: tuple[str, ...], said: str) -> None:
    """Bad input and misuse: stdout stays empty, so that the caller takes nothing for a greeting."""
    with linked(home, *words) as process:
        out, error = process.communicate(timeout=15)
    assert process.returncode == 1
    assert out == b""
    assert error.decode().startswith(said.format(home=home.root))


async def test_an_agent_that_is_not_there_is_refused_before_the_greeting(terminal: Terminal) -> None:
    """Bad input and misuse."""

    def talk() -> tuple[bytes, bytes]:
        with linked(terminal.home, "--as", "nobody") as process:
            return process.communicate(timeout=15)

    out, error = await anyio.to_thread.run_sync(talk)
    assert out == b""
    assert error.startswith(b"queenpost: unknown: no agent 'nobody'")


def test_it_loads_neither_models_nor_an_event_loop(home: Home) -> None:
    """Ours: it runs anew for each command over ssh, and a person waits for it."""
    loaded = modules_after("--home", str(home.root), "link")
    assert not loaded & {"pydantic", "anyio", "asyncio", "wire.client", "wire.fleet", "mcp"}
