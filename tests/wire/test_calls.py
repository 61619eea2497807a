"""Calls in flight, without a connection: what goes out is kept in a list, answers are put in by hand."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pydantic_core
import pytest
from anyio.abc import TaskGroup

from wire.calls import MAX_IN_FLIGHT, Calls, LinkLost
from wire.codec import Reply
from wire.errors import Conflict, Internal, Invalid
from wire.fleet import FleetPing, FleetPong, FleetState
from wire.inbox import InboxSend, InboxSent
from wire.model import Result
from wire.turns import TurnsTake, TurnsTaken

pytestmark = pytest.mark.anyio

TAKEN: dict[str, Any] = {"turn": "t1", "mail": [], "waiting": 0}


class Line:
    """The far end of the wire."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.calls = Calls(self._write)
        self.late: list[Result] = []

    def _write(self, frame: bytes) -> None:
        self.frames.append(pydantic_core.from_json(frame))

    async def wait_for(self, count: int) -> None:
        """Wait until so many frames went out."""
        while len(self.frames) < count:
            await anyio.lowlevel.checkpoint()

    async def take(self) -> None:
        """Take mail; a late answer is kept."""
        await self.calls.exchange(TurnsTake(), TurnsTaken, on_late=self.late.append)


@asynccontextmanager
async def running(count: int, call: Callable[[], Any]) -> AsyncGenerator[TaskGroup]:
    """Have calls under way until they are answered."""
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(call)
            yield tasks


async def test_answers_find_their_calls_in_any_order() -> None:
    """DESIGN 4: one multiplexed connection."""
    line = Line()
    got: dict[str, str] = {}

    async def send(to: str) -> None:
        sent = await line.calls.exchange(InboxSend(to=to, body="x", key=to), InboxSent)
        got[to] = sent.id

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, "alice")
            tasks.start_soon(send, "bob")
            await line.wait_for(2)
            for frame in reversed(line.frames):
                line.calls.answer(Reply(frame["id"], {"id": f"m-{frame['to']}", "to": frame["to"]}))
    assert got == {"alice": "m-alice", "bob": "m-bob"}


async def test_a_refusal_is_raised_with_its_details() -> None:
    """DESIGN 4: one tree of errors on both sides of the link."""
    line = Line()
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_answer, line, Reply(1, None, Conflict("taken", holder="other")))
            with pytest.raises(Conflict, match="taken") as caught:
                await line.calls.exchange(FleetPing(), FleetPong)
            assert caught.value.details == {"holder": "other"}


@pytest.mark.parametrize("result", [{}, [], "x", {"server_time_ms": "soon"}])
async def test_an_answer_of_the_wrong_form_is_internal(result: Any) -> None:
    """Ours: the caller gets an error of the one tree, not one of pydantic's."""
    line = Line()
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_answer, line, Reply(1, result))
            with pytest.raises(Internal, match="FleetPong"):
                await line.calls.exchange(FleetPing(), FleetPong)


async def _answer(line: Line, reply: Reply) -> None:
    await line.wait_for(1)
    line.calls.answer(reply)


async def test_a_request_is_paired_with_the_result_of_its_op() -> None:
    """Ours: the type that is asked for is checked against the op table."""
    with pytest.raises(TypeError, match=r"fleet\.ping is answered by FleetPong, not by FleetState"):
        await Line().calls.exchange(FleetPing(), FleetState)


@pytest.mark.parametrize("call_id", [7, None, "1", [1], {}, True, -1])
async def test_an_answer_to_nothing_is_let_go(call_id: Any) -> None:
    """Ours: whatever a broker sends, the connection lives."""
    Line().calls.answer(Reply(call_id, {}))


async def test_a_request_that_fits_no_frame_is_refused_here() -> None:
    """Ours: sent, it would end the connection for all calls, and again after each reconnect."""
    line = Line()
    with pytest.raises(Invalid, match=r"inbox\.send has \d+ bytes"):
        await line.calls.exchange(InboxSend(to="a", body="\x01" * 200_000, key="k"), InboxSent)
    assert line.frames == []


async def test_a_cancelled_call_is_withdrawn() -> None:
    """DESIGN 4: `request.cancel` names the request."""
    line = Line()
    async with running(1, line.take) as tasks:
        await line.wait_for(1)
        tasks.cancel_scope.cancel()
    cancel = line.frames[1]
    assert (cancel["op"], cancel["request"]) == ("request.cancel", line.frames[0]["id"])
    assert cancel["id"] != line.frames[0]["id"]


async def test_the_answer_to_a_cancelled_call_is_handed_over_late() -> None:
    """DESIGN 4 and 5.3: cancel after commit has no effect; the mail that comes all the same is given back."""
    line = Line()
    async with running(1, line.take) as tasks:
        await line.wait_for(1)
        tasks.cancel_scope.cancel()
    line.calls.answer(Reply(line.frames[0]["id"], TAKEN))
    assert line.late == [TurnsTaken(turn="t1", mail=[], waiting=0)]


@pytest.mark.parametrize("answer_first", [True, False])
async def test_an_answer_in_the_same_moment_as_the_cancellation_is_not_lost(answer_first: bool) -> None:
    """DESIGN 5.3: whoever comes first, the mail is given to the caller or handed over late, and once."""
    line = Line()
    returned: list[Result] = []

    async def take() -> None:
        returned.append(await line.calls.exchange(TurnsTake(), TurnsTaken, on_late=line.late.append))

    async with running(1, take) as tasks:
        await line.wait_for(1)
        if not answer_first:
            tasks.cancel_scope.cancel()
        line.calls.answer(Reply(line.frames[0]["id"], TAKEN))
        tasks.cancel_scope.cancel()
    assert returned + line.late == [TurnsTaken(turn="t1", mail=[], waiting=0)]
    assert len(line.frames) == 1


async def test_a_refusal_of_a_cancelled_call_is_let_go() -> None:
    """Ours: nothing was handed out, so there is nothing to give back."""
    line = Line()
    async with running(1, line.take) as tasks:
        await line.wait_for(1)
        tasks.cancel_scope.cancel()
    line.calls.answer(Reply(line.frames[0]["id"], None, Conflict("withdrawn")))
    assert line.late == []


async def test_a_late_answer_that_breaks_its_taker_harms_nobody_else() -> None:
    """Ours: the callback runs between the calls of others."""
    line = Line()

    def broken(result: Result) -> None:
        raise ValueError(result)

    async def take() -> None:
        await line.calls.exchange(TurnsTake(), TurnsTaken, on_late=broken)

    async with running(1, take) as tasks:
        await line.wait_for(1)
        tasks.cancel_scope.cancel()
    line.calls.answer(Reply(line.frames[0]["id"], TAKEN))


async def test_calls_beyond_the_bound_wait_their_turn() -> None:
    """DESIGN 4: in flight at most 1,024 per connection, cancels included."""
    line = Line()
    async with running(MAX_IN_FLIGHT + 2, line.take):
        await line.wait_for(MAX_IN_FLIGHT)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        assert len(line.frames) == MAX_IN_FLIGHT
        line.calls.answer(Reply(line.frames[0]["id"], TAKEN))
        await line.wait_for(MAX_IN_FLIGHT + 1)
        for frame in line.frames[1:]:
            line.calls.answer(Reply(frame["id"], TAKEN))
        await line.wait_for(MAX_IN_FLIGHT + 2)
        line.calls.answer(Reply(line.frames[-1]["id"], TAKEN))


async def test_a_cancelled_call_keeps_its_place_until_it_is_answered() -> None:
    """DESIGN 4: the broker counts it until then."""
    line = Line()
    async with running(MAX_IN_FLIGHT, line.take) as tasks:
        await line.wait_for(MAX_IN_FLIGHT)
        tasks.cancel_scope.cancel()
    async with running(1, line.take):
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        assert len(line.frames) == 2 * MAX_IN_FLIGHT
        line.calls.answer(Reply(line.frames[0]["id"], TAKEN))
        await line.wait_for(2 * MAX_IN_FLIGHT + 1)
        line.calls.answer(Reply(line.frames[-1]["id"], TAKEN))


async def test_a_lost_link_ends_calls_in_flight_and_those_that_wait() -> None:
    """DESIGN 4: what was carried out is not known; nobody hangs."""
    line = Line()
    lost = 0

    async def take() -> None:
        nonlocal lost
        with pytest.raises(LinkLost):
            await line.take()
        lost += 1

    async with running(MAX_IN_FLIGHT + 50, take):
        await line.wait_for(MAX_IN_FLIGHT)
        line.calls.lose()
    assert lost == MAX_IN_FLIGHT + 50
    assert len(line.frames) == MAX_IN_FLIGHT
