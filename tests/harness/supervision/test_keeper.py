"""One agent's keeper: attaching, restarting, being fenced, coming back."""

import anyio
import pytest

from harness.backends.protocol import Probe
from tests.harness.fake_backend import FakeBackend
from tests.harness.supervision.conftest import Play
from wire.agents import AgentsAttach, AgentsWhoami, Restart
from wire.backoff import Backoff
from wire.errors import Conflict, Denied, Stale, Unavailable
from wire.turns import TurnsResume


def at_once(_: Backoff) -> float:
    """Wait for nothing before the next try."""
    return 0.0


async def test_it_attaches_serves_and_detaches(play: Play) -> None:
    """[P02]: with the token of the agent's file, under this process' instance."""
    box = play.add("alice")
    mail = play.office.put("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: box.handled == [mail])
            assert keeper.held
            assert keeper.settled.is_set()
    assert keeper.done.is_set()
    assert (box.instance, box.connected) == (None, False)


async def test_stopping_ends_the_program_at_once(play: Play) -> None:
    """Ours: closed as stopped, mail back, detached."""
    box = play.add("alice")
    play.office.put("alice")
    with anyio.fail_after(10):
        async with play.kept():
            program = await play.program_of("alice")
            program.begins()
    assert program.left.is_set()
    assert [close.outcome for close in box.closes] == ["stopped"]
    assert len(box.ready) == 1


@pytest.mark.usefixtures("quick")
async def test_a_former_holder_that_may_come_back_is_waited_for(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    """[P14]: not settled meanwhile: nobody is told that the agent is hosted."""
    box = play.add("alice")
    lost = Conflict("a harness lost its connection and may come back", connected=False, retry_after_ms=50)
    play.office.refuse(AgentsAttach, *[lost] * 4)
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            await keeper.settled.wait()
            assert keeper.held
            assert box.connected
    assert play.office.asked.count("agents.attach") == 5


@pytest.mark.usefixtures("quick")
async def test_an_agent_that_is_held_elsewhere_is_refused_and_asked_for_again(play: Play) -> None:
    """Ours: no agent with mail is left asleep when the other harness ends."""
    play.add("alice")
    held = Conflict("a harness works for alice at this moment", connected=True)
    play.office.refuse(AgentsAttach, held, held)
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            await keeper.settled.wait()
            assert keeper.refusal == held.message
            await anyio.wait_all_tasks_blocked()
            await play.office.until(lambda: "turns.open" in play.office.asked)
            assert keeper.held


async def test_a_refused_agent_waits_for_news(play: Play) -> None:
    """Ours: declared again, it is hosted again."""
    box = play.add("alice")
    play.office.refuse(AgentsAttach, Denied("alice is stopped: it left queenpost.toml"))
    mail = play.office.put("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            await keeper.settled.wait()
            assert not keeper.held
            await anyio.wait_all_tasks_blocked()
            assert play.office.asked.count("agents.attach") == 1
            await keeper.refresh()
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: box.handled == [mail])


async def test_without_its_token_file_an_agent_is_refused(play: Play) -> None:
    """Ours: in the words of the broker."""
    play.add("alice", token=False)
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            await keeper.settled.wait()
            assert keeper.refusal == "that is not the token of alice"


async def test_an_agent_without_a_backend_is_not_hosted(play: Play) -> None:
    """Ours: and it is detached, so that a person can take its mail."""
    box = play.add("alice", backend="none", command=[])
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            await keeper.settled.wait()
            assert "nothing is run for it" in (keeper.refusal or "")
            assert box.instance is None


async def test_a_defect_in_the_loop_loses_nothing(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """[H21]: the loop is started again and is given the turn that was open."""
    monkeypatch.setattr(Backoff, "next_s", at_once)
    box = play.add("alice")
    mail = play.office.put("alice")
    play.office.refuse(AgentsWhoami, ValueError("a defect"))  # type: ignore[arg-type]
    with anyio.fail_after(10):
        async with play.kept():
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: box.handled == [mail])
    assert len(play.seats["alice"]) == 2
    assert "failed" in [report.state for report in box.reports]


async def test_a_fenced_agent_is_let_go(play: Play) -> None:
    """[P14]: its program is ended, its turn is not closed, nothing more is asked for until there are news."""
    box = play.add("alice")
    play.office.put("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            program = await play.program_of("alice")
            play.office.take_over("alice")
            keeper.fence("another instance works for alice now")
            await program.left.wait()
            await anyio.wait_all_tasks_blocked()
            asked = len(play.office.asked)
            await anyio.wait_all_tasks_blocked()
            assert len(play.office.asked) == asked
            assert not keeper.held
            assert keeper.refusal == "another instance works for alice now"
            box.instance, box.connected = None, False
            await keeper.refresh()
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: len(box.handled) == 1)
    assert [close.outcome for close in box.closes] == ["completed"]


async def test_being_fenced_is_found_out_without_being_told(play: Play) -> None:
    """[P14]: the next op says so."""
    play.add("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            await play.office.until(lambda: "turns.open" in play.office.asked)
            play.office.take_over("alice")
            await anyio.wait_all_tasks_blocked()
            assert "another instance" in (keeper.refusal or "")


async def test_changed_settings_restart_the_loop_between_turns(play: Play) -> None:
    """Ours: the turn that runs goes on; the next one runs with the new settings."""
    box = play.add("alice")
    first = play.office.put("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            program = await play.program_of("alice")
            box.settings = box.settings.model_copy(update={"args": ["--new"]})
            await keeper.refresh()
            program.ends()
            await play.office.until(lambda: box.handled == [first] and len(play.seats["alice"]) == 2)
            second = play.office.put("alice")
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: box.handled == [first, second])
    assert play.seats["alice"][-1].settings.args == ["--new"]
    assert play.seats["alice"][0].mcp_token != play.seats["alice"][1].mcp_token


class _SlowToProbe(FakeBackend):
    """Its program says its version when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = anyio.Event()
        self.says = anyio.Event()

    async def probe(self) -> Probe:
        """See `Backend`."""
        self.asked.set()
        await self.says.wait()
        return await super().probe()


async def test_news_before_the_loop_runs_are_not_lost(play: Play) -> None:
    """Ours: settings that change, and a restart that is wanted, while the program is only looked at."""
    backend = play.backends["alice"] = _SlowToProbe()
    box = play.add("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            await backend.asked.wait()
            box.settings = box.settings.model_copy(update={"args": ["--new"]})
            box.restart = Restart(number=7)
            await keeper.refresh()
            backend.says.set()
            mail = play.office.put("alice")
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: box.handled == [mail])
    assert [seat.settings.args for seat in play.seats["alice"]] == [[], ["--new"]]
    assert (play.house.home.agent_harness("alice") / "restarted").read_text(encoding="utf-8") == "7\n"


async def test_news_that_a_new_link_brings_before_the_loop_runs_are_not_lost(play: Play) -> None:
    """Ours: what was told while the link was away was told to nobody."""
    backend = play.backends["alice"] = _SlowToProbe()
    box = play.add("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            await backend.asked.wait()
            box.settings = box.settings.model_copy(update={"args": ["--new"]})
            await keeper.on_link(play.office)
            backend.says.set()
            mail = play.office.put("alice")
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: box.handled == [mail])
    assert [seat.settings.args for seat in play.seats["alice"]] == [[], ["--new"]]


async def test_news_without_a_change_restart_nothing(play: Play) -> None:
    """Ours: a pause announces itself too."""
    play.add("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            await play.office.until(lambda: "turns.open" in play.office.asked)
            await keeper.refresh()
            await anyio.wait_all_tasks_blocked()
            assert play.office.asked.count("turns.open") == 1


async def test_a_stalled_loop_is_started_again(play: Play) -> None:
    """[H21]: mail, nobody who waits for it, and the broker says so."""
    box = play.add("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            await play.office.until(lambda: "turns.open" in play.office.asked)
            keeper.restart_loop()
            await play.office.until(lambda: play.office.asked.count("turns.open") == 2)
            mail = play.office.put("alice")
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: box.handled == [mail])


async def test_a_new_link_takes_agent_and_turn_back(play: Play) -> None:
    """[P14]: same instance, same epoch, the program lives on, and its state is told again."""
    box = play.add("alice")
    mail = play.office.put("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            program = await play.program_of("alice")
            await play.office.until(lambda: box.reports)
            box.connected = False
            reports = len(box.reports)
            play.office.asked.clear()
            await keeper.on_link(play.office)
            assert play.office.asked == ["agents.attach", "turns.resume", "agents.report"]
            assert len(box.reports) == reports + 1
            program.ends()
            await play.office.until(lambda: box.handled == [mail])
    assert box.epoch == 1


async def test_a_turn_that_lapsed_meanwhile_is_let_go_and_the_loop_goes_on(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[P14]: its mail comes again, in a new turn."""
    monkeypatch.setattr("harness.turn_loop.FIRST_REST_S", 0.001)
    box = play.add("alice")
    mail = play.office.put("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            program = await play.program_of("alice")
            play.office.lapse("alice")
            await keeper.on_link(play.office)
            await program.left.wait()
            (await play.program_of("alice")).ends()
            await play.office.until(lambda: box.handled == [mail])


async def test_an_agent_that_was_taken_meanwhile_is_let_go(play: Play) -> None:
    """[P14]: the others on the link are attached all the same."""
    play.add("alice")
    play.office.put("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            program = await play.program_of("alice")
            play.office.take_over("alice")
            await keeper.on_link(play.office)
            await program.left.wait()
            await anyio.wait_all_tasks_blocked()
            assert keeper.refusal


@pytest.mark.parametrize("kind", [AgentsAttach, TurnsResume])
async def test_a_broker_that_is_not_ready_gets_another_link(
    play: Play, kind: type[AgentsAttach] | type[TurnsResume]
) -> None:
    """Ours: the client makes the link again; nothing is given up."""
    play.add("alice")
    play.office.put("alice")
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            program = await play.program_of("alice")
            play.office.refuse(kind, Unavailable("starting"))
            with pytest.raises(Unavailable):
                await keeper.on_link(play.office)
            await keeper.on_link(play.office)
            assert keeper.held
            assert not program.left.is_set()


async def test_an_agent_that_is_not_held_is_not_attached_by_a_new_link(play: Play) -> None:
    """Ours: its keeper does that when the time has come."""
    play.add("alice")
    play.office.refuse(AgentsAttach, Stale("removed"))
    with anyio.fail_after(10):
        async with play.kept() as keeper:
            await keeper.settled.wait()
            play.office.asked.clear()
            await keeper.on_link(play.office)
            assert play.office.asked == []
