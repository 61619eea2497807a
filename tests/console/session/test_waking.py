"""When a session is woken: what the broker says, what the hooks say, and a clock that is moved by hand."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import anyio
import pytest

from console.session.door import Said
from console.session.insisting import GAPS_S
from console.session.waking import Growing, Waker
from tests.fakes.desk import letter
from tests.fakes.link import FakeBroker
from wire.agents import AgentsShown, AgentState, AgentSummary
from wire.client import BrokerClient
from wire.clock import FakeClock
from wire.errors import Denied
from wire.fleet import Push
from wire.home import Home
from wire.inbox import InboxPeeked
from wire.settings import AgentSettings

pytestmark = pytest.mark.anyio

STOP = Said("Stop", "s1", "None", again=True, waits=True)


@dataclass
class Scene:
    """A waker whose broker and bell are scripted."""

    broker: FakeBroker
    clock: FakeClock
    is_ready: bool = True
    deaf: bool = False
    rung: list[int] = field(default_factory=list[int])
    told: list[int] = field(default_factory=list[int])
    news: anyio.Event = field(default_factory=anyio.Event)
    waker: Waker = field(init=False)

    def __post_init__(self) -> None:
        self.waker = Waker("alice", self, self.clock, self.told.append)
        self.waiting(0)
        self.agent("idle")

    async def ring(self, count: int) -> bool:
        """See `console.session.waking.Bell`."""
        self.rung.append(count)
        self.news.set()
        return not self.deaf

    def waiting(self, count: int) -> None:
        """Let so many messages wait."""
        mail = [letter(1, "hello")] if count else []
        self.broker.answers["inbox.peek"] = lambda _: InboxPeeked(mail=mail, waiting=count)

    def agent(self, state: AgentState, *, attached: bool = True) -> None:
        """Let alice be like that."""
        summary = AgentSummary(
            name="alice", role="agent", backend="none", origin="database", state=state, attached=attached
        )
        shown = AgentsShown(agent=summary, settings=AgentSettings(), token_path="/t", token_expected=True)
        self.broker.answers["agents.show"] = lambda _: shown

    def connect(self) -> BrokerClient:
        """Give a client of the scripted broker."""
        return BrokerClient(self.broker.path, lambda: "the-token-of-alice", "session")

    async def looked(self) -> None:
        """Wait for the next look."""
        with anyio.fail_after(15):
            await self.broker.next("inbox.peek")

    async def woke(self) -> None:
        """Wait until it rang."""
        with anyio.fail_after(15):
            await self.news.wait()
        self.news = anyio.Event()


@pytest.fixture
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Scene]:
    """No mail, and one look already done."""
    home = Home(tmp_path_factory.mktemp("q"))
    home.create()
    async with FakeBroker(home.socket) as broker, anyio.create_task_group() as group:
        scene = Scene(broker, FakeClock())
        group.start_soon(scene.waker.run, scene.connect, scene.connect)
        await scene.looked()
        yield scene
        group.cancel_scope.cancel()


async def test_new_mail_rings_once_and_is_noted_for_the_hooks(scene: Scene) -> None:
    """[P02] [P04] One wake, and no other look at it until something stirs."""
    scene.waiting(2)
    scene.waker.stir()
    await scene.woke()
    scene.waker.stir()
    await scene.looked()
    await scene.looked()
    assert (scene.rung, scene.told) == ([2], [2])


async def test_where_nobody_waits_the_next_hook_is_rung(scene: Scene) -> None:
    """Ours: in the middle of a start, or behind a turn that was broken off."""
    scene.is_ready = False
    scene.waiting(1)
    scene.waker.stir()
    await scene.looked()
    assert not scene.rung
    scene.is_ready = True
    scene.waker.heard(STOP)
    await scene.woke()
    assert scene.rung == [1]


async def test_mail_that_the_end_of_a_turn_has_named_waits_for_its_gap(scene: Scene) -> None:
    """[P04] The Stop hook lets the turn go on with it; if it is left lying all the same, it is named later."""
    scene.waiting(1)
    scene.waker.heard(Said("Stop", "s1", "None", again=False, waits=True))
    await scene.looked()
    scene.waker.stir()
    await scene.looked()
    assert not scene.rung
    scene.clock.advance(int(GAPS_S[0] * 1000))
    scene.waker.stir()
    await scene.woke()


async def test_a_new_session_is_told_of_all_that_waits_and_a_compacted_one_is_not(scene: Scene) -> None:
    """[H21] It may be mail that the last one did not finish."""
    scene.waiting(1)
    scene.waker.stir()
    await scene.woke()
    scene.waker.heard(Said("SessionStart", "s1", "compact", again=False, waits=True))
    await scene.looked()
    await scene.looked()
    assert scene.rung == [1]
    scene.waker.heard(Said("SessionStart", "s2", "clear", again=False, waits=True))
    await scene.woke()


async def test_a_program_whose_tools_have_not_started_is_woken_when_they_have(scene: Scene) -> None:
    """Ours: seen with Claude Code: woken too early, its model has no recv."""
    scene.agent("away", attached=False)
    scene.waiting(1)
    scene.waker.stir()
    await scene.looked()
    await scene.looked()
    assert not scene.rung
    scene.agent("idle")
    await scene.woke()


@pytest.mark.parametrize("state", ["paused", "frozen"])
async def test_an_agent_that_may_take_nothing_is_not_woken_before_it_may(scene: Scene, state: AgentState) -> None:
    """[P04] A model call for nothing."""
    scene.agent(state)
    scene.waiting(1)
    scene.waker.stir()
    await scene.looked()
    scene.agent("idle")
    scene.waker.stir()
    await scene.woke()
    assert scene.rung == [1]


async def test_a_bell_that_was_not_heard_is_not_rung_in_a_loop(scene: Scene) -> None:
    """Ours: a Codex without `queue`."""
    scene.deaf = True
    scene.waiting(1)
    scene.waker.stir()
    await scene.woke()
    await scene.looked()
    with anyio.move_on_after(0.2):
        await scene.broker.next("inbox.peek")
    assert scene.rung == [1]


async def test_what_the_broker_says_stirs(scene: Scene) -> None:
    """[P02] Mail that comes, and an agent that may take it again."""
    scene.waiting(1)
    await scene.broker.push(Push(event="mail_waiting", agent="alice"))
    await scene.woke()
    scene.waiting(2)
    await scene.broker.push(Push(event="agents_changed", agent="alice"))
    await scene.woke()
    assert scene.rung == [1, 2]


async def test_a_broker_that_was_lost_is_found_again(scene: Scene) -> None:
    """[P02] With back-off; what came meanwhile is seen at the first look."""
    scene.waiting(1)
    await scene.broker.drop()
    await scene.woke()


async def test_a_refusal_ends_nothing(scene: Scene) -> None:
    """Ours: the user's session goes on, whatever becomes of its mail."""
    scene.broker.answers["inbox.peek"] = lambda _: Denied("no")
    scene.waker.stir()
    await scene.looked()
    scene.waiting(1)
    await scene.woke()


def test_growing_waits_are_bounded() -> None:
    """Ours: a server that never starts costs next to nothing."""
    growing = Growing(0.1, 1.0)
    assert [round(growing.next_s(), 1) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    growing.reset()
    assert growing.next_s() == 0.1
