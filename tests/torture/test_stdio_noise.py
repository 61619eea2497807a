"""A thousand malformed messages to `queenpost mcp` over stdio, for each protocol era: the client is served on."""

import json
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from mcp_tools.pipes import MAX_LINE_BYTES
from tests.fakes.broker import short_home
from tests.mcp_tools.conftest import ERAS, Era
from tests.mcp_tools.fleet import Fleet, RawClient, running_fleet
from tests.mcp_tools.reading import framed
from tests.torture.noise import Noise
from tests.torture.rpc_noise import SEED, rpc_noises
from tests.torture.test_noise import GROWTH_MIB, peak_mib

pytestmark = pytest.mark.anyio

LINES = 1000
EVERY = 50
"""After so many lines the client does a piece of real work."""
NO_BUG = range(-32602, -31999)
"""Codes of JSON-RPC and MCP that refuse a request; -32603 would be a defect of ours."""


@pytest.fixture
async def fleet() -> AsyncGenerator[Fleet]:
    """A broker with its operator."""
    with short_home() as home:
        async with running_fleet(home.root.parent) as fleet:
            yield fleet


@asynccontextmanager
async def speaking(fleet: Fleet, agent: str, era: Era, errors: Path) -> AsyncGenerator[RawClient]:
    """Run an agent's MCP server, and shake hands where the era does."""
    with errors.open("wb") as log:
        async with await anyio.open_process(fleet.command(agent), stdin=PIPE, stdout=PIPE, stderr=log) as process:
            assert process.stdout is not None
            client = RawClient(process, era, BufferedByteReceiveStream(process.stdout))
            await client.shake_hands()
            try:
                yield client
            finally:
                if process.returncode is None:
                    process.kill()


async def say(client: RawClient, noise: Noise) -> list[dict[str, Any]]:
    """Say something malformed, then something sound; gives every answer but that of the latter."""
    assert client.process.stdin is not None
    await client.process.stdin.send(noise.data + b"\n")
    probe = await client.ask("tools/list", {})
    said: list[dict[str, Any]] = []
    while (answer := await client.read()).get("id") != probe:
        said.append(answer)
    assert answer["result"]["tools"], noise.name
    return said


async def drone(client: RawClient) -> None:
    """Write a line that does not end."""
    assert client.process.stdin is not None
    while True:
        await client.process.stdin.send(b"x" * MAX_LINE_BYTES)


def defects(noise: Noise, answers: list[dict[str, Any]]) -> Iterator[str]:
    """Find what only a defect answers: an internal error, of the protocol or of a tool."""
    for answer in answers:
        text = json.dumps(answer)
        if answer.get("error", {}).get("code", NO_BUG[0]) not in NO_BUG or '"internal: ' in text:
            yield f"{noise.name}: {text[:300]}"


async def taken(client: RawClient) -> str:
    """Take the one letter; gives its body. A well-formed recv among the noise may get it before ours does."""
    while True:
        asked = await client.start("recv")
        found: list[str] = []
        while True:
            answer = await client.read()
            content = answer.get("result", {}).get("content", [])
            found += [mail.body for part in content for mail in framed(part["text"])]
            if answer.get("id") == asked:
                break
        if found:
            (body,) = found
            return body


@pytest.mark.timeout(180)
@pytest.mark.parametrize("era", ERAS)
async def test_a_thousand_malformed_lines_do_no_harm(fleet: Fleet, tmp_path: Path, era: Era) -> None:
    """Spec: no crash, no defect, bounded memory; between any two of them the client gets its answer, and its mail."""
    sys.stdout.write(f"{era}: seed {SEED}\n")
    agent = await fleet.add("alice")
    found: list[str] = []
    async with speaking(fleet, agent, era, tmp_path / "stderr") as client:
        await say(client, Noise("a blank line", b""))
        before = peak_mib(client.process.pid)
        for number, noise in enumerate(rpc_noises(LINES)):
            with anyio.fail_after(20):
                found += defects(noise, await say(client, noise))
                if number % EVERY == 0:
                    await fleet.send(agent, f"letter {number}")
                    assert await taken(client) == f"letter {number}"
        grown = peak_mib(client.process.pid) - before
        sys.stdout.write(f"{era}: {LINES} lines, {grown:.1f} MiB more\n")
        assert client.process.returncode is None
    assert found == []
    assert grown < GROWTH_MIB
    assert "Traceback" not in (tmp_path / "stderr").read_text(encoding="utf-8")


async def test_a_line_without_end_ends_the_session_and_nothing_else(fleet: Fleet, tmp_path: Path) -> None:
    """Spec: the bound of a line holds; what was handed over comes back, and the next session is served."""
    agent = await fleet.add("alice")
    letter = await fleet.send(agent, "still here")
    with anyio.fail_after(15):
        async with speaking(fleet, agent, "auto", tmp_path / "stderr") as client:
            assert framed(await client.call("recv"))
            with pytest.raises((anyio.BrokenResourceError, anyio.ClosedResourceError)):
                await drone(client)
            assert await client.process.wait() == 0
        assert await fleet.state(letter) == "queued"
        async with speaking(fleet, agent, "auto", tmp_path / "stderr") as client:
            assert framed(await client.call("recv"))[0].body == "still here"
