"""The listening end: how many may come in, and how everybody is shown out."""

import json
import socket

import anyio
import pytest

from broker.edge import server
from tests.broker.edge.frames import error_of, still_works
from tests.fakes.broker import LocalBroker
from tests.scenarios.fleet import settled, until
from wire.client import BrokerClient
from wire.errors import Conflict, Unavailable
from wire.home import Home
from wire.turns import Turn, TurnsTaken

pytestmark = pytest.mark.anyio


async def test_at_most_64_connections_wait_for_their_hello(home: Home) -> None:
    """DESIGN 4 Bounds: one too many is told so; whoever was welcomed before does not count and is not hurt."""
    async with LocalBroker(home) as fleet:
        welcomed = [await fleet.raw(home.operator_secret) for _ in range(5)]
        silent = [await fleet.raw() for _ in range(server.MAX_UNWELCOMED)]
        one_too_many = await fleet.raw()
        assert error_of(json.loads(await one_too_many.ended())) == (None, "limited")
        assert all([await still_works(line) for line in welcomed])
        answer = await silent[0].hello(fleet.token(home.operator_secret))
        assert answer["principal"]["kind"] == "operator"
        await silent[1].aclose()
        unwelcomed = server.MAX_UNWELCOMED - 2
        await until(lambda: count_unwelcomed(fleet) == unwelcomed)
        for _ in range(2):
            assert await still_works(await fleet.raw(home.operator_secret))


def count_unwelcomed(fleet: LocalBroker) -> int:
    """Count the connections that have not said hello."""
    return sum(not one.welcomed.is_set() for one in fleet.server.connections)


async def test_the_number_of_connections_is_bounded(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: before file descriptors run out, of which the database needs some; lowered here."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 5)
    async with LocalBroker(home) as fleet:
        lines = [await fleet.raw(home.operator_secret) for _ in range(server.MAX_CONNECTIONS)]
        one_too_many = await fleet.raw()
        assert error_of(json.loads(await one_too_many.ended())) == (None, "limited")
        assert all([await still_works(line) for line in lines])
        await lines.pop().aclose()
        await until(lambda: len(fleet.server.connections) < server.MAX_CONNECTIONS)
        assert await still_works(await fleet.raw(home.operator_secret))


async def test_a_connection_that_comes_and_goes_leaves_nothing(home: Home) -> None:
    """Ours: no connection, no listener and no task is kept of a peer that is gone."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        for number in range(50):
            line = await fleet.raw(home.agent_secret("bob") if number % 2 else None)
            await line.aclose()
        await until(lambda: len(fleet.server.connections) == 1)
        assert len(fleet.hub.lines()) == 1


async def test_stopping_answers_everything_that_is_parked(home: Home) -> None:
    """DESIGN 4: told `shutting_down`, then each wait gets its answer, then the end; mail stays where it is."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        (alice,) = await fleet.harness("alice", reconnect=False)
        session = await fleet.session("bob")
        opened: list[Turn | None] = []
        taken: list[TurnsTaken] = []

        async def park() -> None:
            opened.append(await alice.open(wait_s=180))

        async def take() -> None:
            taken.append(await session.take(wait_s=180))

        with anyio.fail_after(server.DRAIN_WITHIN_S):
            async with anyio.create_task_group() as group:
                group.start_soon(park)
                group.start_soon(take)
                await settled(alice.client)
                await settled(session.client)
                fleet.stop()
        assert opened == [None]
        assert [answer.mail for answer in taken] == [[]]


async def test_a_request_that_hangs_holds_up_the_stop_for_a_bound_only(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 4: drain has a bound; shortened here. Its client learns that the link is lost and may retry."""
    monkeypatch.setattr(server, "DRAIN_WITHIN_S", 0.05)
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line = await fleet.raw(home.operator_secret)
        with fleet.writer_stopped():
            await line.send(b'{"id":1,"op":"inbox.send","key":"k","to":"bob","body":"x"}\n')
            await still_works(line)
            fleet.stop()
            assert json.loads((await line.ended()).splitlines()[0])["event"] == "shutting_down"


async def test_what_comes_while_it_stops_is_left_for_the_next_broker(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: what is in flight is answered; what comes later is not begun, so that a busy fleet stops as quickly."""
    monkeypatch.setattr(server, "DRAIN_WITHIN_S", 5.0)
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        late = await fleet.raw(home.operator_secret)
        busy = await fleet.raw(home.operator_secret)
        send = b'{"id":%d,"op":"inbox.send","key":"%b","to":"bob","body":"x"}\n'
        with fleet.writer_stopped():
            await busy.send(send % (1, b"in-time"))
            await still_works(busy)
            fleet.stop()
            assert (await late.frame())["event"] == "shutting_down"
            await late.send(send % (2, b"too-late"))
        assert (await busy.frame())["event"] == "shutting_down"
        assert (await busy.frame())["ok"]
        assert await late.ended() == b""
    async with LocalBroker(home) as fleet:
        line = await fleet.raw(home.operator_secret)
        for key, duplicate in ((b"in-time", True), (b"too-late", False)):
            await line.send(send % (3, key))
            assert (await line.frame())["result"]["duplicate"] is duplicate


async def test_after_the_stop_nobody_listens_and_a_client_says_what_to_do(home: Home) -> None:
    """DESIGN 2: the socket is gone with the broker."""
    async with LocalBroker(home) as fleet:
        await settled(await fleet.operator())
    client = BrokerClient(home.socket, lambda: "a-token-of-some-fleet", "test")
    with pytest.raises(Unavailable, match="queenpost up"):
        await client.__aenter__()
    assert not home.socket.exists()


async def test_the_socket_of_a_dead_broker_is_taken_over(home: Home) -> None:
    """Ours: what a kill -9 left behind does not keep the next broker out; its mode is private."""
    home.create()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(home.socket))
    async with LocalBroker(home) as fleet:
        await settled(await fleet.operator())
        assert home.socket.stat().st_mode & 0o777 == 0o600


async def test_what_is_no_socket_is_not_taken_over(home: Home) -> None:
    """T41: something else in that place is somebody's; the broker refuses to start."""
    home.create()
    home.socket.write_text("not a socket", encoding="utf-8")
    with pytest.RaisesGroup(Conflict, flatten_subgroups=True):
        async with LocalBroker(home):
            pass
    assert home.socket.read_text(encoding="utf-8") == "not a socket"
