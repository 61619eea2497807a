"""One connection to an MQTT broker: whom it believes, what it says when that fails, and that nothing of it is left."""

import gc
import logging
import os
import socket
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream, TaskStatus

from tests.fakes.certificates import Authority
from tests.fakes.outside import PASSWORD, USER, Outside, needs_mosquitto
from wire import mqtt
from wire.errors import Denied, Invalid, QueenpostError, Unavailable
from wire.mqtt import LineLost, connected
from wire.mqtt_peer import Transport

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

LET_IN = b"\x20\x02\x00\x00"
"""CONNACK: welcome."""
NOT_MQTT = b"\x32\xff\xff\xff\xff\xff\xff"
CUT_TOPIC = b"\x32\x04\xff\xff\x00\x01"
"""PUBLISH whose topic would be longer than the packet."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Give who signs the certificates of a test."""
    return Authority(tmp_path)


def sockets() -> int:
    """Count the sockets that this process holds open, after the garbage has gone."""
    gc.collect()
    found = 0
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # the one that listed them
            found += stat.S_ISSOCK(os.fstat(int(name)).st_mode)
    return found


@pytest.fixture(autouse=True)
async def _no_socket_is_left() -> AsyncIterator[None]:
    before = sockets()
    yield
    assert sockets() == before


async def refusal(transport: Transport) -> QueenpostError:
    """Connect, which has to fail."""
    with pytest.raises(QueenpostError) as caught:
        async with connected(transport, "test", clean=True):
            pass
    return caught.value


@asynccontextmanager
async def server(*answers: bytes) -> AsyncGenerator[Transport]:
    """Run something that answers the first bytes of each caller so, and then listens; without answers, it hangs up."""

    async def answer(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await talk(stream)

    async def talk(stream: SocketStream) -> None:
        await stream.receive()
        for data in answers:
            await stream.send(data)
        while answers:
            await stream.receive()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        told = cast("Any", listener.listeners[0]).extra_attributes
        port = told[SocketAttribute.local_port]()
        yield Transport(f"mqtt://127.0.0.1:{port}")
        group.cancel_scope.cancel()


@needs_mosquitto
async def test_tls_client_certificate_user_and_password(tmp_path: Path, authority: Authority) -> None:
    """[X17] Issue 5: an MQTT broker of others, by URL, with all that it may ask for."""
    outside = Outside(tmp_path / "o", anonymous=False, tls=authority.sign("localhost"), authority=authority)
    mine = authority.sign("fleet")
    files = {"ca_file": str(authority.certificate), "cert_file": str(mine.certificate), "key_file": str(mine.key)}
    transport = outside.transport(user=USER, password=PASSWORD, **files)
    async with outside.running(), connected(transport, "test", clean=True) as line:
        await line.subscribe("a/+")
        await line.publish("a/b", b"x" * 60_000)
        with anyio.fail_after(30):
            heard = await anext(aiter(line.heard))
        assert (heard.topic, len(heard.payload)) == ("a/b", 60_000)
        line.settle(heard)


@needs_mosquitto
async def test_whoever_is_not_believed_is_named_with_the_setting_that_mends_it(
    tmp_path: Path, authority: Authority
) -> None:
    """Issue 5: wrong CA, wrong name, wrong password, no certificate, no TLS: a clear error, and no socket left."""
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    mine = authority.sign("fleet")
    outside = Outside(tmp_path / "o", anonymous=False, tls=authority.sign("localhost"), authority=authority)
    right: dict[str, Any] = {
        "user": USER, "password": PASSWORD, "ca_file": str(authority.certificate),
        "cert_file": str(mine.certificate), "key_file": str(mine.key),
    }  # fmt: skip
    async with outside.running():
        no_ca = await refusal(outside.transport(**{**right, "ca_file": None}))
        wrong_ca = await refusal(outside.transport(**{**right, "ca_file": str(other.certificate)}))
        wrong_name = await refusal(outside.transport("127.0.0.1", **right))
        wrong_password = await refusal(outside.transport(**{**right, "password": "a-wrong-one"}))
        nobody = await refusal(outside.transport(**{**right, "user": None, "password": None}))
        no_certificate = await refusal(outside.transport(**{**right, "cert_file": None, "key_file": None}))
        no_tls = await refusal(Transport(f"mqtt://localhost:{outside.port}", USER, PASSWORD))
    assert all(isinstance(exc, Denied) for exc in (no_ca, wrong_ca, wrong_name, wrong_password, nobody))
    assert "name the authority that signed it by ca_file in [mqtt]" in no_ca.message
    assert f"is {other.certificate}, ca_file in [mqtt], the authority" in wrong_ca.message
    assert "let [mqtt] url name it by a name that stands in it" in wrong_name.message
    assert "user 'harness': Not authorized; see user and password_file in [mqtt]" in wrong_password.message
    assert "it may want user and password_file in [mqtt]" in nobody.message
    assert "cert_file and key_file in [mqtt]" in no_certificate.message
    assert "mqtts:// in [mqtt] url" in no_tls.message
    assert all(isinstance(exc, Unavailable) for exc in (no_certificate, no_tls))
    said = [exc.message for exc in (no_ca, wrong_ca, wrong_name, wrong_password, nobody, no_certificate, no_tls)]
    assert not any(PASSWORD in text or "a-wrong-one" in text for text in said)


@needs_mosquitto
async def test_tls_to_a_port_without_it_and_a_certificate_that_ran_out(tmp_path: Path, authority: Authority) -> None:
    """Issue 5: each has its own words."""
    plain = Outside(tmp_path / "plain")
    old = Outside(tmp_path / "old", tls=authority.sign("localhost", expired=True))
    async with plain.running(), old.running():
        no_tls = await refusal(Transport(f"mqtts://localhost:{plain.port}", ca_file=str(authority.certificate)))
        expired = await refusal(old.transport(ca_file=str(authority.certificate)))
    assert "localhost" in no_tls.message
    assert isinstance(no_tls, Unavailable)
    assert "it has to be renewed there" in expired.message


async def test_nobody_there_and_no_such_host() -> None:
    """Issue 5: MQTT broker down at start."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        nobody = await refusal(Transport(f"mqtt://127.0.0.1:{port}"))
    assert nobody.message == f"no MQTT broker listens at 127.0.0.1:{port}; start it, or see [mqtt] url"
    nowhere = await refusal(Transport("mqtt://no-such-host.invalid"))
    assert "no-such-host.invalid:1883" in nowhere.message


async def test_certificate_files_that_cannot_be_used_are_named(tmp_path: Path, authority: Authority) -> None:
    """Issue 5: before anything is sent."""
    (tmp_path / "empty.pem").touch()
    pairs = [(authority.sign("a").certificate, authority.sign("b").key), (tmp_path / "missing", tmp_path / "missing")]
    transports = [Transport("mqtts://localhost:1", cert_file=str(cert), key_file=str(key)) for cert, key in pairs]
    for transport in [*transports, Transport("mqtts://localhost:1", ca_file=str(tmp_path / "empty.pem"))]:
        exc = await refusal(transport)
        assert isinstance(exc, Invalid)
        assert str(tmp_path) in exc.message
    open_to_all = authority.sign("c")
    open_to_all.key.chmod(0o644)
    exc = await refusal(
        Transport("mqtts://localhost:1", cert_file=str(open_to_all.certificate), key_file=str(open_to_all.key))
    )
    assert isinstance(exc, Denied)
    assert f"chmod 600 {open_to_all.key}" in exc.message


async def test_who_listens_there_and_is_no_mqtt_broker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Ours: one that closes, one that talks of something else, one that says nothing; the caller lives on."""
    async with server() as transport:
        assert "ended the connection without a word" in (await refusal(transport)).message
    monkeypatch.setattr(mqtt, "CONNECT_S", 0.2)
    async with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as transport:
        assert isinstance(await refusal(transport), Unavailable)
    async with server(b"") as transport:
        assert "did not answer in 0.2 s; is it one?" in (await refusal(transport)).message
    assert not [record for record in caplog.records if record.levelno > logging.ERROR]


@pytest.mark.parametrize("sent", [NOT_MQTT, CUT_TOPIC], ids=["not MQTT", "cut topic"])
async def test_what_a_broken_mqtt_broker_sends_costs_the_connection_alone(sent: bytes) -> None:
    """Ours: whatever comes, it is a lost line that is made again, not the end of the fleet's broker."""
    async with server(LET_IN, sent) as transport, connected(transport, "test", clean=True) as line:
        with anyio.fail_after(30):
            await line.lost.wait()
        assert [heard async for heard in line.heard] == []
        with pytest.raises(LineLost, match="it is made again"):
            await line.publish("a/b", b"x")
        line.close()
        assert line.hung_up


async def test_a_line_that_is_closed_here_was_not_hung_up() -> None:
    """Ours: what was on the way then is under no suspicion, however often it is closed."""
    async with server(LET_IN) as transport, connected(transport, "test", clean=True) as line:
        assert not line.hung_up
        for _ in range(2):
            line.close()
            assert line.lost.is_set()
            assert not line.hung_up


@needs_mosquitto
async def test_a_broker_that_is_killed_leaves_no_socket_and_no_waiter(tmp_path: Path) -> None:
    """Issue 5: with much on the way in both directions."""
    outside = Outside(tmp_path / "o")
    lost: list[str] = []

    async def publish(line: mqtt.MqttLine) -> None:
        try:
            while True:
                await line.publish("a/b", b"x" * 50_000)
        except LineLost as exc:
            lost.append(exc.message)

    async with anyio.create_task_group() as group, outside.running():
        line = await group.start(_holding, outside.transport())
        for _ in range(20):
            group.start_soon(publish, line)
        for _ in range(50):
            line.settle(await anext(aiter(line.heard)))
    assert len(lost) == 20


async def _holding(transport: Transport, *, task_status: TaskStatus[mqtt.MqttLine]) -> None:
    async with connected(transport, "test", clean=True) as line:
        await line.subscribe("a/b")
        task_status.started(line)
        await line.lost.wait()


@pytest.mark.parametrize("topic", ["a/+/b", "#", "a/\0"])
async def test_a_topic_that_is_none_never_leaves(topic: str) -> None:
    """Issue 5: `+ # NUL`; refused by name, and the line stays up."""
    async with server(LET_IN) as transport, connected(transport, "test", clean=True) as line:
        with pytest.raises(Invalid, match="nothing can be published to"):
            await line.publish(topic, b"x")
        assert not line.lost.is_set()
