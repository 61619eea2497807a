"""A thousand malformed frames, each with a name: what a broken, hostile or newer peer might say."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wire.codec import MAX_FRAME_BYTES, MAX_HELLO_BYTES
from wire.fleet import PROTOCOL
from wire.model import Mutation
from wire.ops import OPS, Op


@dataclass(frozen=True)
class Noise:
    """Bytes without a newline, and where they are said."""

    name: str
    data: bytes
    first: bool = False
    """In place of a hello."""


WRONG_VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "a number": 5,
    "a negative number": -1,
    "a huge number": 10**40,
    "a float": 0.5,
    "a text": "text",
    "an empty text": "",
    "a long text": "x" * 100_000,
    "a NUL": "a\0b",
    "a line break": "a\nb",
    "a path": "../../secrets/operator",
    "a control character": "\x1b[2J",
    "a direction change": "\u202eoperator",
    "another script": "\u0430lice",
    "a list": ["a"],
    "a long list": ["m1"] * 5000,
    "a nested list": [[[[[[["a"]]]]]]],
    "an object": {"a": 1},
    "a statement": "'; DROP TABLE messages; --",
}
ARGUMENTS: dict[str, Any] = {
    "to": "nobody", "body": "x", "message": "m1", "ids": ["m1"], "turn": "t1", "outcome": "completed",
    "agent": "No Body", "instance": "instance-1", "state": "idle", "request": 1, "agents": ["nobody"],
}  # fmt: skip
"""What makes a request of each op whole; nobody of this name is in the fleet."""


def whole(op: Op) -> dict[str, Any]:
    """Give a well-formed request of an op."""
    fields = {name: ARGUMENTS[name] for name in op.request.model_fields if name in ARGUMENTS}
    if issubclass(op.request, Mutation):
        fields["key"] = "k"
    if op.name == "inbox.ack":
        fields = {"key": "k", "ids": ["m1"]}
    return {"id": 1, "op": op.name, **fields}


def _dump(frame: object) -> bytes:
    return json.dumps(frame).encode()


def _of_values() -> Iterator[Noise]:
    """Each field of each op with a value that it cannot have."""
    for op in OPS.values():
        request = whole(op)
        for field in op.request.model_fields:
            name = "as" if field == "as_" else field
            for wrong, value in WRONG_VALUES.items():
                if name == "agents" and value is None:
                    continue  # everybody: well-formed, and it would stop the healthy client beside the noise
                yield Noise(f"{op.name}: {name} is {wrong}", _dump({**request, name: value}))
        yield Noise(f"{op.name}: a field that it does not have", _dump({**request, "sender": "operator"}))
        yield Noise(f"{op.name}: as somebody else", _dump({**request, "as": "alice"}))


def _of_bytes() -> Iterator[Noise]:
    """A well-formed frame, cut, doubled, turned and stained."""
    frame = _dump(whole(OPS["inbox.send"]))
    for end in range(1, len(frame)):
        yield Noise(f"cut after {end} bytes", frame[:end])
    for place in range(0, len(frame), 3):
        for name, stain in (("a NUL", b"\0"), ("no UTF-8", b"\xff"), ("a quote", b'"'), ("a brace", b"}")):
            yield Noise(f"{name} at byte {place}", frame[:place] + stain + frame[place + 1 :])
    for seed in range(100):
        yield Noise(f"random bytes {seed}", _random_bytes(seed))
    yield Noise("doubled", frame + frame)
    yield Noise("reversed", frame[::-1])
    for encoding in ("utf-16", "utf-32", "utf-8-sig"):
        yield Noise(f"in {encoding}", frame.decode().encode(encoding).replace(b"\n", b""))


def _random_bytes(seed: int) -> bytes:
    state, out = seed + 1, bytearray()
    for _ in range(200):
        state = (state * 1103515245 + 12345) % 2**31
        out.append(state >> 16 & 0xFF)
    return bytes(out).replace(b"\n", b"\r")


def _of_structure() -> Iterator[Noise]:
    """What a parser may break on."""
    for depth in (50, 100, 199, 200, 201, 1000, 100_000):
        yield Noise(f"{depth} lists deep", b'{"id":1,"op":"fleet.ping","x":' + b"[" * depth + b"]" * depth + b"}")
        yield Noise(f"{depth} objects deep", b'{"x":' * depth + b"1" + b"}" * depth)
        yield Noise(f"{depth} lists left open", b"[" * depth)
    for digits in (20, 400, 4299, 4300, 4301, 100_000):
        yield Noise(f"an id of {digits} digits", b'{"id":' + b"9" * digits + b',"op":"fleet.ping"}')
        yield Noise(f"an op of {digits} digits", b'{"id":1,"op":' + b"9" * digits + b"}")
    for word in ("NaN", "Infinity", "-Infinity", "1e999", "nul", "True", "undefined", "0x10", "01", "1.", ".5", "+1"):
        yield Noise(f"the word {word}", f'{{"id":1,"op":"turns.open","wait_s":{word}}}'.encode())
    for escape in (r"\ud800", r"\udc00", r"\ud800A", r"\u12", r"\x41", r"\u0000", r"\uD83D\uD83D"):
        yield Noise(f"the escape {escape}", f'{{"id":1,"op":"fleet.ping","x":"{escape}"}}'.encode())
    yield Noise("a thousand fields", _dump({"id": 1, "op": "fleet.ping", **{f"f{n}": n for n in range(1000)}}))
    yield Noise("one key ten thousand times", b'{"id":1,"op":"fleet.ping"' + b',"id":1' * 10_000 + b"}")
    yield Noise("a field with a name of 900 KiB", _dump({"id": 1, "op": "fleet.ping", "x" * 900_000: 1}))
    yield Noise("an op of 900 KiB", _dump({"id": 1, "op": "x" * 900_000}))
    yield Noise("a frame of nothing but blanks", b" " * 500_000)
    yield Noise("a frame a byte too long", b"x" * (MAX_FRAME_BYTES + 1))
    yield Noise("a frame three times too long", b"x" * (3 * MAX_FRAME_BYTES))


def _of_hellos() -> Iterator[Noise]:
    """What may come in place of a hello."""
    hello = {"hello": "queenpost", "protocol": PROTOCOL, "token": "x" * 43, "kind": "test"}
    yield Noise("a hello with a made-up token", _dump(hello), first=True)
    for field in hello:
        yield Noise(f"a hello without {field}", _dump({k: v for k, v in hello.items() if k != field}), first=True)
        for wrong, value in WRONG_VALUES.items():
            yield Noise(f"a hello whose {field} is {wrong}", _dump({**hello, field: value}), first=True)
    for name, data in {
        "a browser": b"GET / HTTP/1.1\r",
        "a TLS client": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "an SSH client": b"SSH-2.0-OpenSSH_9.2\r",
        "nothing": b"",
        "a request": _dump(whole(OPS["fleet.ping"])),
        "a hello that is too long": _dump({**hello, "token": "x" * MAX_HELLO_BYTES}),
        "a megabyte": b"x" * MAX_FRAME_BYTES,
    }.items():
        yield Noise(f"{name} in place of a hello", data, first=True)


def noises(number: int) -> list[Noise]:
    """Give so many malformed frames, of every family, always the same ones."""
    families = [list(family()) for family in (_of_values, _of_bytes, _of_structure, _of_hellos)]
    few = [noise for family in families[2:] for noise in family]
    many = [noise for family in families[:2] for noise in family]
    stride = len(many) / max(number - len(few), 1)
    return (few + [many[int(place * stride)] for place in range(number - len(few))])[:number]
