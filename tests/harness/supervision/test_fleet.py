"""Which agents are hosted, and who hears what the broker says."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from harness.supervision.fleet import Fleet
from harness.supervision.keeper import DRAINING
from harness.workspace import Workspace
from tests.harness.conftest import INSTANCE
from tests.harness.supervision.conftest import TOKEN, Play
from wire.agents import AgentsAttach, AgentsAttached
from wire.errors import Denied, Unavailable
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


async def test_mail_that_does_not_wait_interrupts_the_turn_that_runs(play: Play) -> None:
    """[P03] Issue 4.3: its mail goes back uncounted; a turn that has that very message is left alone."""
    box = play.add("alice")
    with anyio.fail_after(10):
        async with hosted(play):
            held = play.office.put("alice", "a long job")
            first = await play.program_of("alice")
            play.office.push("mail_now", "alice", message=held)
            await anyio.wait_all_tasks_blocked()
            assert not first.left.is_set()
            play.office.push("mail_now", "alice", message="m99")
            await first.left.wait()
            again = await play.program_of("alice")
            again.ends()
            await play.office.until(lambda: box.handled == [held])
    assert [close.outcome for close in box.closes] == ["interrupted", "completed"]


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


async def test_a_restart_waits_for_the_turn_that_runs(play: Play) -> None:
    """Issue 4.9: the mail is handled; then there is a new program for the agent, which goes on with its session."""
    box = play.add("alice")
    first = play.office.put("alice")
    with anyio.fail_after(10):
        async with hosted(play):
            session = Workspace(play.house.home, "alice").session_file
            session.write_text("{}")
            program = await play.program_of("alice")
            play.office.wish("alice")
            await anyio.wait_all_tasks_blocked()
            assert not program.left.is_set()
            program.ends()
            second = play.office.put("alice")
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: box.handled == [first, second])
            assert session.exists()
    assert [close.outcome for close in box.closes] == ["completed", "completed"]
    assert len(play.seats["alice"]) == 2


async def test_a_restart_now_ends_the_turn_and_its_mail_comes_again(play: Play) -> None:
    """Issue 4.9: uncounted; `fresh` forgets the session before the next program is started."""
    box = play.add("alice")
    mail = play.office.put("alice")
    with anyio.fail_after(10):
        async with hosted(play):
            session = Workspace(play.house.home, "alice").session_file
            program = await play.program_of("alice")
            program.begins()
            session.write_text("{}")
            play.office.wish("alice", now=True, fresh=True)
            await program.left.wait()
            again = await play.program_of("alice")
            assert not session.exists()
            again.ends()
            await play.office.until(lambda: box.handled == [mail])
    assert [close.outcome for close in box.closes] == ["interrupted", "completed"]
    assert "the operator restarted the agent" in box.closes[0].reason
    assert len(play.seats["alice"]) == 2


async def test_an_idle_agent_is_restarted_at_once_and_another_instance_is_not_meant(play: Play) -> None:
    """Ours: nobody has to wait for mail; what was meant for a harness before us is not for us."""
    play.add("alice")
    with anyio.fail_after(10):
        async with hosted(play):
            await play.office.until(lambda: "turns.open" in play.office.asked)
            play.office.push("agents_changed", "alice", change="restart", instance="another")
            play.office.push("agents_changed", "nobody", change="restart", instance=INSTANCE)
            await anyio.wait_all_tasks_blocked()
            assert len(play.seats["alice"]) == 1
            play.office.wish("alice")
            await play.office.until(lambda: len(play.seats["alice"]) == 2)
            play.office.push("agents_changed", "alice", change="restart", instance=INSTANCE)
            await anyio.wait_all_tasks_blocked()
    assert len(play.seats["alice"]) == 2


async def test_a_restart_that_was_not_heard_is_carried_out_when_there_is_a_link_again(play: Play) -> None:
    """Issue 4.9: what was accepted is done: `--fresh` of the one and `--now` of the other, both lost with the link."""
    box = play.add("alice")
    mail = play.office.put("alice")
    with anyio.fail_after(10):
        async with hosted(play) as fleet:
            session = Workspace(play.house.home, "alice").session_file
            program = await play.program_of("alice")
            session.write_text("{}")
            play.office.wish("alice", fresh=True, heard=False)
            await fleet.on_link(play.office)
            assert not program.left.is_set()
            play.office.wish("alice", now=True, heard=False)
            await fleet.on_link(play.office)
            await program.left.wait()
            again = await play.program_of("alice")
            assert not session.exists()
            again.ends()
            await play.office.until(lambda: box.handled == [mail])
            await fleet.on_link(play.office)
            await anyio.wait_all_tasks_blocked()
    assert [close.outcome for close in box.closes] == ["interrupted", "completed"]
    assert len(play.seats["alice"]) == 2


async def test_a_new_session_that_no_harness_heard_of_is_begun_by_the_next_one_once(play: Play) -> None:
    """Issue 4.9: the harness was killed before; the program it starts is a new one anyway."""
    play.add("alice")
    play.office.wish("alice", fresh=True, heard=False)
    session = Workspace(play.house.home, "alice").session_file
    session.parent.mkdir(parents=True)
    for there in (False, True):
        session.write_text("{}")
        async with hosted(play):
            assert session.exists() is there


async def test_draining_waits_for_the_turns_that_run_and_opens_none(play: Play) -> None:
    """Issue 4.9: mail that waits is left for later, and it is said why; who comes now is not hosted."""
    boxes = {name: play.add(name) for name in ("alice", "bob")}
    first = play.office.put("alice")
    with anyio.fail_after(10):
        async with hosted(play) as fleet, anyio.create_task_group() as tasks:
            program = await play.program_of("alice")
            tasks.start_soon(fleet.drain)
            await play.office.until(lambda: boxes["bob"].reports and boxes["bob"].reports[-1].state == "parked")
            late = [play.office.put(name) for name in boxes]
            carol = play.add("carol")
            play.office.push("agents_changed", "carol", change="added")
            await anyio.wait_all_tasks_blocked()
            assert not program.left.is_set()
            assert not fleet.keepers["alice"].drained.is_set()
            program.ends()
            await fleet.keepers["alice"].drained.wait()
            assert boxes["alice"].handled == [first]
            assert [box.ready[0].id for box in boxes.values()] == late
            assert [box.reports[-1].reason for box in boxes.values()] == [DRAINING] * 2
            assert not carol.connected
            assert play.backends["alice"].started == 1


async def test_draining_does_not_wait_for_whom_it_does_not_hold(play: Play) -> None:
    """Ours: refused, resting, or idle."""
    play.add("alice")
    play.office.refuse(AgentsAttach, Denied("not today"))
    with anyio.fail_after(10):
        async with hosted(play) as fleet:
            await fleet.drain()
            assert fleet.keepers["alice"].drained.is_set()


async def test_draining_can_be_cut_short(play: Play) -> None:
    """Ours: a stop is a stop."""
    box = play.add("alice")
    play.office.put("alice")
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            async with hosted(play) as fleet:
                (await play.program_of("alice")).begins()
                tasks.start_soon(fleet.drain)
                await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert [close.outcome for close in box.closes] == ["stopped"]


# --- the manager goes first -------------------------------------------------------------------------


async def test_the_manager_is_attached_before_anybody_else(play: Play) -> None:
    """[H20]: whatever the order in which they are known; its program was looked at by then."""
    play.add("alice")
    play.add("bob")
    play.add("chief", role="manager")
    with anyio.fail_after(10):
        async with hosted(play) as fleet:
            assert fleet.hosted == ["chief", "alice", "bob"]
            assert list(play.seats) == ["chief", "alice", "bob"]


async def test_the_others_wait_for_a_manager_that_is_held_elsewhere(play: Play) -> None:
    """[H20]: until it is refused, which is soon; then they start."""
    play.add("alice")
    play.add("chief", role="manager")
    await play.office.call(AgentsAttach(agent="chief", instance="another-instance", agent_token=TOKEN), AgentsAttached)
    with anyio.fail_after(10):
        async with hosted(play) as fleet:
            assert fleet.hosted == ["alice"]
            assert "chief" in fleet.refused


async def test_nobody_waits_for_ever_for_the_manager(play: Play) -> None:
    """[H20]: one whose broker answers nothing about it keeps the others up for so long and no longer."""
    play.add("alice")
    play.add("chief", role="manager")
    play.office.refuse(AgentsAttach, *[Unavailable("not now")] * 1000)
    fleet = Fleet(play.house, (), manager_first_s=0.001)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fleet.run)
        with anyio.fail_after(10):
            await play.office.until(lambda: "alice" in fleet.keepers)
        tasks.cancel_scope.cancel()
