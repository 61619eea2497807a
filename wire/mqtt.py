"""One connection to an MQTT broker: paho, driven by the event loop. No thread, and no reconnecting behind one's back.

Long because the line, what paho says to it and the loop that paho does not run share one state.
Whoever uses it decides what a lost connection means: `broker.bridge` and `wire.publisher` connect again.
"""

import hashlib
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
from anyio import to_thread
from anyio.streams.memory import MemoryObjectReceiveStream
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from wire.canonical import MAX_BYTES
from wire.errors import Invalid, Unavailable
from wire.logs import get_logger
from wire.mqtt_peer import Transport
from wire.racing import first_of

CONNECT_S = 5.0
KEEPALIVE_S = 20
MISC_S = 5.0
MAX_UNACKED = 1000
"""Messages that were heard and not settled; beyond it no more are read."""
MAX_MIDS = 60_000
REFUSED = 128
"""What a broker answers to what it does not grant; in MQTT 5, this and more."""
COMPLAINTS = (LogLevel.MQTT_LOG_ERR, LogLevel.MQTT_LOG_WARNING)

log = get_logger("mqtt")


@dataclass(frozen=True, slots=True)
class TooLong:
    """What is kept of a message that is longer than any event: many of them fill no memory."""

    length: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as it came. It is a stranger's until it was verified."""

    topic: str
    """Empty where it is no text."""
    payload: bytes
    """Empty where it was too long, as where something retained was cleared."""
    retained: bool
    qos: int
    mid: int
    too_long: TooLong | None = None


class LineLost(Unavailable):
    """The connection has ended; what was not acknowledged may or may not have arrived."""


@dataclass(slots=True)
class _Answer:
    """What the broker says to one message or subscription of ours."""

    said: anyio.Event
    """Set with the answer, or with the end of the connection."""
    codes: list[int] | None = None
    """None: the connection ended first."""


class MqttLine:
    """A connection that is up, until it is lost once. See `connected`."""

    def __init__(self, client: Client, transport: Transport) -> None:
        self._client = client
        self._transport = transport
        self._answers: dict[int, _Answer] = {}
        self._answered = ""
        """Why the broker did not let one in, in its own word."""
        self._failed = ""
        """What paho complained of last."""
        self._unacked = 0
        self._eased = anyio.Event()
        self._writable = anyio.Event()
        self._up = anyio.Event()
        self.resumed = False
        """The broker had kept the session of an earlier connection."""
        self.lost = anyio.Event()
        self._closed = False
        """By us, while it was up."""
        self._said, self.heard = _stream()
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_log = self._on_log
        client.on_socket_register_write = self._on_full

    @property
    def where(self) -> str:
        """Name the MQTT broker, for people."""
        return self._transport.where

    @property
    def hung_up(self) -> bool:
        """Say whether it was lost before it was closed here."""
        return self.lost.is_set() and not self._closed

    def hurry(self) -> None:
        """Let short messages go at once: they are few, and somebody waits for each."""
        sock: Any = self._client.socket()
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def let_in(self) -> None:
        """Wait until the broker has let one in.

        Raises:
            Denied, Unavailable: it did not; with the reason, and what to look at.
        """
        with anyio.move_on_after(CONNECT_S):
            await first_of(self._up.wait, self.lost.wait)
        self._client.on_log = None  # it costs a text for each packet
        if self._up.is_set():
            return
        if self.lost.is_set():
            raise self._transport.turned_away(self._answered, self._failed)
        raise Unavailable(f"the MQTT broker at {self._transport.where} did not answer in {CONNECT_S:g} s; is it one?")

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1; returns when the MQTT broker has it in memory, which is no proof of anything more.

        Raises:
            LineLost: the connection ended first. Denied: the broker refused it. Invalid: no topic to publish to.
        """
        if not topic or any(sign in topic for sign in "+#\0"):  # paho would let some pass, and the broker hang up
            raise Invalid(f"nothing can be published to {topic[:80]!r}: it is empty, or has '+', '#' or NUL in it")
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self.gone()
        if max(await self._answer(info.mid)) >= REFUSED:
            raise self._transport.forbidden(f"publish to {topic}")

    async def subscribe(self, topic_filter: str) -> None:
        """Subscribe with QoS 1; returns once the broker has said so.

        Raises:
            LineLost: the connection ended first. Denied: the broker's rules do not let this user.
        """
        code, mid = self._client.subscribe(topic_filter, qos=1)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise self.gone()
        if max(await self._answer(mid)) >= REFUSED:
            raise self._transport.forbidden(f"subscribe to {topic_filter}")

    def settle(self, heard: Heard) -> None:
        """Acknowledge a message: the broker forgets it. To be called after it was committed, never before."""
        self._unacked -= 1
        self._eased.set()
        if heard.qos and not self.lost.is_set():
            self._client.ack(heard.mid, heard.qos)

    async def _answer(self, mid: int) -> list[int]:
        if self.lost.is_set():
            raise self.gone()
        self._answers[mid] = answer = _Answer(anyio.Event())
        try:
            await answer.said.wait()
        finally:
            del self._answers[mid]
        if answer.codes is None:
            raise self.gone()
        return answer.codes

    def gone(self) -> LineLost:
        """Say that it is lost."""
        return LineLost(f"the connection to the MQTT broker at {self.where} was lost; it is made again")

    def close(self) -> None:
        """Say goodbye where that needs no waiting, close the socket, hear no more. Harmless a second time."""
        self._closed = self._closed or not self.lost.is_set()
        self._client.disconnect()
        self._client.loop_write()
        sock = self._client.socket()
        self._client.on_socket_close = None
        if sock is not None:  # what was to be said did not fit; paho would leave it to the garbage collector
            anyio.notify_closing(sock)
            sock.close()
        self._lose()
        self.heard.close()

    # --- what paho says; nothing may be raised from here: it would end its reading for good ------------

    def _on_connect(self, _c: Client, _u: Any, flags: ConnectFlags, reason: ReasonCode, _p: Properties | None) -> None:
        if reason.is_failure:
            self._answered = str(reason)
        else:
            self.resumed = flags.session_present
            self._up.set()

    def _on_disconnect(self, _c: Client, _u: Any, _flags: DisconnectFlags, _r: ReasonCode, _p: Any) -> None:
        self._lose()

    def _on_subscribe(self, _c: Client, _u: Any, mid: int, codes: list[ReasonCode], _p: Properties | None) -> None:
        self._answered_with(mid, [code.value for code in codes])

    def _on_publish(self, _c: Client, _u: Any, mid: int, reason: ReasonCode, _p: Properties | None) -> None:
        self._answered_with(mid, [reason.value])

    def _answered_with(self, mid: int, codes: list[int]) -> None:
        if mid in self._answers:  # else nobody waits any more
            self._answers[mid].codes = codes or [REFUSED]
            self._answers[mid].said.set()

    def _on_message(self, _c: Client, _u: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._unacked += 1
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # nobody listens: it comes again
            self._said.send_nowait(_heard(topic, message))

    def _on_log(self, _c: Client, _u: Any, level: int, text: str) -> None:
        if level in COMPLAINTS:
            self._failed = text

    def _on_full(self, _c: Client, _u: Any, _sock: Any) -> None:
        self._writable.set()

    def _on_close(self, _c: Client, _u: Any, sock: Any) -> None:
        anyio.notify_closing(sock)

    def _lose(self) -> None:
        self.lost.set()
        self._eased.set()
        self._said.close()
        for answer in self._answers.values():
            answer.said.set()

    # --- the loop that paho does not run ------------------------------------------------------------

    async def guarded(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run one of the three below: whatever a broken broker sends costs this connection and no more."""
        try:
            await task()
        except anyio.ClosedResourceError:
            pass  # by paho, which has said so, or by us
        except Exception:
            log.exception("mqtt_unreadable", where=self._transport.where)
            self._failed = "what it sends is not MQTT"
            self._lose()

    async def read(self) -> None:
        """Take in what comes, until the connection is lost."""
        sock = self._client.socket()
        self._client.on_socket_close = self._on_close
        while sock is not None and not self.lost.is_set():
            while self._unacked >= MAX_UNACKED and not self.lost.is_set():
                self._eased = anyio.Event()
                await self._eased.wait()
            if self.lost.is_set():
                return
            await anyio.wait_readable(sock)
            self._client.loop_read()
            while isinstance(sock, ssl.SSLSocket) and not self.lost.is_set() and sock.pending():
                self._client.loop_read()

    async def write(self) -> None:
        """Send what waits, as the socket takes it."""
        sock = self._client.socket()
        while sock is not None and not self.lost.is_set():
            await self._writable.wait()
            if self.lost.is_set():
                return
            await anyio.wait_writable(sock)
            self._writable = anyio.Event()
            self._client.loop_write()
            if self._client.want_write():
                self._writable.set()

    async def keep(self) -> None:
        """Let paho ping, and notice a broker that does not answer."""
        while not self.lost.is_set():
            await anyio.sleep(MISC_S)
            self._client.loop_misc()


def _heard(topic: str, message: MQTTMessage) -> Heard:
    payload, too_long = bytes(message.payload), None
    if len(payload) > MAX_BYTES:
        payload, too_long = b"", TooLong(len(payload), hashlib.sha256(payload).digest())
    return Heard(topic, payload, message.retain, message.qos, message.mid, too_long)


def _stream() -> tuple[Any, MemoryObjectReceiveStream[Heard]]:
    # Without a bound of its own: `read` stops at MAX_UNACKED.
    return anyio.create_memory_object_stream[Heard](float("inf"))


@asynccontextmanager
async def connected(transport: Transport, client_id: str, *, clean: bool) -> AsyncGenerator[MqttLine]:
    """Connect; the line is up when it is given, and closed behind it.

    `clean=False`: the broker keeps subscriptions and what was not settled under this client id.

    Raises:
        Unavailable: nobody listens there, or it does not answer. Denied: its certificate is not believed, or it does
            not believe who one is. Invalid: the address or the certificate files.
    """
    host, port = transport.address
    client = Client(
        CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=clean, manual_ack=True,
        reconnect_on_failure=False,
    )  # fmt: skip
    client.max_inflight_messages_set(MAX_MIDS)
    client.connect_timeout = CONNECT_S
    if transport.user is not None:
        client.username_pw_set(transport.user, transport.password)
    if transport.tls:
        client.tls_set_context(transport.context())  # pyright: ignore[reportUnknownMemberType]
    line = MqttLine(client, transport)
    try:
        try:
            await to_thread.run_sync(client.connect, host, port, KEEPALIVE_S)
            line.hurry()
        except (OSError, ValueError) as exc:
            raise transport.unreached(exc) from exc
        async with _served(line):
            yield line
    finally:
        line.close()


@asynccontextmanager
async def _served(line: MqttLine) -> AsyncGenerator[None]:
    """Read and write until the line is closed. What fails inside is raised as itself, not in a group."""
    failed: Exception | None = None
    async with anyio.create_task_group() as group:
        for task in (line.read, line.write, line.keep):
            group.start_soon(line.guarded, task)
        try:
            await line.let_in()
            yield
        except Exception as exc:  # noqa: BLE001  # raised again behind the group, which would wrap it
            failed = exc
        finally:
            line.close()
            group.cancel_scope.cancel()
    if failed is not None:
        raise failed
