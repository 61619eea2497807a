"""The fake post office and the real broker, held to the same rules: those that the turn loop leans on."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import pytest

from harness.post import Counter
from tests.fakes.broker import LocalBroker, short_home
from tests.fakes.post_office import PostOffice
from wire.agents import AgentsAttach, AgentsAttached, AgentsChanged, AgentsDetach, AgentsWho, AgentsWhoami
from wire.errors import Closed, Conflict, Denied, Stale, Unknown
from wire.inbox import InboxPeek, InboxPeeked
from wire.model import Request, Result
from wire.settings import AgentSettings
from wire.turns import (
    Turn,
    TurnsClose,
    TurnsClosed,
    TurnsGiveBack,
    TurnsGivenBack,
    TurnsOpen,
    TurnsOpened,
    TurnsRenew,
    TurnsRenewed,
    TurnsResume,
    TurnsTake,
    TurnsTaken,
)

R = TypeVar("R", bound=Result)


@dataclass
class Side:
    """One of the two, with the agent alice."""

    counter: Counter
    put: Callable[[str], Awaitable[str]]
    """Let mail for alice arrive; gives its id."""
    token: str | None

    async def attach(self, instance: str = "instance-one", *, takeover: bool = False) -> AgentsAttached:
        """Attach alice."""
        request = AgentsAttach(agent="alice", instance=instance, agent_token=self.token, takeover=takeover)
        return await self.counter.call(request, AgentsAttached)

    async def ask(self, request: Request, result: type[R]) -> R:
        """Ask as alice."""
        return await self.counter.call(request, result, as_="alice")

    async def open(self) -> Turn:
        """Open a turn over what is there."""
        opened = await self.ask(TurnsOpen(wait_s=0), TurnsOpened)
        assert opened.turn
        return opened.turn


SETTINGS = AgentSettings(backend="command", command=["true"], batch_max=2)


@pytest.fixture(params=["fake", "real"])
async def side(request: pytest.FixtureRequest, office: PostOffice) -> AsyncGenerator[Side]:
    """Each test runs against both."""
    if request.param == "fake":
        office.add("alice", SETTINGS)

        async def put(body: str) -> str:
            return office.put("alice", body)

        yield Side(office, put, None)
        return
    with short_home() as home:
        async with LocalBroker(home) as broker:
            await broker.add("alice", **SETTINGS.model_dump())
            client = await broker.entered(broker.client(home.harness_secret))

            async def send(body: str) -> str:
                return (await broker.send("alice", body)).id

            yield Side(client, send, broker.token(home.agent_secret("alice")))


def ids(turn: Turn | TurnsTaken) -> list[str]:
    """The ids of its mail."""
    return [mail.id for mail in turn.mail]


async def test_the_same_instance_keeps_its_epoch_and_its_turn(side: Side) -> None:
    """Ours: attaching is repeated on every new link."""
    first = await side.attach()
    mail = await side.put("one")
    turn = await side.open()
    again = await side.attach()
    assert (again.epoch, again.open_turn) == (first.epoch, turn.id)
    assert ids(await side.open()) == [mail]
    assert (await side.open()).id == turn.id


async def test_another_instance_is_refused_or_takes_over(side: Side) -> None:
    """Ours: and then what was open goes back."""
    first = await side.attach()
    mail = await side.put("one")
    await side.open()
    with pytest.raises(Conflict) as caught:
        await side.attach("instance-two")
    assert caught.value.details["connected"] is True
    second = await side.attach("instance-two", takeover=True)
    assert second.epoch > first.epoch
    turn = await side.open()
    assert [(message.id, message.attempt) for message in turn.mail] == [(mail, 2)]


async def test_unknown_agents_and_wrong_tokens(side: Side) -> None:
    """Ours: each in its own words."""
    with pytest.raises(Unknown):
        await side.counter.call(AgentsAttach(agent="nobody", instance="instance-one"), AgentsAttached)
    wrong = AgentsAttach(agent="alice", instance="instance-one", agent_token="x" * 32)
    with pytest.raises(Denied):
        await side.counter.call(wrong, AgentsAttached)
    with pytest.raises(Denied):
        await side.open()


async def test_a_parked_open_returns_with_the_mail(side: Side) -> None:
    """Ours: and an open that finds nothing returns without a turn."""
    await side.attach()
    assert (await side.ask(TurnsOpen(wait_s=0), TurnsOpened)).turn is None
    opened: list[TurnsOpened] = []
    mails: list[str] = []

    async def open_() -> None:
        opened.append(await side.ask(TurnsOpen(wait_s=30), TurnsOpened))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_)
            await side.ask(AgentsWhoami(), AgentsWho)
            mails.append(await side.put("wake up"))
    assert opened[0].turn
    assert ids(opened[0].turn) == mails


async def test_batch_take_and_what_still_waits(side: Side) -> None:
    """Ours: oldest first, counted behind what was handed over."""
    await side.attach()
    mail = [await side.put(str(number)) for number in range(4)]
    turn = await side.open()
    assert (ids(turn), turn.waiting) == (mail[:2], 2)
    taken = await side.ask(TurnsTake(turn=turn.id), TurnsTaken)
    assert (ids(taken), taken.waiting) == (mail[2:3], 1)
    peeked = await side.ask(InboxPeek(), InboxPeeked)
    assert [message.id for message in peeked.mail] == mail[3:]


async def test_a_take_is_repeated_under_its_name(side: Side) -> None:
    """Ours: its first answer may have been lost."""
    await side.attach()
    mail = [await side.put(str(number)) for number in range(4)]
    turn = await side.open()
    for _ in range(2):
        assert ids(await side.ask(TurnsTake(turn=turn.id, call="call-1"), TurnsTaken)) == mail[2:3]
    assert ids(await side.ask(TurnsTake(turn=turn.id, call="call-2"), TurnsTaken)) == mail[3:]


async def test_what_is_given_back_is_ready_and_known_to_be_again(side: Side) -> None:
    """Ours: it may be taken again in the same turn."""
    await side.attach()
    mail = await side.put("one")
    turn = await side.open()
    back = await side.ask(TurnsGiveBack(turn=turn.id, ids=[mail, "m999"]), TurnsGivenBack)
    assert back.ids == [mail]
    taken = await side.ask(TurnsTake(turn=turn.id), TurnsTaken)
    assert [(message.id, message.attempt) for message in taken.mail] == [(mail, 2)]


async def test_resuming_gives_all_that_is_leased(side: Side) -> None:
    """Ours: by this the harness finds mail whose answer was lost."""
    await side.attach()
    mail = [await side.put(str(number)) for number in range(3)]
    turn = await side.open()
    await side.ask(TurnsTake(turn=turn.id), TurnsTaken)
    resumed = await side.ask(TurnsResume(turn=turn.id), TurnsOpened)
    assert resumed.turn
    assert sorted(ids(resumed.turn)) == sorted(mail)


async def test_a_completed_turn_handles_its_mail_and_another_does_not(side: Side) -> None:
    """Ours: what is not handled comes again."""
    await side.attach()
    mail = await side.put("one")
    turn = await side.open()
    await side.ask(TurnsClose(turn=turn.id, outcome="interrupted"), TurnsClosed)
    again = await side.open()
    assert [(message.id, message.attempt) for message in again.mail] == [(mail, 2)]
    await side.ask(TurnsClose(turn=again.id, outcome="completed"), TurnsClosed)
    assert (await side.ask(TurnsOpen(wait_s=0), TurnsOpened)).turn is None


async def test_carried_mail_moves_to_the_next_turn(side: Side) -> None:
    """Ours: in the same transaction, attempt unchanged."""
    await side.attach()
    mail = [await side.put(str(number)) for number in range(2)]
    turn = await side.open()
    closed = await side.ask(TurnsClose(turn=turn.id, outcome="completed", carry=mail[1:]), TurnsClosed)
    assert closed.next
    assert closed.next.carried
    assert [(message.id, message.attempt) for message in closed.next.mail] == [(mail[1], 1)]
    assert (await side.open()).id == closed.next.id


async def test_a_turn_that_has_ended_is_stale(side: Side) -> None:
    """Ours: renewing and resuming say so, taking says that it is closed."""
    await side.attach()
    await side.put("one")
    turn = await side.open()
    await side.ask(TurnsRenew(turn=turn.id, begun=True), TurnsRenewed)
    await side.ask(TurnsClose(turn=turn.id, outcome="interrupted"), TurnsClosed)
    for request, result in (
        (TurnsRenew(turn=turn.id), TurnsRenewed),
        (TurnsResume(turn=turn.id), TurnsOpened),
    ):
        with pytest.raises(Stale):
            await side.ask(request, result)
    with pytest.raises(Closed):
        await side.ask(TurnsTake(turn=turn.id), TurnsTaken)


async def test_a_detached_agent_is_free(side: Side) -> None:
    """Ours: its turn goes back, the next instance need not wait."""
    await side.attach()
    mail = await side.put("one")
    await side.open()
    await side.counter.call(AgentsDetach(agent="alice"), AgentsChanged)
    await side.attach("instance-two")
    assert ids(await side.open()) == [mail]
