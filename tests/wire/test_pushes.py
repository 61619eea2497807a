"""What the broker says unasked reaches listeners, or they are told that they missed it."""

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream

from wire.fleet import Push
from wire.pushes import BUFFERED, Pushes

pytestmark = pytest.mark.anyio


def mail(agent: str) -> Push:
    """Say that an agent has mail."""
    return Push(event="mail_waiting", agent=agent)


def drained(stream: MemoryObjectReceiveStream[Push]) -> list[Push]:
    """Take all there is."""
    return [stream.receive_nowait() for _ in range(stream.statistics().current_buffer_used)]


async def test_every_listener_gets_every_push() -> None:
    """Ours: several parts of a program may listen."""
    pushes = Pushes()
    with pushes.subscribe() as one, pushes.subscribe() as other:
        pushes.publish(mail("alice"))
        assert drained(one) == drained(other) == [mail("alice")]
        pushes.close()


async def test_a_listener_that_falls_behind_gets_one_gap_and_goes_on_later() -> None:
    """DESIGN 4: bounded; `gap` says that something was missed."""
    pushes = Pushes()
    with pushes.subscribe() as stream:
        for number in range(BUFFERED + 50):
            pushes.publish(mail(f"a{number}"))
        held = drained(stream)
        assert held[:-1] == [mail(f"a{number}") for number in range(BUFFERED - 1)]
        assert held[-1].event == "gap"
        pushes.publish(mail("later"))
        assert drained(stream) == [mail("later")]
        pushes.close()


async def test_a_listener_that_has_gone_is_forgotten() -> None:
    """Ours: closing the stream is all it takes."""
    pushes = Pushes()
    pushes.subscribe().close()
    pushes.publish(mail("alice"))
    pushes.close()


async def test_streams_end_with_their_source() -> None:
    """Ours: a loop over pushes ends when the client is left, after what it still holds."""
    pushes = Pushes()
    with pushes.subscribe() as stream, anyio.fail_after(15):
        pushes.publish(mail("alice"))
        pushes.close()
        assert [push async for push in stream] == [mail("alice")]
