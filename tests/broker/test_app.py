"""The broker put together: what happens when one of its parts breaks."""

from collections.abc import Iterator, Sequence

import pytest

from broker.store.group import Group
from broker.store.jobs import Batch, Submission
from tests.broker.edge.frames import error_of
from tests.fakes.broker import BrokerProcess, LocalBroker, short_home
from wire.errors import Internal
from wire.home import Home
from wire.inbox import InboxList, InboxListed

pytestmark = pytest.mark.anyio


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


async def test_a_broker_whose_writer_breaks_says_so_and_ends(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: every request is answered, nothing is accepted any more, and the supervisor sees a failure."""
    commit = Group.commit

    def sometimes(group: Group, jobs: Sequence[Submission]) -> Batch:
        if broken:
            raise RuntimeError("a defect in the writer itself")
        return commit(group, jobs)

    broken = False
    monkeypatch.setattr(Group, "commit", sometimes)
    with pytest.RaisesGroup(Internal, flatten_subgroups=True):
        async with LocalBroker(home) as fleet:
            await fleet.add("bob")
            line = await fleet.raw(home.operator_secret)
            broken = True
            answer = await line.ask({"id": 1, "op": "inbox.send", "key": "k", "to": "bob", "body": "x"})
            assert error_of(answer) == (1, "unavailable")
            assert "restart the broker" in answer["error"]["message"]
    monkeypatch.undo()
    async with LocalBroker(home) as fleet:
        assert (await fleet.status()).account.accepted == 0


async def test_a_fleet_is_the_same_after_a_restart(home: Home) -> None:
    """[H01] DESIGN 5.1: agents, tokens, mail, the operator's mailbox and what was paused."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("alice", "bob")
        (alice,) = await fleet.harness("alice", reconnect=False)
        await alice.send("bob", "to bob")
        await alice.send("operator", "to the operator")
        tokens = {path.name: path.read_bytes() for path in (home.secrets / "agents").iterdir()}
        await fleet.terminate()
        await fleet.start()
        status = await fleet.status()
        assert {agent.name: agent.ready for agent in status.agents} == {"alice": 0, "bob": 1}
        assert status.account.lost == 0
        listed = await (await fleet.operator()).call(InboxList(), InboxListed)
        assert [item.body for item in listed.items] == ["to the operator"]
        assert {path.name: path.read_bytes() for path in (home.secrets / "agents").iterdir()} == tokens
        bob = await fleet.worker("bob")
        assert [(mail.body, mail.attempt) for mail in (await bob.opened()).mail] == [("to bob", 1)]
