"""One connection: hello, frames, bounds, and for whom it may speak."""

import json

import anyio
import pytest

from broker.edge import connection
from tests.broker.edge.frames import PING, error_of, still_works
from tests.fakes.broker import LocalBroker
from tests.scenarios.fleet import RawLine, send, settled, until
from wire.agents import AgentsAttach, AgentsAttached
from wire.codec import MAX_HELLO_BYTES
from wire.errors import Denied, Limited
from wire.fleet import PROTOCOL, Push
from wire.home import Home
from wire.transport import MAX_QUEUED_BYTES

pytestmark = pytest.mark.anyio


# ---- before the welcome


async def test_a_connection_that_says_no_hello_is_told_and_closed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 4 Bounds: before welcome 5 s; shortened here."""
    async with LocalBroker(home) as fleet:
        with monkeypatch.context() as shortened:  # for the one that is silent only
            shortened.setattr(connection, "HELLO_WITHIN_S", 0.02)
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
        ours = fleet.end_of("harness")
        async with anyio.create_task_group() as group:
            for _ in range(connection.MAX_IN_FLIGHT_PER_AGENT):
                group.start_soon(alice.open)
            await settled(alice.client)
            with pytest.raises(Limited):
                await alice.open()
            assert await bob.open(wait_s=0) is None
            group.cancel_scope.cancel()
        await until(lambda: not ours.in_flight)
        assert await alice.open(wait_s=0) is None


async def test_a_request_can_be_withdrawn_when_8_are_in_flight(home: Home) -> None:
    """DESIGN 4: a cancel is answered at once and needs no place of its own, also on an agent's own connection."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice")
        session = await fleet.session("alice")
        ours = fleet.end_of("alice")
        async with anyio.create_task_group() as group:
            for _ in range(connection.MAX_IN_FLIGHT_PER_AGENT):
                group.start_soon(lambda: session.take(wait_s=60))
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


# ---- what a peer does not read


async def test_a_peer_that_does_not_read_loses_events_first_and_is_told_so(home: Home) -> None:
    """DESIGN 4 Bounds: outbound queue ≤ 4 MiB; events give way, and a `gap` stands where they were."""
    async with LocalBroker(home) as fleet:
        line = await fleet.raw(home.operator_secret)
        ours = fleet.end_of("operator")
        large = Push(event="agents_changed", agent="alice", data={"change": "x" * 200_000})
        for _ in range(50):
            fleet.hub.announce(large)
            assert ours.transport.queued_bytes <= MAX_QUEUED_BYTES
        events = [(await line.frame())["event"]]
        while events[-1] != "gap":
            events.append((await line.frame())["event"])
        assert events[:-1] == ["agents_changed"] * (len(events) - 1)
        assert 2 <= len(events) < 20
        fleet.hub.announce(Push(event="agents_changed", agent="bob"))
        assert (await line.frame())["agent"] == "bob"


async def test_a_gap_is_told_again_for_what_was_lost_after_it_was_read(home: Home) -> None:
    """DESIGN 4 Bounds: whoever read a `gap` and looked may have missed more since; no event need follow."""
    async with LocalBroker(home) as fleet:
        line = await fleet.raw(home.operator_secret)
        ours = fleet.end_of("operator")
        large = Push(event="agents_changed", agent="alice", data={"change": "x" * 200_000})
        for _ in range(20):
            fleet.hub.announce(large)
        answer = json.dumps({"id": 1, "ok": True, "result": {"x": "y" * 1_500_000}}).encode() + b"\n"
        ours.say(answer)
        while (await line.frame()).get("event") != "gap":
            pass
        ours.say(answer)
        fleet.hub.announce(large)
        frames = [await line.frame() for _ in range(3)]
        assert [frame.get("event", "answer") for frame in frames] == ["answer", "answer", "gap"]


async def test_a_peer_that_never_reads_is_closed_and_hurts_nobody(home: Home) -> None:
    """DESIGN 4 Bounds: still full → closed; memory stays bounded, others are served all the while."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        healthy = await fleet.raw(home.operator_secret)
        await fleet.raw(home.operator_secret)
        deaf = fleet.end_of("operator")
        receipts = [await fleet.send("bob", "x" * 20_000) for _ in range(20)]
        sizes: list[int] = []
        while not deaf.closed.is_set():
            ask = {"id": len(sizes), "op": "inbox.list", "agent": "bob"}
            deaf.on_line(json.dumps(ask).encode())
            await until(lambda: not deaf.in_flight or deaf.closed.is_set())
            assert await still_works(healthy)
            sizes.append(deaf.transport.queued_bytes)
        assert len(sizes) >= MAX_QUEUED_BYTES // (len(receipts) * 21_000)
        assert max(sizes) <= MAX_QUEUED_BYTES
        assert await still_works(healthy)


# ---- for whom it speaks


async def test_as_is_only_for_agents_that_are_attached_on_this_connection(home: Home) -> None:
    """[H01] DESIGN 4: `as` is valid where the agent's token was shown, and ends with the connection."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        alice = await fleet.worker("alice")
        other = await fleet.entered(fleet.client(home.harness_secret))
        for client, name in ((alice.client, "bob"), (other, "alice"), (other, "nobody")):
            with pytest.raises(Denied, match="not attached"):
                await send(client, "operator", as_=name)
        operator = await fleet.operator()
        with pytest.raises(Denied, match="not attached"):
            await send(operator, "bob", as_="alice")
        assert (await alice.send("bob")).recipients == ["bob"]


async def test_a_lost_connection_ends_the_right_to_as(home: Home) -> None:
    """DESIGN 4: the instance has to attach again; it gets its epoch back."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice")
        first = await fleet.raw(home.harness_secret)
        attach = {"id": 1, **fleet.attach_request("alice", "instance-1").model_dump(exclude={"id", "as_"})}
        epoch = (await first.ask(attach))["result"]["epoch"]
        await first.aclose()
        second = await fleet.raw(home.harness_secret)
        send_frame = {"id": 2, "op": "inbox.send", "as": "alice", "key": "k", "to": "operator", "body": "x"}
        assert error_of(await second.ask(send_frame)) == (2, "denied")
        assert (await second.ask(attach))["result"]["epoch"] == epoch
        assert (await second.ask(send_frame))["ok"]


async def test_an_agents_own_connection_speaks_for_nobody_else(home: Home) -> None:
    """[P12] DESIGN 4: who acts comes from the credential; foreign and unknown names get the same answer."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        client = await fleet.entered(fleet.client(home.agent_secret("alice")))
        told: set[str] = set()
        for name in ("bob", "nobody"):
            with pytest.raises(Denied) as as_another:
                await send(client, "operator", as_=name)
            with pytest.raises(Denied) as attaching:
                await client.call(AgentsAttach(agent=name, instance="instance-1"), AgentsAttached)
            told.add(f"{as_another.value} {attaching.value}".replace(name, "NAME"))
        assert len(told) == 1
        assert (await send(client, "bob", as_="alice")).recipients == ["bob"]


async def test_a_harness_proves_each_agent_by_its_token(home: Home) -> None:
    """DESIGN 4 Tokens: the harness's own token opens no agent."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        client = await fleet.entered(fleet.client(home.harness_secret))
        wrong = fleet.token(home.agent_secret("bob"))
        for token in (None, wrong, fleet.token(home.harness_secret)):
            request = AgentsAttach(agent="alice", instance="instance-1", agent_token=token)
            with pytest.raises(Denied, match="not the token of alice"):
                await client.call(request, AgentsAttached)
        assert not (await fleet.agent("alice")).attached


async def test_large_requests_are_read_no_faster_than_they_are_answered(home: Home) -> None:
    """DESIGN 4 Bounds: what a peer has in flight is bounded in bytes too; it waits, and nothing is refused for it."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line = await fleet.raw(home.operator_secret)
        ours = fleet.end_of("operator")
        body = "x" * 1_000_000
        answers: list[int] = []
        async with anyio.create_task_group() as group:
            with fleet.writer_stopped():
                group.start_soon(send_large, line, body)
                await until(lambda: len(ours.in_flight) >= 4)
                healthy = await fleet.raw(home.harness_secret)
                for _ in range(50):
                    assert await still_works(healthy)
                assert len(ours.in_flight) <= 5
            for _ in range(40):
                answers.append((await line.frame())["id"])
        assert sorted(answers) == list(range(40))
        assert await still_works(line)


async def send_large(line: RawLine, body: str) -> None:
    """Send 40 requests of a megabyte, as fast as they are taken."""
    for number in range(40):
        frame = {"id": number, "op": "inbox.send", "key": f"k{number}", "to": "bob", "body": body}
        await line.send(json.dumps(frame).encode() + b"\n")
