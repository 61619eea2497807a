"""Which agents are hosted, and who hears what the broker says."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from harness.supervision.fleet import Fleet
from tests.harness.conftest import INSTANCE
from tests.harness.supervision.conftest import Play
from wire.agents import AgentsAttach
from wire.errors import Denied
from wire.freeze_file import change_frozen


@asynccontextmanager
async def hosted(play: Play, *names: str) -> AsyncGenerator[Fleet]:
    """Host agents while the body runs."""
    fleet = Fleet(play.house, names)
    async with anyio.create_task_group() as tasks:
        await tasks.start(fleet.run)
        yield fleet
        await fleet.stop()
        tasks.cancel_scope.cancel()


async def test_without_names_everybody_with_a_backend_is_hosted(play: Play) -> None:
    """Ours: DESIGN 10."""
    for name in ("manager", "alice"):
        play.add(name)
    play.add("person", backend="none", command=[])
    with anyio.fail_after(10):
        async with hosted(play) as fleet:
            assert fleet.hosted == ["manager", "alice"]
            assert not fleet.nobody


async def test_with_names_only_those_are(play: Play) -> None:
    """Ours: the others belong to another process."""
    play.add("alice")
    play.add("bob")
    with anyio.fail_after(10):
        async with hosted(play, "bob") as fleet:
            assert fleet.hosted == ["bob"]
            play.add("carol")
            play.office.push("agents_changed", "carol", change="added")
            await anyio.wait_all_tasks_blocked()
            assert fleet.hosted == ["bob"]


async def test_an_empty_fleet_waits_for_its_first_agent(play: Play) -> None:
    """Ours: `up` of a new fleet stays up."""
    with anyio.fail_after(10):
        async with hosted(play) as fleet:
            assert not fleet.nobody
            box = play.add("alice")
            play.office.push("agents_changed", "alice", change="added")
            await play.office.until(lambda: box.connected)
            assert fleet.hosted == ["alice"]


async def test_nobody_hosted_is_known(play: Play) -> None:
    """Ours: then the process has nothing to do."""
    with anyio.fail_after(10):
        async with hosted(play, "nosuch") as fleet:
            assert fleet.nobody
            assert "no agent 'nosuch'" in fleet.refused["nosuch"]


async def test_without_names_being_refused_is_no_reason_to_end(play: Play) -> None:
    """Ours: they may become free, and others may come."""
    play.add("alice")
    play.office.refuse(AgentsAttach, Denied("not today"))
    with anyio.fail_after(10):
        async with hosted(play) as fleet:
            assert not fleet.nobody
            assert fleet.refused == {"alice": "not today"}


async def test_one_agents_trouble_is_not_the_others(play: Play) -> None:
    """Ours: refused, fenced or crashing: the others are served."""
    play.add("alice")
    box = play.add("bob")
    play.office.refuse(AgentsAttach, Denied("not today"))
    with anyio.fail_after(10):
        async with hosted(play) as fleet:
            assert fleet.hosted == ["bob"]
            mail = play.office.put("bob")
            (await play.program_of("bob")).ends()
            await play.office.until(lambda: box.handled == [mail])


async def test_only_the_revoked_instance_lets_go(play: Play) -> None:
    """[P14]: a push that is meant for an earlier instance is not for us."""
    play.add("alice")
    with anyio.fail_after(10):
        async with hosted(play) as fleet:
            play.office.push("turn_revoked", "alice", instance="another")
            await anyio.wait_all_tasks_blocked()
            assert fleet.hosted == ["alice"]
            play.office.push("turn_revoked", "alice", instance=INSTANCE)
            await anyio.wait_all_tasks_blocked()
            assert fleet.hosted == []


async def test_a_stalled_agent_is_woken(play: Play) -> None:
    """[H21]: the push restarts its loop."""
    play.add("alice")
    with anyio.fail_after(10):
        async with hosted(play):
            await play.office.until(lambda: "turns.open" in play.office.asked)
            play.office.push("wake_stalled", "alice")
            await play.office.until(lambda: play.office.asked.count("turns.open") == 2)


async def test_after_a_gap_it_looks_for_itself(play: Play) -> None:
    """Ours: pushes may be missed; an agent that was added meanwhile is hosted."""
    play.add("alice")
    with anyio.fail_after(10):
        async with hosted(play) as fleet:
            box = play.add("bob")
            play.office.push("gap")
            await play.office.until(lambda: box.connected)
            play.office.push("shutting_down")
            play.office.push("agents_changed", "nobody", change="removed")
            await anyio.wait_all_tasks_blocked()
            assert fleet.hosted == ["alice", "bob"]


async def test_all_are_stopped_together(play: Play) -> None:
    """Ours: every turn closed as stopped, every agent detached."""
    boxes = [play.add(name) for name in ("alice", "bob", "carol")]
    for box in boxes:
        play.office.put(box.name)
    with anyio.fail_after(10):
        async with hosted(play):
            for box in boxes:
                (await play.program_of(box.name)).begins()
    assert [box.closes[0].outcome for box in boxes] == ["stopped"] * 3
    assert not any(box.connected for box in boxes)


async def test_a_new_link_is_announced_to_every_keeper(play: Play) -> None:
    """Ours: attached again before anything else is sent."""
    boxes = [play.add(name) for name in ("alice", "bob")]
    with anyio.fail_after(10):
        async with hosted(play) as fleet:
            for box in boxes:
                box.connected = False
            await fleet.on_link(play.office)
            assert all(box.connected for box in boxes)


async def test_the_broker_stops_the_turn_of_a_frozen_agent(play: Play) -> None:
    """[P15] DESIGN 5.18: the turn that it names and no other; the agent stays hosted and goes on."""
    box = play.add("alice")
    play.office.put("alice")
    with anyio.fail_after(10):
        async with hosted(play) as fleet:
            program = await play.program_of("alice")
            play.office.push("turn_revoked", "alice", instance=INSTANCE, turn="t99", frozen=True)
            play.office.push("turn_revoked", "nobody", instance=INSTANCE, turn="t1", frozen=True)
            await anyio.wait_all_tasks_blocked()
            assert not program.left.is_set()
            play.office.push("turn_revoked", "alice", instance=INSTANCE, turn=box.turn, frozen=True)
            await program.left.wait()
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: box.handled)
            assert fleet.hosted == ["alice"]
    assert [close.outcome for close in box.closes] == ["stopped", "completed"]


async def test_the_file_stops_who_is_frozen_and_nobody_else(play: Play) -> None:
    """[P15] DESIGN 5.18: without a word of the broker; behind the thaw the mail is handled."""
    boxes = {name: play.add(name) for name in ("alice", "bob")}
    for name in boxes:
        play.office.put(name)
    frozen = play.house.home.frozen
    with anyio.fail_after(10):
        async with hosted(play) as fleet:
            alice, bob = [await play.program_of(name) for name in boxes]
            change_frozen(frozen, lambda now: now.and_also(["alice"]))
            await alice.left.wait()
            bob.ends()
            await play.office.until(lambda: boxes["bob"].handled)
            change_frozen(frozen, lambda now: now.without([]))
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: boxes["alice"].handled)
            assert fleet.hosted == ["alice", "bob"]
    assert [close.outcome for close in boxes["alice"].closes] == ["stopped", "completed"]
