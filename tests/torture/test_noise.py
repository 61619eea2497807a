"""A thousand malformed frames against one broker: no crash, no defect, bounded memory, and others are served."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.fakes.broker import BrokerProcess, short_home
from tests.scenarios.fleet import RawLine
from tests.torture.noise import Noise, noises
from wire.codec import MAX_FRAME_BYTES
from wire.home import Home

pytestmark = pytest.mark.anyio

FRAMES = 1000
GROWTH_MIB = 50


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


def peak_mib(pid: int) -> float:
    """Give the most memory that a process ever held; nothing where the system does not tell."""
    if sys.platform != "linux":
        return 0.0
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


CODES = {"invalid", "unknown", "denied", "conflict", "stale", "limited"}
"""What a malformed frame may be answered with; `internal` would be a defect of ours."""


def code_of(answer: dict[str, Any]) -> str:
    """Give the code of a refusal."""
    return answer["error"]["code"]


async def answer_to(fleet: BrokerProcess, line: RawLine, noise: Noise) -> tuple[RawLine, dict[str, Any]]:
    """Say something malformed; gives what was answered, and a line on which one can go on."""
    if noise.first:
        other = await fleet.raw()
        await other.say_all(noise.data + b"\n")
        return line, json.loads((await other.ended()).splitlines()[0])
    await line.say_all(noise.data + b"\n")
    while "event" in (answer := await line.frame()):
        pass
    if len(noise.data) <= MAX_FRAME_BYTES:
        return line, answer
    assert await line.ended() == b""
    return await fleet.raw(fleet.home.operator_secret), answer


@pytest.mark.timeout(180)
async def test_a_thousand_malformed_frames_do_no_harm(home: Home) -> None:
    """[P09] Reliability 5, goal 10; DESIGN 4: each is answered, none is a defect of ours, a healthy client works on."""
    assert len({noise.name for noise in noises(FRAMES)}) == FRAMES
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        served = 0

        async def work() -> None:
            nonlocal served
            while True:
                await fleet.send("bob")
                await bob.close((await bob.opened()).id)
                served += 1

        line = await fleet.raw(home.operator_secret)
        wrong: list[str] = []
        pid = fleet.pid
        before = peak_mib(pid)
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            for noise in noises(FRAMES):
                line, answer = await answer_to(fleet, line, noise)
                if not (answer.get("ok") or code_of(answer) in CODES):
                    wrong.append(f"{noise.name}: {answer}")
            group.cancel_scope.cancel()
        assert wrong == []
        assert served > 10
        grown = peak_mib(pid) - before
        sys.stdout.write(f"noise: {FRAMES} frames, {served} rounds of a healthy client, {grown:.1f} MiB more\n")
        assert grown < GROWTH_MIB
        status = await fleet.status()
        assert status.pid == pid
        assert not status.frozen
        assert "Traceback" not in fleet.said


@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
async def test_a_flood_of_large_requests_is_held_in_bounded_memory(home: Home) -> None:
    """T23: 300 requests of a megabyte, none of them waited for, on 3 connections."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        before = peak_mib(fleet.pid)
        body = "x" * 1_000_000
        async with anyio.create_task_group() as group:
            for _ in range(3):
                line = await fleet.raw(home.operator_secret)
                group.start_soon(flood, line, body)
                group.start_soon(read_on, line)
        assert peak_mib(fleet.pid) - before < GROWTH_MIB
        assert (await fleet.status()).account.accepted == 0


async def flood(line: RawLine, body: str) -> None:
    """Send as fast as it is taken."""
    for number in range(100):
        frame = {"id": number, "op": "inbox.send", "key": f"k{number}", "to": "bob", "body": body}
        await line.send(json.dumps(frame).encode() + b"\n")


async def read_on(line: RawLine) -> None:
    """Read the answers, as they come."""
    for _ in range(100):
        assert (await line.frame())["error"]["code"] == "invalid"
