"""--broker: a command reaches a broker that is not that of a home on this machine."""

import os
import re
from pathlib import Path

import anyio.to_thread
import pytest
from click.testing import CliRunner, Result

from console.cli import main
from tests.console.conftest import Terminal
from tests.fakes.ssh import StandIn
from wire.inbox import InboxSent
from wire.private_files import write_secret


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Let something stand in for ssh."""
    stand_in = StandIn(tmp_path)
    for name, value in stand_in.env.items():
        monkeypatch.setenv(name, value)
    return stand_in


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """Give the file of a token that lies here."""
    path = tmp_path / "my-token"
    write_secret(path, "a-token-from-here")
    return path


async def typed(*words: str) -> Result:
    """Run `queenpost WORDS`, without naming a home."""
    return await anyio.to_thread.run_sync(lambda: CliRunner().invoke(main, list(words)))


def sends(terminal: Terminal) -> None:
    """Script a broker that accepts."""
    terminal.broker.answers["inbox.send"] = lambda request: InboxSent(
        id="m1", to=request["to"], recipients=[request["to"]], skipped=[], warnings=[]
    )


async def test_over_ssh_the_far_home_says_the_token(terminal: Terminal, ssh: StandIn) -> None:
    """DESIGN 4: no port, no certificate, no token in any command line; the fleet and the way to it are named."""
    sends(terminal)
    result = await typed("--broker", f"ssh://post.example{terminal.home.root}", "send", "bob", "hi")
    assert result.exit_code == 0, result.output
    assert f"ssh://post.example{terminal.home.root}" in result.stderr
    (hello,) = terminal.broker.hellos
    assert (hello["token"], hello["remote"]) == ("the-token-of-the-operator", True)
    (line,) = ssh.command_lines
    assert line == f"-T -- post.example queenpost link --home {terminal.home.root}"


async def test_over_ssh_one_can_be_an_agent_or_bring_a_token(
    terminal: Terminal, ssh: StandIn, token_file: Path
) -> None:
    """DESIGN 4 Tokens: `--as NAME` by its file there; `--token-file` by a file here, never as an argument."""
    sends(terminal)
    address = f"ssh://ada@post.example:2222{terminal.home.root}"
    assert (await typed("--broker", address, "--as", "bob", "send", "alice", "hi")).exit_code == 0
    assert (await typed("--broker", address, "--token-file", str(token_file), "send", "bob", "hi")).exit_code == 0
    assert [hello["token"] for hello in terminal.broker.hellos] == ["the-token-of-bob", "a-token-from-here"]
    assert all(line.startswith("-T -p 2222 -- ada@post.example queenpost link") for line in ssh.command_lines)
    assert ssh.command_lines[0].endswith(" --as bob")
    assert ssh.command_lines[1].endswith(" --no-token")


async def test_the_environment_names_a_broker_unless_a_home_is_named(
    terminal: Terminal, ssh: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: `$QUEENPOST_BROKER`; what is said on the command line wins."""
    sends(terminal)
    monkeypatch.setenv("QUEENPOST_BROKER", f"ssh://post.example{terminal.home.root}")
    assert (await typed("send", "bob", "hi")).exit_code == 0
    assert len(ssh.command_lines) == 1
    assert (await terminal.type("send", "bob", "hi")).exit_code == 0
    assert len(ssh.command_lines) == 1


async def test_a_socket_is_reached_with_a_token_of_ones_own(terminal: Terminal, token_file: Path) -> None:
    """DESIGN 4: for another user of this machine; by file or by descriptor."""
    sends(terminal)
    address = f"unix:{terminal.home.socket}"
    assert (await typed("--broker", address, "--token-file", str(token_file), "send", "bob", "hi")).exit_code == 0
    descriptor = os.open(token_file, os.O_RDONLY)
    try:
        assert (await typed("--broker", address, "--token-fd", str(descriptor), "send", "bob", "hi")).exit_code == 0
    finally:
        os.close(descriptor)
    assert [hello["token"] for hello in terminal.broker.hellos] == ["a-token-from-here"] * 2
    assert "remote" not in terminal.broker.hellos[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--broker", "post.example", "status"), "invalid: 'post.example' is no address of a broker"),
        (("--broker", "unix:/nowhere/broker.sock", "status"), "invalid: .* needs a credential"),
        (("--broker", "tls://localhost:1", "status"), "invalid: .* needs a credential"),
        (("--broker", "ssh://post", "--home", "/srv/fleet", "status"), "invalid: --broker and --home both say"),
        (("--broker", "ssh://post", "logs"), "invalid: this command works on the files of a home"),
        (("--broker", "ssh://post", "up"), "invalid: this command works on the files of a home"),
        (("--broker", "unix:/nowhere/broker.sock", "--token-fd", "9999", "status"), "cannot|no broker listens"),
    ],
)
async def test_what_cannot_be_meant_is_refused(words: tuple[str, ...], said: str) -> None:
    """Bad input and misuse: one line, exit 1, nothing sent anywhere."""
    result = await typed(*words)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert re.search(said, line)


async def test_a_token_file_that_others_may_read_is_refused(terminal: Terminal, token_file: Path) -> None:
    """[Z7] T40: as every secret; the command that mends it is named."""
    token_file.chmod(0o644)
    result = await typed("--broker", f"unix:{terminal.home.socket}", "--token-file", str(token_file), "status")
    assert result.exit_code == 1
    assert f"chmod 600 {token_file}" in result.stderr


async def test_a_far_home_without_a_broker_says_so(tmp_path: Path, ssh: StandIn) -> None:
    """Ours: the reason is the far end's, with the address in front."""
    result = await typed("--broker", f"ssh://post.example{tmp_path}/nowhere", "status")
    assert result.exit_code == 1
    assert f"at ssh://post.example{tmp_path}/nowhere: no broker runs for the home" in result.stderr
    assert len(ssh.command_lines) == 1


async def test_a_token_on_another_machine_is_not_shown(terminal: Terminal, ssh: StandIn) -> None:
    """DESIGN 4 Tokens: its file cannot be read from here, and it never crosses the link."""
    address = f"ssh://post.example{terminal.home.root}"
    result = await typed("--broker", address, "agent", "token", "bob", "--show")
    assert result.exit_code == 2
    assert "lies on the machine of the broker" in result.stderr
    assert ssh.command_lines == []
