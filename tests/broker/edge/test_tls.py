"""The port: who gets in over TLS, who does not, and what it costs the others."""

import json
import os
import socket
import ssl
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from anyio.streams.tls import TLSStream

from broker.edge import connection, server, tls
from tests.broker.edge.frames import error_of, still_works
from tests.fakes.broker import Brisk, LocalBroker
from tests.fakes.certificates import Authority
from tests.scenarios.fleet import RawLine, Worker, send, settled, until
from wire import pulse, transport
from wire.agents import AgentsAttach, AgentsAttached, AgentsChanged, AgentsRemove
from wire.client import BrokerClient, new_instance, new_key
from wire.clock import FakeClock
from wire.dialing import TlsAddress, way_to
from wire.errors import Denied, Invalid, QueenpostError, Unavailable
from wire.home import Home

pytestmark = pytest.mark.anyio


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give who signs the certificates of a test."""
    return Authority(tmp_path)


def with_port(
    home: Home, authority: Authority, *names: str, expired: bool = False, clock: FakeClock | None = None
) -> LocalBroker:
    """Give a broker that listens on loopback with a certificate for these names."""
    home.create()
    signed = authority.sign(*(names or ("localhost",)), expired=expired)
    text = f'[link]\nlisten = "127.0.0.1:0"\ncertificate = "{signed.certificate}"\nkey = "{signed.key}"\n'
    path = home.root / "queenpost.toml"
    path.write_text(text, encoding="utf-8")
    return LocalBroker(home, config=path, clock=clock)


def port_of(home: Home) -> int:
    """Read which port the broker took."""
    return int((home.run / tls.PORT_FILE).read_text(encoding="utf-8"))


def client(
    fleet: LocalBroker, secret: Path, ca: Path | None, *, host: str = "localhost", reconnect: bool = False
) -> BrokerClient:
    """Make a client that comes over the port."""
    way = way_to(TlsAddress(host, port_of(fleet.home)), lambda: fleet.token(secret), ca=ca, env={})
    return BrokerClient(way.connect, way.token, "test", reconnect=reconnect, rng=Brisk())


async def raw(fleet: LocalBroker, authority: Authority) -> RawLine:
    """Shake hands without a client in between."""
    context = ssl.create_default_context(cafile=authority.certificate)
    plain = await anyio.connect_tcp("127.0.0.1", port_of(fleet.home))
    stream = await TLSStream.wrap(plain, hostname="localhost", ssl_context=context, standard_compatible=False)
    return fleet.kept(stream)


async def test_over_the_port_everything_works_as_over_the_socket(home: Home, authority: Authority) -> None:
    """DESIGN 4: TCP and TLS, token and verified certificate; the same frames."""
    async with with_port(home, authority) as fleet:
        await fleet.add("bob")
        async with client(fleet, home.operator_secret, authority.certificate) as operator:
            assert operator.welcome.principal.name == "operator"
            sent = await send(operator, "bob", "x" * 20_000)
        async with client(fleet, home.agent_secret("bob"), authority.certificate) as bob:
            request = AgentsAttach(agent="bob", instance=new_instance())
            session = Worker(bob, "bob", request.instance, await bob.call(request, AgentsAttached))
            taken = await session.take()
            assert [mail.id for mail in taken.mail] == [sent.id]
            assert len(taken.mail[0].body) == 20_000
    assert not (home.run / tls.PORT_FILE).exists()


@pytest.mark.parametrize(
    ("names", "host", "expired", "words"),
    [
        (("another.example",), "localhost", False, "not valid for 'localhost'.*a name that stands in it"),
        (("localhost",), "127.0.0.1", False, r"not valid for '127\.0\.0\.1'.*a name that stands in it"),
        (("localhost",), "localhost", True, "expired"),
    ],
)
async def test_a_certificate_that_is_not_good_is_refused_with_what_is_wrong(
    home: Home, authority: Authority, names: tuple[str, ...], host: str, expired: bool, words: str
) -> None:
    """Bad input and misuse: a certificate of the wrong name; the token was not sent."""
    async with with_port(home, authority, *names, expired=expired) as fleet:
        with pytest.raises(Denied, match=words):
            await client(fleet, home.operator_secret, authority.certificate, host=host).__aenter__()
        assert len(fleet.server.connections) == 0


async def test_an_authority_that_is_not_known_is_not_believed(home: Home, authority: Authority, tmp_path: Path) -> None:
    """DESIGN 4: verified; says which option names another authority."""
    other = tmp_path / "other"
    other.mkdir()
    async with with_port(home, authority) as fleet:
        with pytest.raises(Denied, match="--ca FILE"):
            await client(fleet, home.operator_secret, None).__aenter__()
        with pytest.raises(Denied, match="the authority that signed it"):
            await client(fleet, home.operator_secret, Authority(other).certificate).__aenter__()


async def test_a_certificate_that_turns_bad_ends_a_client_that_reconnects(home: Home, authority: Authority) -> None:
    """Ours: it does not pass by itself, so nobody tries for ever."""
    async with with_port(home, authority, "another.example") as fleet:
        with pytest.raises(Denied):
            await client(fleet, home.operator_secret, authority.certificate, reconnect=True).__aenter__()


async def test_where_nobody_listens_the_message_says_what_to_look_at(authority: Authority) -> None:
    """Ours: a closed port, and a name that does not exist."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for host, words in (("127.0.0.1", r"\[link\] listen"), ("no-such-host.invalid", "no host of that name")):
            way = way_to(TlsAddress(host, port), lambda: "token", ca=authority.certificate, env={})
            with pytest.raises(Unavailable, match=words):
                await BrokerClient(way.connect, way.token, "test").__aenter__()


async def test_an_authority_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """Bad input and misuse: `--ca` with something else, or nothing, behind it."""
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate", encoding="utf-8")
    for ca in (wrong, tmp_path / "missing.pem"):
        way = way_to(TlsAddress("localhost", 1), lambda: "token", ca=ca, env={})
        with pytest.raises(Invalid, match=f"--ca {ca}"):
            await BrokerClient(way.connect, way.token, "test").__aenter__()


async def test_who_speaks_no_tls_is_dropped(home: Home, authority: Authority) -> None:
    """DESIGN 4: nothing is said in the clear, not even a refusal; others are not hurt."""
    async with with_port(home, authority) as fleet:
        token = fleet.token(home.operator_secret)
        plain = fleet.kept(await anyio.connect_tcp("127.0.0.1", port_of(home)))
        await plain.say_all(json.dumps({"hello": "queenpost", "protocol": 1, "token": token, "kind": "x"}).encode())
        await plain.say_all(b"\n" * 100)
        assert b"queenpost" not in await plain.ended()
        assert await still_works(await fleet.raw(home.operator_secret))


async def test_a_wrong_token_is_denied_over_the_port_too(home: Home, authority: Authority) -> None:
    """[H01] DESIGN 4: both sides authenticate."""
    async with with_port(home, authority) as fleet:
        line = await raw(fleet, authority)
        assert error_of(await line.hello("a-token-of-another-fleet")) == (None, "denied")
        assert await line.ended() == b""


async def test_a_frame_before_the_hello_is_bounded_as_on_the_socket(home: Home, authority: Authority) -> None:
    """DESIGN 4 Bounds: 4 KiB."""
    async with with_port(home, authority) as fleet:
        line = await raw(fleet, authority)
        await line.say_all(b"x" * 5000)
        assert error_of(json.loads(await line.ended())) == (None, "invalid")


async def test_strangers_at_the_port_do_not_keep_the_fleets_own_user_out(home: Home, authority: Authority) -> None:
    """DESIGN 4 Bounds: 64 that have not shaken hands or said hello; the 65th is dropped, the socket is not touched."""
    async with with_port(home, authority) as fleet:
        port = port_of(home)
        silent = [fleet.kept(await anyio.connect_tcp("127.0.0.1", port)) for _ in range(server.MAX_UNWELCOMED - 2)]
        greeted = [await raw(fleet, authority) for _ in range(2)]
        one_too_many = fleet.kept(await anyio.connect_tcp("127.0.0.1", port))
        assert await one_too_many.ended() == b""
        assert await still_works(await fleet.raw(home.operator_secret))
        assert "principal" in await greeted[0].hello(fleet.token(home.operator_secret))
        for line in (*silent, *greeted):
            await line.aclose()
        await until(lambda: len(fleet.server.connections) == 1)
        assert "principal" in await (await raw(fleet, authority)).hello(fleet.token(home.operator_secret))


async def test_who_does_not_finish_the_handshake_is_dropped(
    home: Home, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 4 Bounds: 5 s, shortened here; a peer that sends byte by byte holds a place no longer."""
    assert transport.HANDSHAKE_WITHIN_S == connection.HELLO_WITHIN_S == 5
    monkeypatch.setattr(transport, "HANDSHAKE_WITHIN_S", 0.05)
    async with with_port(home, authority) as fleet:
        line = fleet.kept(await anyio.connect_tcp("127.0.0.1", port_of(home)))
        await line.say_all(b"\x16\x03\x01")
        assert await line.ended() == b""


async def test_who_says_no_hello_behind_its_handshake_is_dropped(
    home: Home, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 4 Bounds: another 5 s, shortened here."""
    monkeypatch.setattr(connection, "HELLO_WITHIN_S", 0.05)
    async with with_port(home, authority) as fleet:
        line = await raw(fleet, authority)
        assert error_of(json.loads(await line.ended())) == (None, "denied")


async def test_a_silent_peer_is_dropped(home: Home, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 4 Bounds: over TCP, after 60 s in which nothing was heard; shortened here. A unix socket may be silent."""
    monkeypatch.setattr(pulse, "DEAD_AFTER_S", 0.1)
    async with with_port(home, authority) as fleet:
        local = await fleet.raw(home.operator_secret)
        line = await raw(fleet, authority)
        assert "principal" in await line.hello(fleet.token(home.operator_secret))
        assert await line.ended() == b""
        assert await still_works(local)


async def test_a_client_that_has_nothing_to_say_pings(
    home: Home, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 4 Bounds: after 20 s of silence, shortened here; its connection lives on."""
    monkeypatch.setattr(pulse, "PING_AFTER_S", 0.02)
    async with (
        with_port(home, authority) as fleet,
        client(fleet, home.operator_secret, authority.certificate) as operator,
    ):
        ours = fleet.end_of("operator")
        heard = [ours.transport.heard_at]
        for _ in range(3):
            await until(lambda: ours.transport.heard_at > heard[-1])
            heard.append(ours.transport.heard_at)
        await settled(operator)


async def test_a_peer_that_does_not_read_is_dropped(home: Home, authority: Authority) -> None:
    """DESIGN 4 Bounds: over TLS too no more than 4 MiB wait here for it."""
    async with with_port(home, authority) as fleet:
        line = await raw(fleet, authority)
        assert "principal" in await line.hello(fleet.token(home.operator_secret))
        ours = fleet.end_of("operator")
        for _ in range(640):
            ours.say(b"x" * 100_000 + b"\n")
            assert ours.transport.queued_bytes <= transport.MAX_QUEUED_BYTES
            await anyio.lowlevel.checkpoint()
            if ours.transport.closing:
                break
        with anyio.fail_after(15):
            await ours.closed.wait()


async def test_an_attended_session_over_tls_may_come_back_within_60_s(home: Home, authority: Authority) -> None:
    """DESIGN 5.4: its turn lives 60 s after the connection ended; on a unix socket it would end at once."""
    clock = FakeClock()
    async with with_port(home, authority, clock=clock) as fleet:
        await fleet.add("bob")
        sent = await fleet.send("bob")
        over = client(fleet, home.agent_secret("bob"), authority.certificate)
        async with over as bob:
            request = AgentsAttach(agent="bob", instance=new_instance())
            session = Worker(bob, "bob", request.instance, await bob.call(request, AgentsAttached))
            turn = (await session.take()).turn
            assert turn is not None
        await until(lambda: not fleet.hub.has_holder("bob"))
        await fleet.committed()
        clock.advance(59_000)
        assert await fleet.state_of(sent.id) == "in_turn"
        async with client(fleet, home.agent_secret("bob"), authority.certificate) as bob:
            again = await bob.call(request, AgentsAttached)
            assert again.epoch == session.epoch
            assert again.open_turn == turn
        await until(lambda: not fleet.hub.has_holder("bob"))
        await fleet.committed()
        clock.advance(61_000)
        other = await fleet.session("bob")
        assert other.epoch == session.epoch + 1
        assert await fleet.state_of(sent.id) == "queued"


@pytest.mark.parametrize("over_tls", [True, False])
async def test_a_token_that_was_revoked_a_moment_ago_opens_nothing(
    home: Home, authority: Authority, over_tls: bool
) -> None:
    """Bad input and misuse: not on the connection that showed it, not on a new one; over socket and port alike."""
    async with with_port(home, authority) as fleet:
        await fleet.add("bob")
        token = fleet.token(home.agent_secret("bob"))

        async def line() -> RawLine:
            return await raw(fleet, authority) if over_tls else await fleet.raw()

        shown = await line()
        assert "principal" in await shown.hello(token)
        operator = await fleet.operator()
        await operator.call(AgentsRemove(key=new_key(), agent="bob"), AgentsChanged)
        await shown.say_all(b'{"id":1,"op":"inbox.send","key":"k","to":"operator","body":"x"}\n')
        assert b'"id":1' not in await shown.ended()
        assert error_of(await (await line()).hello(token)) == (None, "denied")
        assert (await fleet.status()).operator_mail == 0


# ---- starting


@pytest.mark.parametrize(
    ("listen", "words"),
    [
        ("7443", "host:port"),
        (":7443", "host:port"),
        ("127.0.0.1:port", "host:port"),
        ("127.0.0.1:70000", "host:port"),
        ("no-such-host.invalid:0", "cannot listen"),
    ],
)
async def test_an_address_that_cannot_be_listened_at_stops_the_start(
    home: Home, authority: Authority, listen: str, words: str
) -> None:
    """Bad input and misuse: before anybody is let in, in words."""
    fleet = with_port(home, authority)
    path = home.root / "queenpost.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("127.0.0.1:0", listen), encoding="utf-8")
    with pytest.RaisesGroup(pytest.RaisesExc(QueenpostError, match=words), flatten_subgroups=True):
        async with fleet:
            pass


async def test_a_port_that_is_taken_stops_the_start(home: Home, authority: Authority) -> None:
    """Ours: the broker does not run with less than it was told to offer."""
    fleet = with_port(home, authority)
    path = home.root / "queenpost.toml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        text = path.read_text(encoding="utf-8").replace(":0", f":{taken.getsockname()[1]}")
        path.write_text(text, encoding="utf-8")
        with pytest.RaisesGroup(pytest.RaisesExc(Unavailable, match="cannot listen"), flatten_subgroups=True):
            async with fleet:
                pass


async def test_a_key_that_others_may_read_stops_the_start(home: Home, authority: Authority) -> None:
    """[Z7] T40: says which command mends it."""
    fleet = with_port(home, authority)
    key = authority.sign("localhost").key
    os.chmod(key, 0o644)
    with pytest.RaisesGroup(pytest.RaisesExc(Denied, match=f"chmod 600 {key}"), flatten_subgroups=True):
        async with fleet:
            pass


@pytest.mark.parametrize("part", ["certificate", "key"])
async def test_a_certificate_or_key_that_is_none_stops_the_start(home: Home, authority: Authority, part: str) -> None:
    """Bad input and misuse: missing, or something else; the file is named."""
    signed = authority.sign("localhost")
    path: Path = getattr(signed, part)
    for harm, words in (((lambda: path.write_text("x")), "cannot be used"), (path.unlink, "cannot read")):
        fleet = with_port(home, authority)
        harm()
        with pytest.RaisesGroup(pytest.RaisesExc(Invalid, match=words), flatten_subgroups=True):
            async with fleet:
                pass


def test_ipv6_hosts_stand_in_brackets() -> None:
    """Ours: as in an address."""
    assert tls.split_listen("[::1]:7443") == ("::1", 7443)
    assert tls.split_listen("0.0.0.0:0") == ("0.0.0.0", 0)  # noqa: S104  # read, not bound
