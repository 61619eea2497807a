"""Malformed frames beside a healthy client: `python -P -m benchmarks.noise` sends them, `beside_noise` measures.

The frames are of every class that the tests know (`tests/torture/noise.py`), fewer of each; about 1,000 a second.
"""

import argparse
import itertools
import json
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from benchmarks import loads
from benchmarks.figures import percentile
from benchmarks.fleet import BODY, Fleet
from benchmarks.plan import Plan
from benchmarks.post import Post
from benchmarks.programs import program
from benchmarks.rows import Series
from wire.fleet import PROTOCOL
from wire.home import Home
from wire.private_files import read_secret

SENDS = 5
"""Times the samples of a plan: a p99 of few says little."""

PAUSE_S = 0.001
"""Between an answer and the next frame."""

_SEND = b'{"id":1,"op":"inbox.send","key":"k","to":"nobody","body":"x"}'


def frames() -> Iterator[bytes]:
    """Give malformed frames, each of which is answered with an error: 8 % of 100 KB, one in 200 of 500 KB."""
    for _ in range(5):
        yield from _small()
        yield from (
            json.dumps({**json.loads(_SEND), name: "x" * 100_000}).encode() for name in ("to", "key", "in_reply_to")
        )
    yield b"x" * 500_000


def _small() -> Iterator[bytes]:
    yield from (_SEND[:end] for end in range(1, len(_SEND), 6))
    yield from (_SEND[:at] + stain + _SEND[at + 1 :] for at in (5, 20) for stain in (b"\0", b"\xff", b'"', b"}"))
    for wrong in (None, 5, 10**40, 0.5, "", "a\0b", "\u202eoperator", [["a"]], {"a": 1}):
        yield json.dumps({**json.loads(_SEND), "to": wrong, "in_reply_to": wrong}).encode()
    yield b'{"id":1,"op":"fleet.ping","x":' + b"[" * 1000 + b"]" * 1000 + b"}"
    yield b'{"id":' + b"9" * 5000 + b',"op":"fleet.ping"}'
    yield b'{"id":1,"op":"fleet.ping","x":"\\ud800"}'
    yield b'{"id":1,"op":"fleet.ping"' + b',"id":1' * 1000 + b',"x":1}'
    yield b'{"id":1,"op":"no.such"}'
    yield b"[" * 10_000


async def beside_noise(series: Series, plan: Plan, home: Home, post: Post, fleet: Fleet, folder: Path) -> None:
    """Add the p99 of durable sends of one client, alone and while malformed frames come in."""
    sender, sink = fleet.senders[0], fleet.sinks[0]

    async def p99() -> float:
        taken = await loads.durations(lambda: post.send(sender, sink, BODY), plan.samples * SENDS)
        return percentile(taken, 99)

    series.add("calm p99", await p99())
    async with program("benchmarks.noise", "--home", str(home.root), errors=folder / "noise.log"):
        series.add("noisy p99", await p99())


def main() -> None:
    """Connect as the operator and be noisy until SIGTERM."""
    parser = argparse.ArgumentParser(prog="benchmarks.noise")
    parser.add_argument("--home", type=Path, required=True)
    home = Home(parser.parse_args().home)
    signal.signal(signal.SIGTERM, _end)
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(home.socket))
        heard = line.makefile("rb")
        hello = {"hello": "queenpost", "protocol": PROTOCOL, "kind": "bench"}
        token = read_secret(home.operator_secret).strip()
        line.sendall(json.dumps({**hello, "token": token}).encode() + b"\n")
        assert b"principal" in heard.readline()
        print("ready", flush=True)
        for frame in itertools.cycle(frames()):
            line.sendall(frame + b"\n")
            while b'"event":' in (answer := heard.readline()):
                pass
            assert b'"ok":false' in answer, answer[:200]
            time.sleep(PAUSE_S)


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
