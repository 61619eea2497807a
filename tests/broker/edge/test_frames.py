"""Frames that no client of ours would send, and frames at the bounds."""

import json

import pytest

from tests.broker.edge.frames import error_of, still_works
from tests.fakes.broker import LocalBroker
from wire.codec import MAX_FRAME_BYTES
from wire.home import Home

pytestmark = pytest.mark.anyio

MALFORMED: dict[str, tuple[bytes, int | None]] = {
    "empty": (b"", None),
    "no json": (b"hello", None),
    "half an object": (b'{"id":7,"op":"fleet.ping"', None),
    "two objects": (b'{"id":7,"op":"fleet.ping"} {}', None),
    "a list": (b"[]", None),
    "a number": (b"7", None),
    "null": (b"null", None),
    "nested lists": (b"[" * 100_000, None),
    "nested objects": (b'{"a":' * 100_000, None),
    "nested in a field": (b'{"id":7,"op":"fleet.ping","x":' + b"[" * 5000 + b"]" * 5000 + b"}", None),
    "not utf-8": (b'{"id":7,"op":"fleet.ping","x":"\xff"}', None),
    "binary": (bytes(range(11, 256)), None),
    "nul bytes": (b"\0" * 64, None),
    "utf-16": ('{"id":7}'.encode("utf-16-le"), None),
    "NaN": (b'{"id":7,"op":"turns.open","wait_s":NaN}', None),
    "Infinity": (b'{"id":7,"op":"turns.open","wait_s":Infinity}', None),
    "a float beyond all": (b'{"id":7,"op":"turns.open","wait_s":1e999}', 7),
    "a cost beyond all": (
        b'{"id":7,"op":"turns.close","turn":"t1","outcome":"completed","usage":{"cost_usd":1e999}}',
        7,
    ),
    "a negative wait": (b'{"id":7,"op":"turns.open","wait_s":-1}', 7),
    "a lone surrogate": (b'{"id":7,"op":"inbox.send","key":"k","to":"bob","body":"\\ud800"}', None),
    "a lone surrogate in a name": (b'{"id":7,"op":"fleet.ping","\\udfff":1}', None),
    "an endless number": (b'{"id":7,"op":' + b"9" * 5000 + b"}", None),
    "no id": (b'{"op":"fleet.ping"}', None),
    "a text as id": (b'{"id":"7","op":"fleet.ping"}', None),
    "a float as id": (b'{"id":7.0,"op":"fleet.ping"}', None),
    "true as id": (b'{"id":true,"op":"fleet.ping"}', None),
    "a negative id": (b'{"id":-1,"op":"fleet.ping"}', None),
    "an id over 2^53": (b'{"id":9007199254740993,"op":"fleet.ping"}', None),
    "an unknown field": (b'{"id":7,"op":"fleet.ping","extra":1}', 7),
    "a field with a long name": (b'{"id":7,"op":"fleet.ping","' + b"x" * 500_000 + b'":1}', 7),
    "as is no text": (b'{"id":7,"op":"fleet.ping","as":["alice"]}', 7),
    "no key": (b'{"id":7,"op":"inbox.send","to":"bob","body":"x"}', 7),
    "an empty key": (b'{"id":7,"op":"inbox.send","key":"","to":"bob","body":"x"}', 7),
    "a key with a line break": (b'{"id":7,"op":"inbox.send","key":"a\\n","to":"bob","body":"x"}', 7),
    "an empty body": (b'{"id":7,"op":"inbox.send","key":"k","to":"bob","body":""}', 7),
    "a body of bytes": (b'{"id":7,"op":"inbox.send","key":"k","to":"bob","body":[1,2]}', 7),
    "an over-long body": (
        b'{"id":7,"op":"inbox.send","key":"k","to":"bob","body":"' + b"x" * 30_000 + b'"}',
        7,
    ),
    "its own sender": (b'{"id":7,"op":"inbox.send","key":"k","to":"bob","body":"x","sender":"operator"}', 7),
    "its own kind": (b'{"id":7,"op":"inbox.send","key":"k","to":"bob","body":"x","kind":"operator"}', 7),
    "its own depth": (b'{"id":7,"op":"inbox.send","key":"k","to":"bob","body":"x","depth":0}', 7),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_frame_is_answered_and_the_connection_lives(home: Home, name: str) -> None:
    """[P12] DESIGN 4, 5 Provenance: `invalid` with the request's id where one can be read, in bounded words."""
    frame, request_id = MALFORMED[name]
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line = await fleet.raw(home.operator_secret)
        await line.send(frame + b"\n")
        answer = await line.line()
        assert error_of(json.loads(answer)) == (request_id, "invalid")
        assert len(answer) < 1000
        assert await still_works(line)
        assert (await fleet.status()).account.accepted == 0


async def test_a_frame_over_1_mib_ends_its_connection_only(home: Home) -> None:
    """DESIGN 4 Bounds: frame ≤ 1 MiB; it cannot be skipped, so the reason is the last thing said."""
    async with LocalBroker(home) as fleet:
        healthy = await fleet.raw(home.operator_secret)
        line = await fleet.raw(home.operator_secret)
        await line.send(b'{"id":7,"x":"' + b"x" * MAX_FRAME_BYTES + b'"}\n')
        assert error_of(json.loads(await line.ended())) == (None, "invalid")
        assert await still_works(healthy)


async def test_a_frame_of_1_mib_is_read(home: Home) -> None:
    """DESIGN 4 Bounds: the bound itself is allowed; what is too long for a body is `invalid`, not the end."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line = await fleet.raw(home.operator_secret)
        head, tail = b'{"id":7,"op":"inbox.send","key":"k","to":"bob","body":"', b'"}'
        await line.send(head + b"x" * (MAX_FRAME_BYTES - len(head) - len(tail)) + tail + b"\n")
        assert error_of(await line.frame()) == (7, "invalid")
        assert await still_works(line)


async def test_many_frames_in_one_packet_are_answered_each(home: Home) -> None:
    """Ours: a pipelined client is served in one go."""
    async with LocalBroker(home) as fleet:
        line = await fleet.raw(home.operator_secret)
        await line.send(b"".join(b'{"id":%d,"op":"fleet.ping"}\n' % number for number in range(300)))
        answers = [await line.frame() for _ in range(300)]
        assert sorted(answer["id"] for answer in answers) == list(range(300))
        assert all(answer["ok"] for answer in answers)


async def test_half_a_frame_is_no_request(home: Home) -> None:
    """Ours: a peer that died in the middle of a send has sent nothing."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line = await fleet.raw(home.operator_secret)
        await line.send(b'{"id":7,"op":"inbox.send","key":"k","to":"bob","body":"x"}')
        await line.end_of_writing()
        assert await line.ended() == b""
        assert (await fleet.status()).account.accepted == 0


async def test_an_unknown_op_gets_an_answer(home: Home) -> None:
    """DESIGN 4: an unknown op is answered; the text of it is bounded."""
    async with LocalBroker(home) as fleet:
        line = await fleet.raw(home.operator_secret)
        for op in ("jobs.juggle", "", "x" * 10_000, None, 5, ["fleet.ping"], {"op": "fleet.ping"}):
            answer = await line.ask({"id": 7, "op": op})
            assert error_of(answer) == (7, "unknown")
            assert len(answer["error"]["message"]) < 300
        assert error_of(await line.ask({"id": 8})) == (8, "unknown")
        assert await still_works(line)
