"""Several users on one machine: the group that may reach the socket, and tokens that belong to one user."""

import grp
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import anyio.to_thread
import pytest

from broker.edge import sharing
from broker.edge.connection import Connection
from tests.broker.edge.frames import error_of, still_works
from tests.fakes.broker import LocalBroker
from wire.errors import Denied, Invalid
from wire.home import Home
from wire.peers import Peer
from wire.transport import Transport

pytestmark = pytest.mark.anyio

NOBODY = 65534
AS_ROOT = os.geteuid() == 0


def mode(path: Path) -> int:
    """Give the permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def own_group() -> str:
    """Give a group of which this user is a member."""
    return grp.getgrgid(os.getegid()).gr_name


def configured(home: Home, text: str) -> LocalBroker:
    """Give a broker with settings."""
    home.create()
    path = home.root / "queenpost.toml"
    path.write_text(text, encoding="utf-8")
    return LocalBroker(home, config=path)


async def test_without_a_group_nobody_else_reaches_anything(home: Home) -> None:
    """[Z7] T40, DESIGN 4: 0600 in 0700."""
    async with LocalBroker(home):
        assert mode(home.socket) == 0o600
        for folder in (home.root, home.run, home.secrets, home.logs, home.backups):
            assert mode(folder) == 0o700
        assert mode(home.database) == mode(home.operator_secret) == 0o600


TRY = """\
import json, os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
reached = []
for path in sys.argv[2:]:
    link = socket.socket(socket.AF_UNIX)
    for way in (open, os.listdir, link.connect):
        try:
            way(path)
            reached.append(path)
        except PermissionError:
            pass
print(json.dumps(reached))
"""


@pytest.mark.skipif(not AS_ROOT, reason="only root can be another user; the modes are shown above for everybody")
async def test_another_user_reaches_nothing(home: Home) -> None:
    """[Z7] T40: each file, folder and socket gives EACCES, to a real process of another user."""
    home.root.parent.chmod(0o711)
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        secrets = (home.operator_secret, home.harness_secret, home.agent_secret("bob"))
        paths = [str(path) for path in (home.root, home.run, home.socket, home.database, home.logs, *secrets)]
        command = [sys.executable, "-I", "-c", TRY, str(NOBODY), *paths]
        said = await anyio.run_process(command)
        assert json.loads(said.stdout) == []


async def test_a_group_reaches_the_socket_and_nothing_else(home: Home) -> None:
    """DESIGN 4: 0660 in 0750, of that group; secrets, logs and the database stay private."""
    async with configured(home, f'[link]\ngroup = "{own_group()}"\n') as fleet:
        assert mode(home.socket) == 0o660
        assert home.socket.stat().st_gid == os.getegid()
        assert mode(home.run) == mode(home.root) == 0o750
        for folder in (home.secrets, home.logs, home.backups, home.root / "agents"):
            assert mode(folder) == 0o700
        assert mode(home.database) == mode(home.operator_secret) == 0o600
        assert await still_works(await fleet.raw(home.operator_secret))
    async with LocalBroker(home):  # the group was taken out of the file
        assert mode(home.socket) == 0o600
        assert mode(home.run) == mode(home.root) == 0o700


async def test_a_group_that_does_not_exist_stops_the_start(home: Home) -> None:
    """Bad input and misuse: says how to make one."""
    with pytest.RaisesGroup(pytest.RaisesExc(Invalid, match="groupadd no-such-group"), flatten_subgroups=True):
        async with configured(home, '[link]\ngroup = "no-such-group"\n'):
            pass


def test_a_group_of_others_cannot_be_given_anything(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad input and misuse: says how to become a member."""
    home.create()

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(Denied, match="usermod -aG"):
        sharing.share(home, home.run / "broker.sock", own_group())


def test_a_socket_outside_of_the_home_is_not_shared(home: Home) -> None:
    """Ours: it lies where no other user may enter."""
    home.create()
    with pytest.raises(Invalid, match="shorter path"):
        sharing.share(home, Path("/run/user/0/elsewhere/broker.sock"), own_group())


# ---- tokens of one user

PINNED = f"[agents.bob]\nuid = {NOBODY}\n[agents.alice]\n"

HELLO = """\
import json, os, socket, sys
os.setgroups([])
os.setuid(int(sys.argv[2]))
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
link.sendall(sys.stdin.buffer.read())
print(link.makefile().readline())
"""


def hello_as(uid: int, home: Home, token: str) -> dict[str, object]:
    """Say hello in a process of another user, and give what is answered."""
    hello = json.dumps({"hello": "queenpost", "protocol": 1, "token": token, "kind": "test"}) + "\n"
    said = subprocess.run(
        [sys.executable, "-I", "-c", HELLO, str(home.socket), str(uid)],
        input=hello,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(said.stdout)


def others(monkeypatch: pytest.MonkeyPatch, peer: Peer | None) -> None:
    """Let every connection come from this user, as far as the broker can tell."""
    monkeypatch.setattr(Transport, "peer", property(lambda _: peer))


@pytest.mark.skipif(not AS_ROOT, reason="only root can be another user; the test below fakes it for everybody else")
async def test_the_kernel_keeps_another_user_from_a_pinned_token(home: Home) -> None:
    """[H01] T2, T40: with real processes of two users; root is no exception."""
    home.root.parent.chmod(0o711)
    async with configured(home, f'[link]\ngroup = "{own_group()}"\n{PINNED}') as fleet:
        token = fleet.token(home.agent_secret("bob"))

        async def hello(uid: int, shown: str) -> dict[str, object]:
            return await anyio.to_thread.run_sync(hello_as, uid, home, shown)

        assert (await hello(NOBODY, token))["principal"] == {"kind": "agent", "name": "bob"}
        assert error_of(await hello(NOBODY - 1, token)) == (None, "denied")
        assert error_of(await hello(0, token)) == (None, "denied")
        assert "principal" in await hello(0, fleet.token(home.agent_secret("alice")))


@pytest.mark.parametrize(("peer", "words"), [(Peer(1, 1001, 1), "this is uid 1001"), (None, "cannot be told")])
async def test_a_pinned_token_is_good_from_its_user_only(
    home: Home, monkeypatch: pytest.MonkeyPatch, peer: Peer | None, words: str
) -> None:
    """[H01] DESIGN 4: says which user is expected; where the system does not tell, from nobody."""
    async with configured(home, PINNED) as fleet:
        token = fleet.token(home.agent_secret("bob"))
        with monkeypatch.context() as patch:
            others(patch, peer)
            answer = await (await fleet.raw()).hello(token)
            assert error_of(answer) == (None, "denied")
            assert f"from uid {NOBODY} only" in answer["error"]["message"]
            assert words in answer["error"]["message"]
            assert await still_works(await fleet.raw(home.agent_secret("alice")))
        others(monkeypatch, Peer(1, NOBODY, NOBODY))
        assert await still_works(await fleet.raw(home.agent_secret("bob")))


async def test_a_pin_that_is_applied_ends_the_connections_of_others(home: Home) -> None:
    """DESIGN 10: it holds from the apply on, for who said hello before as well."""
    async with configured(home, "[agents.bob]\n[agents.alice]\n") as fleet:
        bob, alice = await fleet.raw(home.agent_secret("bob")), await fleet.raw(home.agent_secret("alice"))
        (home.root / "queenpost.toml").write_text(f"[agents.bob]\nuid = {os.geteuid() + 1}\n[agents.alice]\n", "utf-8")
        operator = await fleet.raw(home.operator_secret)
        assert (await operator.ask({"id": 1, "op": "fleet.apply", "key": "k"}))["ok"]
        assert b'"ok"' not in await bob.ended()
        assert await still_works(alice)


async def test_through_ssh_the_user_of_the_login_counts(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 4: `queenpost link` runs as the user who logged in, and is what the kernel sees."""
    async with configured(home, PINNED) as fleet:
        token = fleet.token(home.agent_secret("bob"))
        others(monkeypatch, Peer(1, NOBODY, NOBODY))
        assert "principal" in await (await fleet.raw()).hello(token, remote=True)
        ours = fleet.end_of("bob")
        assert isinstance(ours, Connection)
        assert ours.remote
