"""A reply that is lost on the way: asking again is safe, whatever was asked."""

import json
from collections.abc import Iterator

import anyio
import pytest

from tests.fakes.broker import BrokerProcess, short_home
from tests.scenarios.fleet import RawLine
from wire.errors import Conflict, Stale
from wire.home import Home
from wire.ids import message_number

pytestmark = pytest.mark.anyio


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


async def attached(fleet: BrokerProcess, name: str, instance: str) -> RawLine:
    """Attach an instance on a bare line."""
    line = await fleet.raw(fleet.home.harness_secret)
    request = fleet.attach_request(name, instance).model_dump(exclude={"id", "as_"})
    assert (await line.ask({"id": 1, **request}))["ok"]
    return line


async def test_a_send_whose_reply_was_lost_is_sent_again_and_arrives_once(home: Home) -> None:
    """[Z1] DESIGN 4 Retries, 5.1: the second answer is the first one, marked as a duplicate."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("alice", "bob")
        frame = {"id": 2, "op": "inbox.send", "as": "alice", "key": "the-key", "to": "bob", "body": "once"}
        for _ in range(3):
            line = await attached(fleet, "alice", "instance-1")
            await line.send(json.dumps(frame).encode() + b"\n")
            await line.aclose()  # the reply is on its way, to nobody
        line = await attached(fleet, "alice", "instance-1")
        receipt = (await line.ask(frame))["result"]
        assert receipt["duplicate"] is True
        bob = await fleet.worker("bob")
        assert [mail.id for mail in (await bob.opened()).mail] == [receipt["id"]]
        assert (await fleet.status()).account.accepted == 1


async def test_a_send_that_meets_a_kill_arrives_once(home: Home) -> None:
    """[Z1] [P01]: 64 sends in flight when the broker dies; the client asks again by itself, with the same keys."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("alice", "bob")
        operator = await fleet.operator()
        assert operator.welcome
        ids: list[str] = []

        async def send(number: int) -> None:
            ids.append((await fleet.send("bob", str(number), key=f"key-{number}")).id)

        async with anyio.create_task_group() as group:
            for number in range(64):
                group.start_soon(send, number)
            await fleet.restart()
        assert len(ids) == len(set(ids)) == 64
        assert (await fleet.status()).account.accepted == 64
        assert max(message_number(each) for each in ids) == 64


async def test_the_same_key_for_something_else_is_a_conflict(home: Home) -> None:
    """DESIGN 5.1: nothing is stored, and the first message is as it was; also after a restart."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("alice", "bob")
        alice = await fleet.worker("alice")
        first = await alice.send("bob", "one thing", key="the-key")
        for _ in range(2):
            for to, body in (("bob", "another thing"), ("operator", "one thing")):
                with pytest.raises(Conflict, match=first.id):
                    await alice.send(to, body, key="the-key")
            assert (await alice.send("bob", "one thing", key="the-key")).id == first.id
            await fleet.restart()
        assert (await fleet.status()).account.accepted == 1


async def test_a_close_whose_reply_was_lost_may_be_repeated(home: Home) -> None:
    """DESIGN 4: idempotent by turn id; the same outcome gives the same result, another one is refused."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        sent = await fleet.send("bob")
        bob = await fleet.worker("bob")
        turn = await bob.opened()
        first = await bob.close(turn.id)
        await fleet.restart()
        assert (await bob.close(turn.id)).acked == first.acked == [sent.id]
        with pytest.raises(Stale):
            await bob.close(turn.id, "interrupted")
        assert await fleet.state_of(sent.id) == "handled"


async def test_an_open_whose_reply_was_lost_gives_the_same_turn_again(home: Home) -> None:
    """DESIGN 4: under one epoch, a turn is opened once; its mail counts as one attempt."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        sent = await fleet.send("bob")
        seen: set[str] = set()
        for kills in range(3):
            line = await attached(fleet, "bob", "instance-1")
            opened = await line.ask({"id": 2, "op": "turns.open", "as": "bob", "wait_s": 0})
            turn = opened["result"]["turn"]
            seen.add(turn["id"])
            assert [(mail["id"], mail["attempt"]) for mail in turn["mail"]] == [(sent.id, 1)]
            if kills:
                await fleet.restart()
            else:
                await line.aclose()
        assert len(seen) == 1
