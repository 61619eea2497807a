"""Permissions that are left to another agent, through a real broker: who is asked, who decides, what is kept of it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import anyio
import pytest

from harness.backends.protocol import Permission, Permitted
from harness.permissions import PermissionDesk
from harness.post import Post
from harness.reporting import Reporter
from tests.fakes.broker import LocalBroker, short_home
from tests.scenarios.fleet import Worker
from wire.agents import AgentsChanged, AgentsPause
from wire.asks import Ask, AsksAnswer, AsksAnswered, AsksList, AsksListed
from wire.client import BrokerClient, new_key
from wire.finding import AsksExplain, Explained

pytestmark = pytest.mark.anyio

RULES = {"boss": ["Bash(npm test*)"]}
TEST = Permission("Bash", "npm test", None, "npm test", is_command=True)
FORGED = Permission("Bash", "npm test\nrm -rf /", None, "npm test\nrm -rf /", is_command=True)


@dataclass
class Scene:
    """Bob works in a turn, and boss may decide for him."""

    broker: LocalBroker
    operator: BrokerClient
    bob: Worker
    boss: Worker
    desk: PermissionDesk

    async def open_asks(self) -> list[Ask]:
        """Give what waits for an answer."""
        return (await self.operator.call(AsksList(), AsksListed)).asks

    async def until_asked(self, target: str) -> Ask:
        """Wait until somebody is asked."""
        with anyio.fail_after(15):
            while True:
                for ask in await self.open_asks():
                    if ask.target == target:
                        return ask


@pytest.fixture
async def scene() -> AsyncGenerator[Scene]:
    """The fleet."""
    with short_home() as home:
        async with LocalBroker(home) as broker:
            await broker.add("bob")
            await broker.add("boss")
            bob, boss = await broker.worker("bob"), await broker.worker("boss")
            await broker.send("bob")
            await bob.opened()
            post = Post(bob.client, "bob")
            desk = PermissionDesk(post, Reporter(post), "ask", RULES)
            yield Scene(broker, await broker.operator(), bob, boss, desk)


async def decided(scene: Scene, permission: Permission, by: BrokerClient, target: str, answer: str) -> Permitted:
    """Have a permission decided by somebody."""
    found: list[Permitted] = []

    async def ask() -> None:
        found.append(await scene.desk(permission))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            asked = await scene.until_asked(target)
            as_ = scene.boss.as_ if by is scene.boss.client else None
            await by.call(AsksAnswer(key=new_key(), ask=asked.id, answer=answer), AsksAnswered, as_=as_)
    return found[0]


async def test_the_delegate_is_woken_and_decides_and_it_is_kept_who(scene: Scene) -> None:
    """[P06] Its mail is the question; nobody asks the operator; the story of the ask names who decided."""
    assert await decided(scene, TEST, scene.boss.client, "boss", "always") == Permitted(allow=True)
    assert await scene.desk(TEST) == Permitted(allow=True), "exactly this was allowed for always"
    (ask,) = (await scene.operator.call(AsksList(all=True), AsksListed)).asks
    assert (ask.target, ask.answer, ask.answered_by) == ("boss", "always", "boss")
    assert ask.question.startswith("May I use Bash?\nnpm test\n")
    story = await scene.operator.call(AsksExplain(ask=ask.id), Explained)
    assert [step.event for step in story.history] == ["asked", "mailed", "permission.decided", "answered"]
    assert "by agent:boss" in story.history[2].detail


async def test_the_operator_is_asked_where_the_delegate_is_paused(scene: Scene) -> None:
    """[P06] At once, and the question says why."""
    await scene.operator.call(AgentsPause(key=new_key(), agent="boss"), AgentsChanged)
    assert not (await decided(scene, TEST, scene.operator, "operator", "deny")).allow
    told = await scene.operator.call(AsksList(all=True), AsksListed)
    assert [ask.target for ask in told.asks] == ["operator"]
    assert "boss was to decide this, by Bash(npm test*), but it is paused" in told.asks[0].question


async def test_what_hides_behind_a_rule_is_the_operators(scene: Scene) -> None:
    """[P06] A second line is another command; the delegate never hears of it."""
    assert (await decided(scene, FORGED, scene.operator, "operator", "allow")).allow
    story = await scene.operator.call(AsksExplain(ask="a1"), Explained)
    assert [step.event for step in story.history] == ["asked", "ask.answered", "answered"]
