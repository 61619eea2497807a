"""One connection: hello, frames, bounds, and for whom it may speak."""

import json
from typing import Any

import anyio
import pytest

from broker.edge import connection
from tests.fakes.broker import LocalBroker
from tests.scenarios.fleet import RawLine, settled, until
from wire.codec import MAX_FRAME_BYTES, MAX_HELLO_BYTES
from wire.errors import Limited
from wire.fleet import PROTOCOL
from wire.home import Home

pytestmark = pytest.mark.anyio

PING = {"id": 7, "op": "fleet.ping"}


def error_of(frame: dict[str, Any]) -> tuple[object, str]:
    """Give the request id and the code of a refusal."""
    assert frame["ok"] is False
    return frame["id"], frame["error"]["code"]


async def still_works(line: RawLine) -> bool:
    """Say whether a connection still answers."""
    return (await line.ask(PING))["ok"]


# ---- before the welcome


async def test_a_connection_that_says_no_hello_is_told_and_closed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 4 Bounds: before welcome 5 s; shortened here."""
    monkeypatch.setattr(connection, "HELLO_WITHIN_S", 0.02)
    async with LocalBroker(home) as fleet:
        silent = await fleet.raw()
        said = await silent.ended()
        assert error_of(json.loads(said)) == (None, "denied")
        assert await still_works(await fleet.raw(home.operator_secret))


async def test_a_first_frame_over_4_kib_ends_the_connection(home: Home) -> None:
    """DESIGN 4 Bounds: before welcome 4 KiB, whether the line ends or not."""
    async with LocalBroker(home) as fleet:
        for flood in (b"x" * (MAX_HELLO_BYTES + 1), b'{"hello":"' + b"x" * MAX_HELLO_BYTES + b'"}\n'):
            line = await fleet.raw()
            await line.send(flood)
            assert error_of(json.loads(await line.ended())) == (None, "invalid")
        assert await still_works(await fleet.raw(home.operator_secret))


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        ({"token": "a-token-that-was-never-made"}, "denied"),
        ({"token": ""}, "denied"),
        ({"protocol": PROTOCOL + 1}, "invalid"),
        ({"protocol": "1"}, "invalid"),
        ({"hello": "someone else"}, "invalid"),
        ({"token": 5}, "invalid"),
        ({"token": "x" * 300}, "invalid"),
        ({"kind": "x" * 33}, "invalid"),
        ({"kind": None}, "invalid"),
    ],
)
async def test_a_wrong_hello_is_refused_with_its_reason(home: Home, hello: dict[str, object], code: str) -> None:
    """DESIGN 4: hello is welcomed or gets an error; the token is never quoted."""
    async with LocalBroker(home) as fleet:
        line = await fleet.raw()
        token = fleet.token(home.operator_secret)
        said = {"hello": "queenpost", "protocol": PROTOCOL, "token": token, "kind": "test", **hello}
        answer = await line.ask(said)
        assert error_of(answer) == (None, code)
        assert token not in json.dumps(answer)
        assert await line.ended() == b""


@pytest.mark.parametrize("first", [b"\n", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\n", b"[]\n", b'{"id":1}\n'])
async def test_whoever_speaks_something_else_is_told_what_is_expected(home: Home, first: bytes) -> None:
    """DESIGN 4: an error, never a crash; a browser or a TLS client gets a line of JSON."""
    async with LocalBroker(home) as fleet:
        line = await fleet.raw()
        await line.send(first)
        assert error_of(json.loads(await line.ended())) == (None, "invalid")


async def test_requests_may_follow_the_hello_in_the_same_packet(home: Home) -> None:
    """Ours: a client need not wait for the welcome; what is behind the hello may be larger than 4 KiB."""
    async with LocalBroker(home) as fleet:
        line = await fleet.raw()
        hello = {"hello": "queenpost", "protocol": PROTOCOL, "kind": "test"}
        hello["token"] = fleet.token(home.operator_secret)
        long = {"id": 1, "op": "inbox.explain", "message": "m1", "note": "x" * MAX_HELLO_BYTES}
        await line.send(b"".join(json.dumps(frame).encode() + b"\n" for frame in (hello, long, PING)))
        assert (await line.frame())["principal"] == {"kind": "operator", "name": "operator"}
        assert error_of(await line.frame()) == (1, "invalid")
        assert (await line.frame())["ok"] is True


async def test_after_a_refused_hello_nothing_more_is_listened_to(home: Home) -> None:
    """Ours: no second guess on one connection."""
    async with LocalBroker(home) as fleet:
        line = await fleet.raw()
        wrong = {"hello": "queenpost", "protocol": PROTOCOL, "token": "wrong", "kind": "test"}
        right = {**wrong, "token": fleet.token(home.operator_secret)}
        await line.send(b"".join(json.dumps(hello).encode() + b"\n" for hello in (wrong, right)))
        frames = (await line.ended()).splitlines()
        assert [error_of(json.loads(frame)) for frame in frames] == [(None, "denied")]


# ---- frames

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
    """DESIGN 4, 5 Provenance: `invalid` with the request's id where one can be read, in bounded words."""
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
        for op in ("jobs.claim", "", "x" * 10_000, None, 5, ["fleet.ping"], {"op": "fleet.ping"}):
            answer = await line.ask({"id": 7, "op": op})
            assert error_of(answer) == (7, "unknown")
            assert len(answer["error"]["message"]) < 300
        assert error_of(await line.ask({"id": 8})) == (8, "unknown")
        assert await still_works(line)


# ---- in flight


async def test_a_request_id_in_use_is_refused_and_the_first_request_goes_on(home: Home) -> None:
    """Ours: ids are unique among the requests in flight."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice")
        line = await fleet.raw(home.harness_secret)
        attach = fleet.attach_request("alice", "instance-1").model_dump(exclude={"id", "as_"})
        assert (await line.ask({"id": 1, **attach}))["ok"]
        await line.send(b'{"id":2,"op":"turns.open","as":"alice","wait_s":60}\n')
        assert error_of(await line.ask({"id": 2, "op": "fleet.ping"})) == (2, "invalid")
        await fleet.send("alice")
        answer = await line.frame()
        assert answer["id"] == 2
        assert [mail["body"] for mail in answer["result"]["turn"]["mail"]] == ["hello"]


async def test_an_agent_has_at_most_8_requests_in_flight(home: Home) -> None:
    """DESIGN 4 Bounds: 8 per agent, else `limited`; other agents of the connection are not touched."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        alice, bob = await fleet.harness("alice", "bob")
        async with anyio.create_task_group() as group:
            for _ in range(connection.MAX_IN_FLIGHT_PER_AGENT):
                group.start_soon(alice.open)
            await settled(alice.client)
            with pytest.raises(Limited):
                await alice.open()
            assert await bob.open(wait_s=0) is None
            group.cancel_scope.cancel()
        await settled(alice.client)
        assert await alice.open(wait_s=0) is None


async def test_a_request_can_be_withdrawn_when_8_are_in_flight(home: Home) -> None:
    """DESIGN 4: a cancel is answered at once and needs no place of its own, also on an agent's own connection."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice")
        session = await fleet.session("alice")
        async with anyio.create_task_group() as group:
            for _ in range(connection.MAX_IN_FLIGHT_PER_AGENT):
                group.start_soon(lambda: session.take(wait_s=60))
            (ours,) = [line for line in fleet.connections() if line.principal.name == "alice"]
            await until(lambda: len(ours.in_flight) == connection.MAX_IN_FLIGHT_PER_AGENT)
            group.cancel_scope.cancel()
        await until(lambda: not ours.in_flight)
        assert (await session.take()).mail == []


async def test_a_connection_has_at_most_1024_requests_in_flight(home: Home) -> None:
    """DESIGN 4 Bounds: 1,024 per connection, else `limited`; those that were taken are all answered."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line = await fleet.raw(home.operator_secret)
        with fleet.writer_stopped():
            most = connection.MAX_IN_FLIGHT
            body = b'{"id":%d,"op":"inbox.send","key":"k%d","to":"bob","body":"x"}\n'
            await line.send(b"".join(body % (number, number) for number in range(most + 1)))
            assert error_of(await line.frame()) == (most, "limited")
            assert await still_works(await fleet.raw(home.operator_secret))
        answers = [await line.frame() for _ in range(most)]
        assert {answer["id"] for answer in answers if answer["ok"]} == set(range(most))
