"""What every backend has in common whose program speaks in lines and may outlive its turns.

A kind brings a program that speaks as the real one does, and the words that make it do what a test wants.
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from harness.backends.choose import backend_for
from harness.backends.protocol import Backend, Began, Ended, NotStartedError, TurnRequest
from harness.warmth import Place, Warmth
from tests.contracts.test_backends import seat
from tests.fakes.processes import alive, fake
from tests.fakes.toolbox import toolbox
from tests.harness.backends.playing import Played
from tests.harness.backends.pty.conftest import BOX
from wire.settings import AgentSettings


@dataclass(frozen=True)
class Kind:
    """One backend with its fake program, and what to tell it."""

    name: str
    program: str
    answers: str = "say hello"
    hangs: str = "say hello\nstuck"
    dies: str = "say hello\ndie 1"
    settings: dict[str, object] = field(default_factory=dict[str, object])


KINDS = (
    Kind("claude", "claude"),
    Kind("codex", "codex"),
    Kind("gemini", "gemini"),
    Kind("pty", "terminal", settings={"pty": BOX}),
)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each in turn."""
    return request.param


MakeBackend = Callable[..., Backend]


@pytest.fixture
async def make(kind: Kind, tmp_path: Path) -> AsyncGenerator[MakeBackend]:
    """Make the backend of this kind; its program can call tools."""

    def backend_with(place: Place | None = None, **settings: object) -> Backend:
        given = {"backend": kind.name, "command": fake(kind.program), **kind.settings, **settings}
        made = AgentSettings.model_validate(given)
        taken = replace(seat(tmp_path, made), mcp_url=tools.url, tools=tools.tools)
        backend = backend_for(taken if place is None else replace(taken, place=place))
        assert backend is not None
        return backend

    async with toolbox() as tools:
        yield backend_with


async def play(backend: Backend, prompt: str) -> tuple[Played, int]:
    """Play a turn; gives the process too."""
    played = Played()
    with anyio.fail_after(15):
        async with backend.run(TurnRequest("t1", prompt)) as program:
            async for event in program.events():
                played.events.append(event)
    return played, program.pid


async def test_a_turn_begins_once_and_ends_once(kind: Kind, make: MakeBackend) -> None:
    """Ours: the end comes last; a session that goes on is remembered."""
    backend = make()
    assert not backend.remembers
    async with backend.open():
        for _ in range(2):
            played, _ = await play(backend, kind.answers)
            assert [type(event) for event in played.events].count(Began) == 1
            assert [type(event) for event in played.events].count(Ended) == 1
            assert played.ended.outcome == "completed"
        assert backend.remembers


async def test_warm_means_one_process_and_cold_one_for_each_turn(kind: Kind, make: MakeBackend) -> None:
    """[H38] And none of either is left when the backend is closed."""
    for warm, processes in ((True, 1), (False, 3)):
        backend, pids = make(warm=warm), list[int]()
        async with backend.open():
            for _ in range(3):
                pids.append((await play(backend, kind.answers))[1])
        assert len(set(pids)) == processes
        assert not any(alive(pid) for pid in pids)


async def test_making_room_ends_it_between_turns_and_the_session_goes_on(kind: Kind, make: MakeBackend) -> None:
    """DESIGN 8: reaped beyond `max_warm`; resumed with its next mail, which says again who the agent is."""
    warmth = Warmth(1)
    place, other = Place(warmth, "alice"), Place(warmth, "bob")
    backend = make(place)
    async with backend.open():
        with place.turn():
            _, first = await play(backend, kind.answers)
        assert backend.remembers
        assert alive(first)
        other.started(lambda: None)
        with place.turn():  # at once, while it may still be ending: two of them would write into one session
            played, second = await play(backend, kind.answers)
            assert not alive(first)
        assert played.ended.outcome == "completed"
        assert first != second
        assert other.reap is None, "it had to go for this one"
        other.started(lambda: None)
        with anyio.fail_after(15):
            while backend.remembers:  # nothing announces it
                await anyio.lowlevel.checkpoint()
        assert not alive(second)


async def test_dying_in_the_middle_is_a_crash_that_had_begun(kind: Kind, make: MakeBackend) -> None:
    """[H38] And the next turn runs in a process of its own."""
    backend = make()
    async with backend.open():
        played, first = await play(backend, kind.dies)
        assert (played.ended.outcome, played.began) == ("crashed", True)
        played, second = await play(backend, kind.answers)
        assert played.ended.outcome == "completed"
    assert first != second


async def test_leaving_a_turn_ends_its_process(kind: Kind, make: MakeBackend) -> None:
    """Ours: whatever it is at; nothing of it speaks into the next turn."""
    backend = make()
    async with backend.open():
        with anyio.fail_after(15):
            async with backend.run(TurnRequest("t1", kind.hangs)) as program:
                async for event in program.events():
                    if isinstance(event, Began):
                        break
        assert not alive(program.pid)
        played, _ = await play(backend, kind.answers)
        assert played.ended.outcome == "completed"


async def test_a_cancelled_turn_leaves_nothing_behind(kind: Kind, make: MakeBackend) -> None:
    """Ours: the harness itself may be told to stop at any moment."""
    backend, pids, began = make(), list[int](), anyio.Event()

    async def turn() -> None:
        async with backend.open(), backend.run(TurnRequest("t1", kind.hangs)) as program:
            pids.append(program.pid)
            async for event in program.events():
                if isinstance(event, Began):
                    began.set()

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(turn)
            await began.wait()
            tasks.cancel_scope.cancel()
    assert not alive(pids[0])


async def test_what_is_not_there_is_said_twice(make: MakeBackend) -> None:
    """Ours: by the probe before the first mail, and by every turn."""
    backend = make(command=["no-such-program"])
    async with backend.open():
        assert (await backend.probe()).problem
        with pytest.raises(NotStartedError, match="no-such-program"):
            await play(backend, "hello")
