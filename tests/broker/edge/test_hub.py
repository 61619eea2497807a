"""Who is told what, unasked."""

import anyio
import pytest

from tests.broker.edge.frames import events
from tests.fakes.broker import LocalBroker
from tests.scenarios.fleet import RawLine, settled
from wire.agents import AgentsChanged, AgentsPause
from wire.clock import FakeClock
from wire.home import Home

pytestmark = pytest.mark.anyio


async def attached_line(fleet: LocalBroker, *names: str, takeover: bool = False) -> RawLine:
    """Attach agents on one bare harness connection, each by an instance of this connection."""
    line = await fleet.raw(fleet.home.harness_secret)
    for name in names:
        request = fleet.attach_request(name, f"instance-{id(line)}-{name}", takeover=takeover)
        assert (await line.ask({"id": 1, **request.model_dump(exclude={"id", "as_"})}))["ok"]
    await events(line)
    return line


async def test_mail_waiting_goes_to_the_agents_own_connections(home: Home) -> None:
    """DESIGN 5.4: an attended client that waits for `mail_waiting` needs only its token; nobody else is told."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        bobs = [await fleet.raw(home.agent_secret("bob")) for _ in range(2)]
        others = [
            await fleet.raw(home.agent_secret("alice")),
            await fleet.raw(home.operator_secret),
            await attached_line(fleet, "alice", "bob"),
        ]
        for line in (*bobs, *others):
            await events(line)
        await fleet.send("bob")
        for line in bobs:
            assert ("mail_waiting", "bob") in await events(line)
        for line in others:
            assert await events(line) == []


async def test_turn_revoked_goes_to_the_instance_that_was_fenced(home: Home) -> None:
    """DESIGN 5.7: the former holder is told at once; whoever else listens is not."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        former = await attached_line(fleet, "alice", "bob")
        other = await attached_line(fleet)
        present = await attached_line(fleet, "bob", takeover=True)
        own = await fleet.raw(home.agent_secret("bob"))
        operator = await fleet.raw(home.operator_secret)
        assert await events(former) == [("turn_revoked", "bob")]
        for line in (other, present, own, operator):
            assert await events(line) == []


async def test_agents_changed_goes_to_operators_harnesses_and_the_agent_itself(home: Home) -> None:
    """DESIGN 10: the push announces applied settings; an agent hears nothing of its peers."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        lines = {
            "operator": await fleet.raw(home.operator_secret),
            "harness": await attached_line(fleet, "alice"),
            "alice": await fleet.raw(home.agent_secret("alice")),
            "bob": await fleet.raw(home.agent_secret("bob")),
        }
        operator = await fleet.operator()
        await operator.call(AgentsPause(key="k", agent="bob"), AgentsChanged)
        told = {name: [event for event, _ in await events(line)] for name, line in lines.items()}
        assert told["operator"] == told["harness"] == ["agents_changed"]
        assert told["bob"].count("agents_changed") == 1
        assert told["alice"] == []


async def test_wake_stalled_goes_to_the_holder_and_only_after_5_s(home: Home) -> None:
    """[H21] DESIGN 5.11: eligible mail for 5 s, attached, no open turn, no parked open: the holder is pushed."""
    clock = FakeClock()
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("alice", "bob", backend="scripted", script="echo")
        holder = await attached_line(fleet, "bob")
        other = await attached_line(fleet, "alice")
        operator = await fleet.raw(home.operator_secret)
        await fleet.send("bob")
        for milliseconds, told in ((0, []), (4_900, []), (200, [("wake_stalled", "bob")]), (100, [])):
            clock.advance(milliseconds)
            await fleet.keeper.round()
            assert await events(holder) == told
        clock.advance(5_000)
        await fleet.keeper.round()
        assert await events(holder) == [("wake_stalled", "bob")]
        for line in (other, operator):
            assert await events(line) == []


async def test_an_agent_that_waits_or_works_is_not_stalled(home: Home) -> None:
    """DESIGN 5.11: a parked open, an open turn and a pause are reasons to have mail and be left alone."""
    clock = FakeClock()
    async with LocalBroker(home, clock=clock) as fleet:
        await fleet.add("alice", "bob", "carol")
        alice, bob, carol = await fleet.harness("alice", "bob", "carol")
        pushes = alice.client.pushes()
        for name in ("alice", "bob", "carol"):
            await fleet.send(name)
        turn = await alice.opened()
        operator = await fleet.operator()
        await operator.call(AgentsPause(key="k", agent="bob"), AgentsChanged)
        async with anyio.create_task_group() as group:
            await carol.close((await carol.opened()).id, "crashed")  # its mail backs off for 1 s
            group.start_soon(carol.open)
            await settled(carol.client)
            for _ in range(4):
                clock.advance(4_000)
                await fleet.keeper.round()
            group.cancel_scope.cancel()
        await alice.close(turn.id)
        await settled(bob.client)
        told = [pushes.receive_nowait().event for _ in range(pushes.statistics().current_buffer_used)]
        assert "wake_stalled" not in told
        pushes.close()


async def test_everybody_is_told_that_the_broker_stops(home: Home) -> None:
    """DESIGN 4: `shutting_down` goes to every connection, before it is closed."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice")
        secrets = (home.operator_secret, home.harness_secret, home.agent_secret("alice"))
        lines = [await fleet.raw(secret) for secret in secrets]
        fleet.stop()
        for line in lines:
            assert (await line.frame()) == {"event": "shutting_down", "data": {}}
            assert await line.ended() == b""
