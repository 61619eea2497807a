"""The link through ssh: what is run, what is said when it fails. The program in its place runs things here."""

import os
import shlex
from pathlib import Path

import anyio
import pytest

from tests.fakes.ssh import StandIn
from tests.scenarios.fleet import until
from tests.wire.test_transport import Ear
from wire.errors import Denied, Invalid, QueenpostError, Unavailable
from wire.greeting import PROTOCOL, Greeting, decode_greeting, encode_greeting
from wire.ssh import SshAddress, SshDialer

pytestmark = pytest.mark.anyio

WELCOME = encode_greeting(Greeting(PROTOCOL, "1.0", "/srv/fleet", "the-token")).decode().strip()
ECHO = f"printf '%s\\n' {shlex.quote(WELCOME)}\nexec cat\n"
HERE = SshAddress("post.example", home="/srv/my fleet")


def dialer(folder: Path, far_end: str, *, address: SshAddress = HERE) -> SshDialer:
    """Make a dialer whose far end is a shell script."""
    return SshDialer(address, None, as_=None, env=StandIn(folder, far_end=f"#!/bin/sh\n{far_end}").env)


async def test_frames_go_both_ways_once_the_far_end_has_greeted(tmp_path: Path) -> None:
    """DESIGN 4: `ssh host queenpost link`, stdio to the socket; the greeting is no frame of the link."""
    dial, ear = dialer(tmp_path, ECHO), Ear(wanted=2)
    with anyio.fail_after(15):
        transport = await dial(ear)
        assert transport.remote
        assert dial.token() == "the-token"
        transport.write(b"one\ntwo\n")
        await ear.heard.wait()
        transport.close()
        await ear.closed.wait()
    assert ear.lines == [b"one", b"two"]
    assert len(ear.endings) == 1


async def test_the_end_of_ssh_is_the_end_of_the_connection(tmp_path: Path) -> None:
    """Ours: as a socket that ends; the client makes another."""
    dial, ear = dialer(tmp_path, f"printf '%s\\n' {shlex.quote(WELCOME)}\nread line\n"), Ear()
    with anyio.fail_after(15):
        transport = await dial(ear)
        transport.write(b"anything\n")
        await ear.closed.wait()


async def test_what_ends_right_behind_its_greeting_is_told_to_the_receiver(tmp_path: Path) -> None:
    """Ours: no end is missed between the greeting and the link."""
    ear = Ear()
    with anyio.fail_after(15):
        await dialer(tmp_path, f"printf '%s\\n' {shlex.quote(WELCOME)}\n")(ear)
        await ear.closed.wait()
    assert len(ear.endings) == 1


@pytest.mark.parametrize(
    ("far_end", "error", "words"),
    [
        ("echo 'ssh: connect to host post.example: No route to host' >&2; exit 255", Unavailable, "No route to host"),
        ("echo 'sh: queenpost: not found' >&2; exit 127", Unavailable, "finds no queenpost on the PATH"),
        ("echo \"Error: No such command 'link'.\" >&2; exit 2", Invalid, "is older and has no `link`"),
        ("echo 'queenpost: unavailable: no broker runs' >&2; exit 1", Unavailable, "at ssh://.*: no broker runs"),
        ("echo 'queenpost: denied: not yours' >&2; exit 1", Denied, "not yours"),
        ("echo oops >&2; exit 9", Unavailable, "exit code 9: oops"),
        ("exit 0", Unavailable, "did not say why"),
        ("echo Welcome to post.example; exec cat", Invalid, "'Welcome to post.example' where the link should begin"),
        ('echo \'{"link": "another"}\'; exec cat', Invalid, "where the link should begin"),
        ("head -c 2000000 /dev/zero; exec cat", Unavailable, "link"),
    ],
)
async def test_a_link_that_does_not_begin_says_why(
    tmp_path: Path, far_end: str, error: type[QueenpostError], words: str
) -> None:
    """Bad input and misuse: in words that say on which machine something is to be done."""
    with anyio.fail_after(15), pytest.raises(error, match=words):
        await dialer(tmp_path, far_end)(Ear())


async def test_a_far_end_of_another_version_is_refused(tmp_path: Path) -> None:
    """Bad input and misuse: a remote home of another version; both versions are named."""
    newer = encode_greeting(Greeting(PROTOCOL + 1, "9.9", "/srv/fleet", "the-token")).decode().strip()
    with anyio.fail_after(15), pytest.raises(Invalid, match=rf"queenpost 9\.9 at .* protocol {PROTOCOL + 1}, .* here"):
        await dialer(tmp_path, f"printf '%s\\n' {shlex.quote(newer)}\nexec cat\n")(Ear())


async def test_without_ssh_the_message_names_it() -> None:
    """Ours: says what to install, or how to name another program."""
    dial = SshDialer(HERE, None, as_=None, env={"QUEENPOST_SSH": "/nonexistent/ssh -v"})
    with pytest.raises(Unavailable, match=r"cannot run /nonexistent/ssh: .*\$QUEENPOST_SSH"):
        await dial(Ear())


def test_the_far_shell_gets_words_that_it_cannot_misread() -> None:
    """[Z7] T40: no token in a command line; a home with spaces or quotes stays one word."""
    odd = SshDialer(SshAddress("ada@post", 2222, "/srv/$(reboot) 'x'"), None, as_="bob", env={"QUEENPOST_SSH": ""})
    *ssh, far = odd.command()
    assert ssh == ["ssh", "-T", "-p", "2222", "--", "ada@post"]
    assert shlex.split(far) == ["queenpost", "link", "--home", "/srv/$(reboot) 'x'", "--as", "bob"]


async def test_a_far_end_that_says_no_token_needs_one_from_here(tmp_path: Path) -> None:
    """DESIGN 4 Tokens: says how to name one."""
    silent = encode_greeting(Greeting(PROTOCOL, "1.0", "/srv/fleet")).decode().strip()
    dial, ear = dialer(tmp_path, f"printf '%s\\n' {shlex.quote(silent)}\nexec cat\n"), Ear()
    with anyio.fail_after(15):
        transport = await dial(ear)
        with pytest.raises(Denied, match="--token-file"):
            dial.token()
        transport.abort()
        await ear.closed.wait()


async def test_leaving_while_ssh_asks_for_something_ends_it(tmp_path: Path) -> None:
    """Ours: cancelled before the greeting, nothing is left behind."""
    note = tmp_path / "pid"
    dial = dialer(tmp_path, f"echo $$ > {note}.new; mv {note}.new {note}; exec cat\n")
    with anyio.fail_after(15):
        async with anyio.create_task_group() as group:
            group.start_soon(dial, Ear())
            await until(note.exists)
            group.cancel_scope.cancel()
        far_end = int(note.read_text())
        await until(lambda: not _lives(far_end))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_greeting_is_read_as_it_was_written() -> None:
    """DESIGN 4: whatever a newer far end says beyond it is ignored; anything else is no greeting."""
    greeting = Greeting(PROTOCOL, "1.0", "/srv/fleet", "token")
    assert decode_greeting(encode_greeting(greeting)) == greeting
    assert decode_greeting(b'{"link":"queenpost","protocol":1,"version":"2","home":"/","more":[]}') is not None
    for line in (b"", b"[]", b"7", b'{"link":"queenpost"}', b"\xff", b'{"link":"queenpost","protocol":"x"}'):
        assert decode_greeting(line) is None
