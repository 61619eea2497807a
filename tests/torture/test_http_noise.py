"""A thousand malformed requests to the mail tools over HTTP: nobody notices but who sent them."""

import json
import re
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE

import anyio
import h11
import httpx2
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from mcp_tools.rendering import EMPTY
from tests.mcp_tools.reading import text_of
from tests.mcp_tools.test_http import ACCEPT, INITIALIZE
from tests.torture.http_noise import Where, http_noises
from tests.torture.noise import Noise
from tests.torture.rpc_noise import SEED
from tests.torture.test_noise import GROWTH_MIB, peak_mib

pytestmark = pytest.mark.anyio

REQUESTS = 1000
AT_A_TIME = 20
"""Beside so many of them another agent's client makes a call."""
_STATUS = re.compile(rb"^HTTP/1\.1 (\d{3}) ", re.MULTILINE)


@dataclass
class Served:
    """A running server, an agent's token that is used well and another's that is not."""

    process: Process
    port: int
    tokens: list[str]
    session: str = ""
    errors: Path = field(default_factory=Path)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def where(self) -> Where:
        """What a malformed request is filled with."""
        return Where(self.port, self.tokens[1], self.session)

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Client]:
        """Connect as the agent that does nothing wrong."""
        headers = {"authorization": f"Bearer {self.tokens[0]}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=20) as plain,
            Client(streamable_http_client(self.url, http_client=plain)) as client,
        ):
            yield client

    async def open_session(self) -> None:
        """Open the session that malformed requests of the 2025 protocol name."""
        headers = {"authorization": f"Bearer {self.tokens[1]}", **ACCEPT}
        async with httpx2.AsyncClient(timeout=20) as client:
            opened = await client.post(self.url, json=INITIALIZE, headers=headers)
        self.session = opened.headers["mcp-session-id"]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncGenerator[Served]:
    """Run the server as a program of its own: its memory is measured."""
    command = [sys.executable, "-P", "-m", "tests.torture.mcp_server"]
    with (tmp_path / "stderr").open("wb") as errors:
        async with await anyio.open_process(command, stdin=PIPE, stdout=PIPE, stderr=errors) as process:
            assert process.stdout is not None
            try:
                with anyio.fail_after(15):
                    ready = json.loads(await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 4096))
                yield Served(process, **ready, errors=tmp_path / "stderr")
            finally:
                process.kill()


def is_whole(request: bytes) -> bool:
    """Say whether a server can know where this request ends, or that it is none."""
    reader = h11.Connection(h11.SERVER)
    if not request:
        return False  # what h11 would take for the end of the connection
    with suppress(h11.RemoteProtocolError):
        reader.receive_data(request)
        while not isinstance(event := reader.next_event(), h11.EndOfMessage) and event is not h11.PAUSED:
            if event is h11.NEED_DATA:
                return False
    return True


async def answer_to(served: Served, request: bytes) -> bytes:
    """Send something malformed and read until the server closes; half a request is left at that."""
    heard = bytearray()
    async with await anyio.connect_tcp("127.0.0.1", served.port) as stream:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):  # closed by the server, in mid-request too
            await stream.send(request)
            if not is_whole(request):
                await stream.send_eof()
            while True:
                heard += await stream.receive()
    return bytes(heard)


def defects(noise: Noise, request: bytes, heard: bytes) -> Iterator[str]:
    """Find what only a defect answers: a status of a server's own failure, an internal error, silence."""
    statuses = [int(status) for status in _STATUS.findall(heard)]
    refused = bool(statuses) and statuses[-1] < 500
    silent = not statuses and not is_whole(request)
    if not (refused or silent) or b'"code":-32603' in heard or b'"internal: ' in heard:
        yield f"{noise.name}: {heard[:500]!r}"


@pytest.mark.timeout(180)
async def test_a_thousand_malformed_requests_do_no_harm(served: Served) -> None:
    """Spec: no crash, no defect, bounded memory; another agent works on meanwhile, and this one afterwards."""
    sys.stdout.write(f"seed {SEED}\n")
    noises = http_noises(REQUESTS)
    assert len({noise.name for noise in noises}) == REQUESTS
    await served.open_session()
    found: list[str] = []
    async with served.client() as client:

        async def work() -> None:
            assert text_of(await client.call_tool("recv", {})) == EMPTY

        await work()
        before = peak_mib(served.process.pid)
        for start in range(0, REQUESTS, AT_A_TIME):
            with anyio.fail_after(20):
                async with anyio.create_task_group() as group:
                    group.start_soon(work)
                    for noise in noises[start : start + AT_A_TIME]:
                        request = served.where.fill(noise)
                        found += defects(noise, request, await answer_to(served, request))
    grown = peak_mib(served.process.pid) - before
    sys.stdout.write(f"{REQUESTS} requests, {grown:.1f} MiB more\n")
    assert found == []
    assert grown < GROWTH_MIB
    assert served.process.returncode is None
    assert "Traceback" not in served.errors.read_text(encoding="utf-8")


async def test_whoever_sent_it_is_served_afterwards(served: Served) -> None:
    """Spec: in the session that stood in the malformed requests, with the token that did."""
    await served.open_session()
    for noise in http_noises(REQUESTS)[::40]:
        await answer_to(served, served.where.fill(noise))
    headers = {"authorization": f"Bearer {served.tokens[1]}", "mcp-session-id": served.session, **ACCEPT}
    async with httpx2.AsyncClient(timeout=20) as client:
        listed = await client.post(served.url, json={"jsonrpc": "2.0", "id": 2, "method": "ping"}, headers=headers)
    assert listed.status_code == 200
