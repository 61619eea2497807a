"""Attaching, reporting, and what the end of a connection means for mail."""

import pytest

from tests.fakes.broker import HarnessLink, LocalBroker
from tests.scenarios.fleet import RawLine, Worker, until
from wire.agents import AgentsAttached, AgentsChanged, AgentsDetach, AgentsReport
from wire.client import BrokerClient, new_instance
from wire.clock import FakeClock
from wire.errors import Conflict
from wire.home import Home

pytestmark = pytest.mark.anyio


async def bare(fleet: LocalBroker, name: str, instance: str) -> RawLine:
    """Attach an instance on a bare harness connection."""
    line = await fleet.raw(fleet.home.harness_secret)
    attach = fleet.attach_request(name, instance).model_dump(exclude={"id", "as_"})
    assert (await line.ask({"id": 1, **attach}))["ok"]
    return line


# ---- the end of a connection


async def test_a_connection_that_ends_while_it_is_parked_leases_nothing(home: Home) -> None:
    """DESIGN 4, 5.7: the open goes with its connection; the same instance gets the mail on the next one."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line = await bare(fleet, "bob", "instance-1")
        await line.send(b'{"id":2,"op":"turns.open","as":"bob","wait_s":60}\n')
        await until(lambda: bool(fleet.office.parked_opens))
        await line.aclose()
        await until(lambda: not fleet.office.parked_opens)
        sent = await fleet.send("bob")
        assert await fleet.state_of(sent.id) == "queued"
        again = await bare(fleet, "bob", "instance-1")
        opened = await again.ask({"id": 2, "op": "turns.open", "as": "bob", "wait_s": 0})
        assert [(mail["id"], mail["attempt"]) for mail in opened["result"]["turn"]["mail"]] == [(sent.id, 1)]


async def test_a_connection_that_ends_just_after_a_lease_gets_its_turn_again(home: Home) -> None:
    """DESIGN 4: `turns.open` with a turn open under the same epoch returns that turn and its mail again."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        sent = await fleet.send("bob")
        line = await bare(fleet, "bob", "instance-1")
        ours = fleet.end_of("harness")
        with fleet.writer_stopped():
            await line.send(b'{"id":2,"op":"turns.open","as":"bob","wait_s":60}\n')
            await until(lambda: bool(ours.in_flight))
            await line.aclose()
            await until(ours.closed.is_set)
        await fleet.committed()
        assert await fleet.state_of(sent.id) == "in_turn"
        again = await bare(fleet, "bob", "instance-1")
        opened = await again.ask({"id": 2, "op": "turns.open", "as": "bob", "wait_s": 0})
        (mail,) = opened["result"]["turn"]["mail"]
        assert (mail["id"], mail["attempt"]) == (sent.id, 1)


async def test_a_turn_outlives_the_connection_of_its_harness(home: Home) -> None:
    """DESIGN 5.7: epoch and turns belong to the instance; it may close over another connection."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        sent = await fleet.send("bob")
        link = HarnessLink(fleet)
        client = await fleet.entered(fleet.client(home.harness_secret, link=link))
        bob = await attach(fleet, client, "bob", new_instance())
        link.workers["bob"] = bob
        turn = await bob.opened()
        epoch = bob.epoch
        fleet.end_of("harness").transport.abort()
        assert (await bob.close(turn.id)).acked == [sent.id]
        assert bob.epoch == epoch
        assert await fleet.state_of(sent.id) == "handled"


async def attach(fleet: LocalBroker, client: BrokerClient, name: str, instance: str) -> Worker:
    """Attach one agent on a harness client."""
    request = fleet.attach_request(name, instance)
    return Worker(client, name, instance, await client.call(request, AgentsAttached), as_=name)


async def test_the_end_of_an_attended_session_gives_its_mail_back_at_once(home: Home) -> None:
    """DESIGN 5.4: on a unix socket the end of its connection does so, uncounted; the next session need not wait."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        sent = await fleet.send("bob")
        session = await fleet.session("bob")
        assert [mail.id for mail in (await session.take()).mail] == [sent.id]
        fleet.end_of("bob").transport.abort()
        await until(lambda: len(fleet.hub.lines()) == 1)
        await fleet.committed()
        (copy,) = (await fleet.explain(sent.id)).deliveries
        assert (copy.state, copy.failures, copy.restarts) == ("queued", 0, 0)
        following = await fleet.session("bob")
        assert [mail.attempt for mail in (await following.take()).mail] == [2]


async def test_a_second_taker_meets_conflict(home: Home) -> None:
    """DESIGN 5.4, 5.7: one instance at a time, whichever kind came first; nothing is taken from it."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        await fleet.worker("alice")
        await fleet.session("bob")
        with pytest.raises(Conflict) as to_session:
            await fleet.session("alice")
        with pytest.raises(Conflict) as to_harness:
            await fleet.worker("bob")
        assert to_session.value.details["connected"] is True
        assert "attended session" in to_harness.value.message


async def test_a_holder_that_lost_its_connection_is_waited_for(home: Home) -> None:
    """DESIGN 5.7: it lives for 60 s after its connection ended; then another instance gets the agent."""
    clock = FakeClock()
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("bob")
        line = await bare(fleet, "bob", "instance-1")
        await line.aclose()
        await until(lambda: len(fleet.hub.lines()) == 1)
        await fleet.committed()
        clock.advance(59_000)
        with pytest.raises(Conflict) as refused:
            await fleet.worker("bob")
        assert refused.value.details["connected"] is False
        assert refused.value.details["retry_after_ms"] == 1000
        clock.advance(1_000)
        assert (await fleet.worker("bob")).epoch == 2


async def test_an_attach_whose_connection_ends_before_its_commit_holds_nothing(home: Home) -> None:
    """Ours: the session is gone before it began; the agent is free, and nobody is told of it any more."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line = await fleet.raw(home.agent_secret("bob"))
        ours = fleet.end_of("bob")
        with fleet.writer_stopped():
            await line.send(b'{"id":2,"op":"agents.attach","agent":"bob","instance":"instance-1"}\n')
            await until(lambda: bool(ours.in_flight))
            await line.aclose()
            await until(ours.closed.is_set)
        await until(lambda: not ours.in_flight)
        await fleet.committed()
        assert not (await fleet.agent("bob")).attached
        assert not fleet.hub.is_holder("bob", ours)
        assert (await fleet.session("bob")).epoch == 2


async def test_detaching_frees_the_agent_at_once(home: Home) -> None:
    """DESIGN 5.7: the open turn goes back uncounted, the next instance need not wait."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        sent = await fleet.send("bob")
        bob = await fleet.worker("bob")
        await bob.opened()
        detached = await bob.client.call(AgentsDetach(agent="bob"), AgentsChanged)
        assert detached.changed
        (copy,) = (await fleet.explain(sent.id)).deliveries
        assert (copy.state, copy.restarts) == ("queued", 0)
        assert (await fleet.session("bob")).epoch == 2
        again = await bob.client.call(AgentsDetach(agent="bob"), AgentsChanged)
        assert not again.changed


# ---- reports


async def report(worker: Worker, state: str, reason: str = "") -> None:
    """Say what an agent does."""
    request = AgentsReport.model_validate({"state": state, "reason": reason})
    await worker.client.call(request, AgentsChanged, as_=worker.as_)


async def test_what_the_harness_reports_is_shown_until_it_is_gone(home: Home) -> None:
    """DESIGN 5.11: reported state with its reason; forgotten with the connection."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        bob = await fleet.worker("bob")
        await report(bob, "parked", "rate limit until noon")
        shown = await fleet.agent("bob")
        assert (shown.state, shown.reason) == ("parked", "rate limit until noon")
        await bob.client.call(AgentsDetach(agent="bob"), AgentsChanged)
        assert (await fleet.agent("bob")).state == "away"


async def test_a_new_instance_does_not_inherit_the_report_of_the_former(home: Home) -> None:
    """Ours: what the fenced one said of its program says nothing of the new one."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        former = await fleet.worker("bob")
        await report(former, "failed", "it crashed")
        await fleet.worker("bob", takeover=True)
        assert (await fleet.agent("bob")).state == "idle"


async def test_a_fenced_instance_neither_changes_nor_ends_the_report_of_the_present(home: Home) -> None:
    """Ours: neither by what it says, nor by detaching, nor by the end of its connection."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        former = await fleet.worker("bob", reconnect=False)
        former_end = fleet.end_of("harness")
        present = await fleet.worker("bob", takeover=True)
        await report(present, "waiting_permission", "may it delete?")
        await report(former, "failed")
        assert (await fleet.agent("bob")).state == "waiting_permission"
        detached = await former.client.call(AgentsDetach(agent="bob"), AgentsChanged)
        assert not detached.changed
        assert (await fleet.agent("bob")).state == "waiting_permission"
        assert present.epoch == 2
        former_end.transport.abort()
        await until(lambda: former_end not in fleet.hub.lines())
        await fleet.committed()
        assert (await fleet.agent("bob")).state == "waiting_permission"


async def test_the_end_of_a_fenced_connection_does_not_end_the_present_holder(home: Home) -> None:
    """DESIGN 5.7 [P14]: only the holder's own connection counts."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        await fleet.worker("bob", reconnect=False)
        former_end = fleet.end_of("harness")
        present = await fleet.worker("bob", takeover=True)
        sent = await fleet.send("bob")
        turn = await present.opened()
        former_end.transport.abort()
        await until(lambda: former_end not in fleet.hub.lines())
        await fleet.committed()
        assert (await fleet.agent("bob")).attached
        assert (await present.close(turn.id)).acked == [sent.id]


async def test_the_same_instance_on_a_new_connection_outlives_the_end_of_its_old_one(home: Home) -> None:
    """Ours: a harness may be back before the broker has noticed that the first connection is dead."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        old = await bare(fleet, "bob", "instance-1")
        old_end = fleet.end_of("harness")
        new = await bare(fleet, "bob", "instance-1")
        await old.aclose()
        await until(lambda: old_end not in fleet.hub.lines())
        await fleet.committed()
        assert (await fleet.agent("bob")).attached
        assert (await new.ask({"id": 2, "op": "turns.open", "as": "bob", "wait_s": 0}))["ok"]
