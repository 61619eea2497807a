"""What a completed turn may ack: only what the model got."""

from collections.abc import AsyncGenerator, Callable, Coroutine

import anyio
import pytest

from harness.desk import HarnessDesk
from harness.open_turn import OpenTurn
from harness.post import Post
from mcp_tools.desk import Received
from tests.fakes.post_office import Box, PostOffice
from wire.agents import AgentsAttach, AgentsAttached
from wire.errors import Unavailable
from wire.turns import Turn, TurnsGiveBack, TurnsOpen, TurnsOpened, TurnsTake, TurnsTaken

NOTHING_MORE = "nothing more in this turn; end it, you will be woken"


@pytest.fixture
async def box(office: PostOffice) -> Box:
    """Alice, attached."""
    box = office.add("alice")
    await office.call(AgentsAttach(agent="alice", instance="of-the-test"), AgentsAttached)
    return box


@pytest.fixture
async def turn(office: PostOffice, box: Box) -> Turn:
    """An open turn over one message, m1."""
    office.put("alice", "the first")
    opened = await office.call(TurnsOpen(wait_s=0), TurnsOpened, as_="alice")
    assert opened.turn is not None
    return opened.turn


@pytest.fixture
async def desk(office: PostOffice, turn: Turn) -> AsyncGenerator[HarnessDesk]:
    """Alice's desk, while that turn is open."""
    desk = HarnessDesk(Post(office, "alice"), "agent")
    with desk.serving(turn):
        yield desk


def ids(received: Received) -> list[str]:
    """The ids of what was received."""
    return [mail.id for mail in received.mail]


async def test_recv_leases_into_the_open_turn(office: PostOffice, box: Box, desk: HarnessDesk) -> None:
    """Ours: DESIGN 5.3."""
    mail = office.put("alice", "the second")
    received = await desk.recv(maximum=1, wait_s=0, done=None)
    assert ids(received) == [mail]
    assert received.turn == box.turn
    assert not received.peek
    assert [leased.id for leased in box.leased] == ["m1", mail]


async def test_mail_that_was_written_stays_with_the_turn(office: PostOffice, desk: HarnessDesk) -> None:
    """Ours: settling waits for nothing then."""
    office.put("alice", "the second")
    await desk.written(await desk.recv(maximum=1, wait_s=0, done=None))
    assert desk.open
    with anyio.fail_after(1):
        await desk.open.settle()
    assert "turns.give_back" not in office.asked


async def test_mail_whose_result_was_lost_is_ready_at_once(office: PostOffice, box: Box, desk: HarnessDesk) -> None:
    """[H21]: a recv whose result could not be written has handed over nothing."""
    mail = office.put("alice", "the second")
    await desk.give_back(await desk.recv(maximum=1, wait_s=0, done=None))
    assert [ready.id for ready in box.ready] == [mail]


async def test_mail_that_was_never_written_goes_back_before_the_close(
    office: PostOffice, box: Box, desk: HarnessDesk, turn: Turn
) -> None:
    """[H21]: a program that asks for mail and exits without reading it has not handled it."""
    mail = office.put("alice", "the second")
    desk.open = OpenTurn(turn, Post(office, "alice"), writing_s=0)
    await desk.recv(maximum=1, wait_s=0, done=None)
    with anyio.fail_after(10):
        await desk.open.settle()
    assert box.given_back == [mail]


async def test_a_give_back_that_failed_is_done_before_the_close(
    office: PostOffice, box: Box, desk: HarnessDesk, turn: Turn
) -> None:
    """Ours: the broker was away for a moment, and no mail is acked by it."""
    mail = office.put("alice", "the second")
    desk.open = OpenTurn(turn, Post(office, "alice"), writing_s=0)
    received = await desk.recv(maximum=1, wait_s=0, done=None)
    office.refuse(TurnsGiveBack, Unavailable("restarting"), Unavailable("restarting"))
    await desk.give_back(received)
    assert box.given_back == []
    with anyio.fail_after(10):
        await desk.open.settle()
    assert box.given_back == [mail]


async def test_a_withdrawn_recv_returns_what_it_leased_unseen(office: PostOffice, box: Box, desk: HarnessDesk) -> None:
    """[H21]: the client left in the moment in which the broker leased."""
    mail = office.put("alice", "the second")
    office.lose_answers.add(TurnsTake)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recv_into([]), desk, 1, 60.0)
            await office.until(lambda: len(box.leased) == 2)
            tasks.cancel_scope.cancel()
    assert box.given_back == [mail]


async def test_closing_the_turn_ends_its_parked_recv(office: PostOffice, box: Box, desk: HarnessDesk) -> None:
    """Ours: DESIGN 5.3; and what it leased in that very moment goes back."""
    results: list[Received] = []
    assert desk.open
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recv_into(results), desk, 1, 60.0)
            await office.until(lambda: "turns.take" in office.asked)
            office.lose_answers.add(TurnsTake)
            mail = office.put("alice", "too late")
            await office.until(lambda: len(box.leased) == 2)
            await desk.open.settle()
            assert box.given_back == [mail]
    assert results[0].note is not None
    assert results[0].mail == []


async def test_a_turn_that_is_being_closed_takes_no_more(office: PostOffice, box: Box, desk: HarnessDesk) -> None:
    """Ours: what arrives now waits for the next turn."""
    assert desk.open
    desk.open.shut()
    office.put("alice", "the second")
    assert ids(await desk.recv(maximum=1, wait_s=0, done=None)) == []
    assert [leased.id for leased in box.leased] == ["m1"]


async def test_parking_is_bounded_for_the_whole_turn(office: PostOffice, box: Box, turn: Turn) -> None:
    """Ours: 180 s in all, then the model is told to end its turn."""
    open_turn = OpenTurn(turn, Post(office, "alice"), parked_s=0.5)
    with anyio.fail_after(10):
        first = await open_turn.take(1, 0.01)
        second = await open_turn.take(1, 60.0)
        third = await open_turn.take(1, 60.0)
    assert (first.note, second.note, third.note) == (None, NOTHING_MORE, NOTHING_MORE)
    mail = office.put("alice", "still taken, without waiting")
    assert ids(await open_turn.take(1, 60.0)) == [mail]


async def test_outside_a_turn_mail_is_only_shown(office: PostOffice, box: Box) -> None:
    """[H21]: a live MCP server without a turn loop cannot drain an inbox."""
    mail = office.put("alice", "look at me")
    desk = HarnessDesk(Post(office, "alice"), "agent")
    received = await desk.recv(maximum=5, wait_s=0, done=None)
    assert received.peek
    assert received.turn is None
    assert ids(received) == [mail]
    assert [ready.id for ready in box.ready] == [mail]


async def test_a_new_link_returns_mail_that_nobody_waits_for(office: PostOffice, box: Box, desk: HarnessDesk) -> None:
    """Ours: acked with the turn, mail whose answer was lost would be lost itself."""
    mail = office.put("alice", "the answer was lost")
    await office.call(TurnsTake(turn=box.turn), TurnsTaken, as_="alice")
    assert desk.open
    await desk.open.resume(office)
    assert box.given_back == [mail]


async def test_a_recv_that_outlives_its_link_gets_the_mail_of_the_lost_answer(
    office: PostOffice, box: Box, desk: HarnessDesk
) -> None:
    """Ours: the call is repeated under its name; resuming must not take the mail from under it."""
    results: list[Received] = []
    office.lose_answers.add(TurnsTake)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recv_into(results), desk, 1, 60.0)
            await office.until(lambda: "turns.take" in office.asked)
            mail = office.put("alice", "the answer was lost")
            await office.until(lambda: len(box.leased) == 2)
            assert desk.open
            await desk.open.resume(office)
            office.lose_answers.clear()
            office.repeat.set()
            await office.until(lambda: results)
            assert ids(results[0]) == [mail]
    assert box.given_back == []


async def test_a_recv_that_was_not_answered_in_time_is_looked_after(
    office: PostOffice, box: Box, desk: HarnessDesk
) -> None:
    """Ours: whether it leased is not known, so the turn is not closed before it is."""
    mail = office.put("alice", "leased, but never heard of")
    await office.call(TurnsTake(turn=box.turn), TurnsTaken, as_="alice")
    office.refuse(TurnsTake, Unavailable("the broker did not answer within 30 s"))
    with pytest.raises(Unavailable):
        await desk.recv(maximum=1, wait_s=0, done=None)
    assert desk.open
    with anyio.fail_after(10):
        await desk.open.settle()
    assert box.given_back == [mail]


def recv_into(results: list[Received]) -> Callable[..., Coroutine[None, None, None]]:
    """Make a task that receives once."""

    async def recv(desk: HarnessDesk, maximum: int, wait_s: float) -> None:
        results.append(await desk.recv(maximum=maximum, wait_s=wait_s, done=None))

    return recv


async def test_a_turn_that_is_full_does_not_say_that_there_is_more_to_take(office: PostOffice, turn: Turn) -> None:
    """Ours: told of `recv_batch` for mail of the next turn, a model would call it for ever."""
    office.full.add("alice")
    office.put("alice", "for the next turn")
    received = await OpenTurn(turn, Post(office, "alice")).take(1, 0)
    assert (received.note, received.waiting, received.mail) == (NOTHING_MORE, 0, [])
