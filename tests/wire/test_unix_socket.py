"""The socket of a fleet: who may connect, who may listen, and patience."""

import os
import random
import socket
from pathlib import Path

import anyio
import pytest

from tests.wire.test_transport import Ear
from wire.errors import Conflict, Denied, Invalid, Unavailable
from wire.home import MAX_SOCKET_PATH_BYTES
from wire.transport import Receiver, Transport
from wire.unix_socket import connect_unix, listen_unix

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the broker of a test listens."""
    return tmp_path / "broker.sock"


def echo(transport: Transport) -> Receiver:
    """Accept a connection and give its lines back."""

    class Echo(Ear):
        def on_line(self, line: bytes) -> None:
            transport.write(line + b"\n")

    return Echo()


def dead_socket(path: Path) -> None:
    """Leave what a killed broker leaves."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


async def said(path: Path, line: bytes) -> bytes:
    """Say something to whoever listens and give the answer."""
    ear = Ear()
    transport = await connect_unix(path, ear)
    transport.write(line + b"\n")
    with anyio.fail_after(15):
        await ear.heard.wait()
        transport.close()
        await ear.closed.wait()
    return ear.lines[0]


async def test_who_connects_is_heard(path: Path) -> None:
    """DESIGN 4: one socket per fleet."""
    async with await listen_unix(path, echo):
        assert await said(path, b"hello") == b"hello"


async def test_the_socket_is_for_its_owner_only(path: Path) -> None:
    """DESIGN 4: mode 0600."""
    async with await listen_unix(path, echo):
        assert path.stat().st_mode & 0o777 == 0o600


async def test_an_accepted_connection_may_send_no_more_than_a_hello(path: Path) -> None:
    """DESIGN 4: 4 KiB before the welcome."""
    ear = Ear()
    async with await listen_unix(path, echo):
        transport = await connect_unix(path, ear)
        transport.write(b"x" * 4097)
        with anyio.fail_after(15):
            await ear.closed.wait()
    assert ear.lines == []


async def test_the_socket_of_a_dead_broker_is_replaced(path: Path) -> None:
    """Ours: after kill -9 the next broker starts without help."""
    dead_socket(path)
    async with await listen_unix(path, echo):
        assert await said(path, b"hello") == b"hello"


async def test_the_socket_of_a_living_broker_is_not_touched(path: Path) -> None:
    """DESIGN 2: a second broker on the same home is refused."""
    async with await listen_unix(path, echo):
        with pytest.raises(Conflict, match="another broker"):
            await listen_unix(path, echo)
        assert await said(path, b"still here") == b"still here"


async def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    """Ours: nothing of the user's is removed."""
    path.write_text("mine")
    with pytest.raises(Conflict, match="no socket"):
        await listen_unix(path, echo)
    assert path.read_text() == "mine"


async def test_closing_takes_the_socket_away(path: Path) -> None:
    """Ours: whoever comes later hears that nobody listens; who is connected stays."""
    ear = Ear()
    listener = await listen_unix(path, echo)
    transport = await connect_unix(path, ear)
    await said(path, b"by now the first is accepted too")
    listener.close()
    assert not path.exists()
    transport.write(b"still here\n")
    with anyio.fail_after(15):
        await ear.heard.wait()
        transport.close()
        await ear.closed.wait()


async def test_closing_leaves_the_socket_of_a_successor(path: Path) -> None:
    """Ours: a broker that ends late does not cut its successor off."""
    first = await listen_unix(path, echo)
    path.unlink()
    async with await listen_unix(path, echo):
        first.close()
        assert await said(path, b"hello") == b"hello"


async def test_a_folder_that_others_may_write_to_is_refused(path: Path) -> None:
    """DESIGN 4: socket in a 0700 folder; the message says what to do."""
    path.parent.chmod(0o777)
    with pytest.raises(Denied, match="chmod go-w"):
        await listen_unix(path, echo)


async def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """DESIGN 4: 103 bytes, macOS has no room for more."""
    with pytest.raises(Invalid, match="too long"):
        await listen_unix(tmp_path / ("x" * MAX_SOCKET_PATH_BYTES), echo)


@pytest.mark.parametrize("leftover", [False, True])
async def test_without_a_broker_the_message_says_how_to_start_one(path: Path, leftover: bool) -> None:
    """DESIGN 2: exit 1, "start it with `queenpost up`"; a socket that was left behind changes nothing."""
    if leftover:
        dead_socket(path)
    with pytest.raises(Unavailable, match="queenpost up"):
        await connect_unix(path, Ear())


async def test_a_socket_that_could_not_be_there_means_that_nobody_listens(tmp_path: Path) -> None:
    """Ours: a home with a long path, before its broker ever ran."""
    with pytest.raises(Unavailable, match="queenpost up"):
        await connect_unix(tmp_path / ("x" * MAX_SOCKET_PATH_BYTES), Ear())


async def test_a_full_backlog_is_waited_for(path: Path) -> None:
    """DESIGN 4: EAGAIN on connect is retried."""
    waited = anyio.Event()

    class Dice(random.Random):
        def uniform(self, a: float, b: float) -> float:
            waited.set()
            return 0.0

    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(str(path))
        busy.listen(0)
        first.connect(str(path))
        ear = Ear()
        with anyio.fail_after(15):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_accept_after, waited, busy)
                transport = await connect_unix(path, ear, rng=Dice())
                transport.abort()
                await ear.closed.wait()


async def _accept_after(waited: anyio.Event, busy: socket.socket) -> None:
    await waited.wait()
    os.close(busy.accept()[0].detach())
