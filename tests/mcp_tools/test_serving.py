"""One agent's tools over HTTP: a real broker, a real server, clients of both eras."""

import json
import random
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from console.cli.failing import innermost
from mcp_tools import attended, serving
from mcp_tools.presence import SILENT_MS
from tests.mcp_tools.conftest import Era
from tests.mcp_tools.fleet import Fleet, raw_client, running_fleet
from tests.mcp_tools.reading import framed, text_of
from wire.clock import Clock, FakeClock, SystemClock
from wire.errors import Conflict, Unavailable
from wire.private_files import read_secret


@pytest.fixture(scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Fleet]:
    """One broker for all of these tests; each has agents of its own."""
    async with running_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
async def alice(fleet: Fleet) -> str:
    """The name of an agent."""
    return await fleet.add("alice")


@dataclass
class Served:
    """A server over HTTP, as its ready line shows it."""

    ready: dict[str, Any]
    process: Process | None = None

    @property
    def token(self) -> str:
        """What a client reads from the file."""
        return read_secret(Path(self.ready["token_file"]))

    @asynccontextmanager
    async def client(self, era: Era = "auto") -> AsyncGenerator[Client]:
        """Connect as a client of that era."""
        headers = {"authorization": f"Bearer {self.token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as plain,
            Client(streamable_http_client(self.ready["mcp"], http_client=plain), mode=era) as client,
        ):
            yield client


@asynccontextmanager
async def program(fleet: Fleet, agent: str, *words: str) -> AsyncGenerator[Served]:
    """Run `queenpost mcp --http` as a process of its own, for at most 15 seconds."""
    command = [*fleet.command(agent), "--http", *words]
    with anyio.fail_after(15):
        async with await anyio.open_process(command, stdin=None, stdout=PIPE, stderr=PIPE) as process:
            assert process.stdout is not None
            line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 65_536)
            try:
                yield Served(json.loads(line), process)
            finally:
                if process.returncode is None:
                    process.kill()


@asynccontextmanager
async def served(fleet: Fleet, agent: str, clock: Clock | None = None, port: int = 0) -> AsyncGenerator[Served]:
    """Serve in this process, on a clock of the test's."""
    said, lines = anyio.create_memory_object_stream[str](1)
    token = read_secret(fleet.home.agent_secret(agent))
    with said, lines, anyio.fail_after(15):
        async with anyio.create_task_group() as group:

            async def serve() -> None:
                clock_ = clock or SystemClock()
                await serving.serve(fleet.home, agent, lambda: token, port=port, clock=clock_, say=said.send_nowait)

            group.start_soon(serve)
            yield Served(json.loads(await lines.receive()))
            group.cancel_scope.cancel()


async def test_mail_is_taken_and_answered_in_both_eras(fleet: Fleet, alice: str, era: Era) -> None:
    """Spec: attended, one agent; an answer settles its question."""
    message = await fleet.send(alice, "how far are you?")
    async with served(fleet, alice) as server, server.client(era) as client:
        (one,) = framed(text_of(await client.call_tool("recv", {})))
        assert await fleet.state(message) == "in_turn"
        arguments = {"to": "operator", "body": "half way", "in_reply_to": one.attributes["id"]}
        await client.call_tool("send", arguments)
        assert await fleet.state(message) == "handled"


async def test_an_answer_settles_the_mail_that_asked(fleet: Fleet, alice: str, era: Era) -> None:
    """[H08] Spec (DESIGN 5.4): over HTTP as everywhere."""
    asker = await fleet.add("bob")
    async with raw_client(fleet, asker) as bob, served(fleet, alice) as server, server.client(era) as client:
        await bob.call("ask", question="which branch?", to=alice)
        (question,) = framed(text_of(await client.call_tool("recv", {})))
        assert await fleet.state(question.attributes["id"]) == "in_turn"
        await client.call_tool("answer", {"id": question.attributes["ask"], "answer": "main"})
        assert await fleet.state(question.attributes["id"]) == "handled"
        (answer,) = framed(await bob.call("recv", wait_seconds=10))
        assert "main" in answer.body


async def test_done_settles_and_waiting_does_not(fleet: Fleet, alice: str, era: Era) -> None:
    """Spec (DESIGN 5.4): the next waiting recv acks on stdio only."""
    first, second = await fleet.send(alice, "one"), await fleet.send(alice, "two")
    async with served(fleet, alice) as server, server.client(era) as client:
        assert framed(text_of(await client.call_tool("recv", {})))
        assert framed(text_of(await client.call_tool("recv", {"wait_seconds": 5})))
        assert await fleet.state(first) == "in_turn"
        await client.call_tool("recv_batch", {"done": second})
        assert [await fleet.state(message) for message in (first, second)] == ["handled", "handled"]


async def test_the_instructions_say_what_holds_over_http(fleet: Fleet, alice: str) -> None:
    """Ours: not what holds on stdio."""
    async with served(fleet, alice) as server, server.client("legacy") as client:
        assert client.instructions == serving.HOW_MAIL_IS_HANDLED
        assert "done" in serving.HOW_MAIL_IS_HANDLED
        assert "wait_seconds" not in serving.HOW_MAIL_IS_HANDLED


async def test_after_half_an_hour_of_silence_mail_goes_back_uncounted(
    fleet: Fleet, alice: str, era: Era, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spec (DESIGN 5.4): detached, so that another session can have it at once; on a clock of the test's."""
    monkeypatch.setattr(attended, "RENEW_EVERY_S", 0.01)
    clock = FakeClock()
    message = await fleet.send(alice, "work")
    async with served(fleet, alice, clock) as server, server.client(era) as client:
        assert framed(text_of(await client.call_tool("recv", {})))
        clock.advance(SILENT_MS - 1)
        await client.call_tool("whoami", {})
        clock.advance(SILENT_MS - 1)
        assert await fleet.state(message) == "in_turn"
        clock.advance(1)
        await fleet.reaches(message, "queued")
        (delivery,) = (await fleet.story(message)).deliveries
        assert (delivery.attempt, delivery.failures, delivery.restarts) == (1, 0, 0)
        async with raw_client(fleet, alice) as other:
            (one,) = framed(await other.call("recv"))
            assert one.attributes["attempt"] == "2"


async def test_a_client_that_comes_back_goes_on(fleet: Fleet, alice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: what it had comes again, marked."""
    monkeypatch.setattr(attended, "RENEW_EVERY_S", 0.01)
    clock = FakeClock()
    message = await fleet.send(alice, "work")
    async with served(fleet, alice, clock) as server, server.client() as client:
        assert framed(text_of(await client.call_tool("recv", {})))
        clock.advance(SILENT_MS)
        await fleet.reaches(message, "queued")
        (one,) = framed(text_of(await client.call_tool("recv", {})))
        assert (one.attributes["id"], one.attributes["attempt"]) == (message, "2")
        await client.call_tool("recv", {"done": message})
        assert await fleet.state(message) == "handled"


@pytest.mark.parametrize("end", ["SIGTERM", "SIGINT", "SIGKILL"])
async def test_however_it_ends_its_mail_comes_back(fleet: Fleet, alice: str, end: str) -> None:
    """Spec: a clean exit gives mail back and takes the token away; the kernel does the rest."""
    message = await fleet.send(alice, "work")
    async with program(fleet, alice) as server:
        path = Path(server.ready["token_file"])
        assert path.stat().st_mode & 0o777 == 0o600
        async with server.client() as client:
            assert framed(text_of(await client.call_tool("recv", {})))
        assert await fleet.state(message) == "in_turn"
        assert server.process is not None
        server.process.send_signal(getattr(signal, end))
        code = await server.process.wait()
        assert code == (-signal.SIGKILL if end == "SIGKILL" else 0)
        assert path.exists() is (end == "SIGKILL")
    await fleet.reaches(message, "queued")


async def test_the_token_is_never_shown(fleet: Fleet, alice: str) -> None:
    """Spec: the path is."""
    async with program(fleet, alice) as server:
        token, process = server.token, server.process
        async with server.client() as client:
            await client.call_tool("whoami", {})
        assert process is not None
        assert process.stderr is not None
        process.terminate()
        said = b"".join([chunk async for chunk in process.stderr])
    assert token not in json.dumps(server.ready) + said.decode()
    assert set(server.ready) == {"event", "agent", "mcp", "token_file"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "{good}", "origin": "http://127.0.0.1"}, 403),
        ({"authorization": "{good}", "host": "localhost"}, 421),
    ],
)
async def test_only_the_bearer_of_the_token_gets_in(
    fleet: Fleet, alice: str, headers: dict[str, str], status: int
) -> None:
    """Spec: exact host, no origin, on loopback; as for the harness's server."""
    async with served(fleet, alice) as server, httpx2.AsyncClient(timeout=5) as plain:
        filled = {name: value.replace("{good}", f"Bearer {server.token}") for name, value in headers.items()}
        assert server.ready["mcp"].startswith("http://127.0.0.1:")
        assert (await plain.post(server.ready["mcp"], json={}, headers=filled)).status_code == status


async def test_the_agents_own_token_opens_nothing(fleet: Fleet, alice: str) -> None:
    """Spec (DESIGN 4): it never enters the configuration of a client."""
    token = read_secret(fleet.home.agent_secret(alice))
    async with served(fleet, alice) as server, httpx2.AsyncClient(timeout=5) as plain:
        headers = {"authorization": f"Bearer {token}"}
        assert (await plain.post(server.ready["mcp"], json={}, headers=headers)).status_code == 401


async def test_one_server_per_agent(fleet: Fleet, alice: str) -> None:
    """Ours: a second one would take the token file from the first."""
    async with served(fleet, alice) as server:
        token = server.token
        with pytest.raises(Conflict, match="end it first") as caught:
            await _refused(fleet, alice)
        assert alice in caught.value.message
        assert server.token == token


async def _refused(fleet: Fleet, agent: str, port: int = 0) -> None:
    token = read_secret(fleet.home.agent_secret(agent))
    try:
        await serving.serve(fleet.home, agent, lambda: token, port=port, clock=SystemClock(), say=lambda _: None)
    except BaseExceptionGroup as group:
        raise innermost(group) from None


def a_free_port() -> int:
    """Give a port that nobody listens on, of those that the system gives to nobody who does not name one."""
    for port in random.sample(range(15_000, 30_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("this machine has no free port")


async def test_a_port_that_is_taken_is_named(fleet: Fleet, alice: str) -> None:
    """Ours: and one that is free can be chosen."""
    bob = await fleet.add("bob")
    port = a_free_port()
    async with served(fleet, alice, port=port):
        with pytest.raises(Unavailable, match=f"port {port} of 127.0.0.1 cannot be had"):
            await _refused(fleet, bob, port)
    async with served(fleet, bob, port=port) as server:
        assert server.ready["mcp"] == f"http://127.0.0.1:{port}/mcp"


async def test_a_second_taker_gets_a_conflict(fleet: Fleet, alice: str) -> None:
    """Spec (DESIGN 5.4): over HTTP too; send and whoami work all the same."""
    message = await fleet.send(alice, "work")
    async with raw_client(fleet, alice) as first, served(fleet, alice) as server, server.client() as second:
        assert framed(await first.call("recv"))
        result = await second.call_tool("recv", {})
        assert result.is_error
        assert text_of(result).startswith("conflict: another session takes the mail of")
        assert not (await second.call_tool("send", {"to": "operator", "body": "hi"})).is_error
        assert await fleet.state(message) == "in_turn"


async def test_a_port_without_http_is_refused(fleet: Fleet, alice: str) -> None:
    """Ours: exit 2."""
    with anyio.fail_after(15):
        ended = await anyio.run_process([*fleet.command(alice), "--port", "8000"], check=False)
    assert ended.returncode == 2
    assert b"--port is for --http" in ended.stderr
