"""One damaged row: set aside and shown as broken; everything around it goes on."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.fakes.broker import BrokerProcess, short_home
from wire.agents import AgentsChanged, AgentsRemove
from wire.client import new_key
from wire.errors import Denied
from wire.finding import AgentsExplain, Explained
from wire.home import Home
from wire.ids import message_number
from wire.inbox import InboxList, InboxListed, InboxPeek, InboxPeeked

pytestmark = pytest.mark.anyio

DAMAGE = {
    "another text": "UPDATE messages SET body = 'not what was sent' WHERE id = ?",
    "no text at all": "UPDATE messages SET body = CAST(x'48ff80' AS TEXT) WHERE id = ?",
    "an empty text": "UPDATE messages SET body = '' WHERE id = ?",
    "another checksum": "UPDATE messages SET body_sha256 = zeroblob(32) WHERE id = ?",
}


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_message_is_held_and_shown_never_handed_over(home: Home, damage: str) -> None:
    """[H22] [P09] Bad input and misuse: corrupt row; its neighbours are handed over, listings are whole."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        first, broken, last = [await fleet.send("bob", body) for body in ("first", "broken", "last")]
        await fleet.terminate()
        with closing(sqlite3.connect(home.database)) as connection, connection:
            connection.execute(DAMAGE[damage], (message_number(broken.id),))
        await fleet.start()
        bob = await fleet.worker("bob")
        peeked = await bob.client.call(InboxPeek(), InboxPeeked, as_="bob")
        assert [mail.id for mail in peeked.mail] == [first.id, last.id]
        turn = await bob.opened()
        assert [mail.body for mail in turn.mail] == ["first", "last"]
        await bob.close(turn.id)
        operator = await fleet.operator()
        listed = await operator.call(InboxList(agent="bob", all=True), InboxListed)
        shown = {item.id: (item.state, item.broken) for item in listed.items}
        assert shown == {first.id: ("handled", False), broken.id: ("held", True), last.id: ("handled", False)}
        story = await fleet.explain(broken.id)
        assert "broken" in story.body
        assert story.deliveries[0].reason is not None
        assert await bob.open(wait_s=0) is None
        account = (await fleet.status()).account
        assert (account.handled, account.held, account.lost) == (2, 1, 0)


async def test_agents_and_their_story_with_damaged_rows_are_listed(home: Home) -> None:
    """[H22] [P09] Bad input: a broker starts on them, shows what is broken, lets it do nothing, and goes on."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("alice", "bob")
        await fleet.terminate()
        with closing(sqlite3.connect(home.database)) as connection, connection:
            connection.execute("UPDATE agents SET settings = '{not json' WHERE name = 'bob'")
            connection.execute("UPDATE audit SET detail = '{not json'")
            connection.execute("UPDATE fleet SET limits = '{not json', retention = '[]'")
        await fleet.start()
        agents = {agent.name: agent for agent in (await fleet.status()).agents}
        assert (agents["alice"].state, agents["bob"].state) == ("away", "failed")
        assert "its stored settings are broken; mail collects" in agents["bob"].reason
        operator = await fleet.operator()
        for name in agents:
            story = await operator.call(AgentsExplain(agent=name), Explained)
            assert [step.detail for step in story.history] == ["by operator [broken: the stored detail cannot be read]"]
        sent = await fleet.send("bob", "kept")
        with pytest.raises(Denied, match="the stored settings of bob are broken"):
            await fleet.session("bob")
        assert await fleet.state_of(sent.id) == "queued"
        await operator.call(AgentsRemove(key=new_key(), agent="bob"), AgentsChanged)
        await fleet.add("bob")
        assert (await fleet.agent("bob")).state == "away"
