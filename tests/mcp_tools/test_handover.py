"""Mail between a tool's return and the wire: written once, or given back once."""

import anyio
import pytest

from mcp_tools.desk import Received
from mcp_tools.handover import REMEMBERED, Place
from tests.fakes.desk import FakeDesk, letter


@pytest.fixture
def desk() -> FakeDesk:
    """Where the mail came from."""
    return FakeDesk()


@pytest.fixture
def place(desk: FakeDesk) -> Place:
    """Where the result goes to."""
    return Place(desk)


def received(number: int) -> Received:
    """Make a result with one message."""
    return Received([letter(number)], 0, "t1", peek=False, note=None)


async def test_bytes_with_the_boundary_are_the_mail(desk: FakeDesk, place: Place) -> None:
    """Ours: other results on the same wire are not."""
    await place.hand_over(1, "aaaa", received(1))
    await place.sent(b'{"id":2,"result":"bbbb"}')
    assert not desk.wrote
    await place.sent(b'{"id":1,"result":"<mail-aaaa>"}')
    await place.sent(b'{"id":1,"result":"<mail-aaaa>"}')
    assert desk.wrote == ["m1"]


async def test_what_is_pending_at_the_end_goes_back(desk: FakeDesk, place: Place) -> None:
    """Spec: it could not be written."""
    await place.hand_over(1, "aaaa", received(1))
    await place.hand_over(2, "bbbb", received(2))
    await place.sent(b"aaaa")
    await place.end()
    await place.end()
    assert (desk.wrote, desk.given_back) == (["m1"], ["m2"])


async def test_mail_that_comes_after_the_end_goes_back(desk: FakeDesk, place: Place) -> None:
    """Spec: its handler ran on while its client had left."""
    await place.end()
    await place.hand_over(1, "aaaa", received(1))
    await place.sent(b"aaaa")
    assert (desk.wrote, desk.given_back) == ([], ["m1"])


@pytest.mark.parametrize("written", [False, True])
async def test_a_withdrawn_call_gives_its_mail_back_once(desk: FakeDesk, place: Place, *, written: bool) -> None:
    """Spec: also if the answer was written meanwhile, for its client drops it."""
    await place.hand_over(1, "aaaa", received(1))
    if written:
        await place.sent(b"aaaa")
    await place.cancelled(2)
    assert not desk.given_back
    await place.cancelled(1)
    await place.cancelled(1)
    await place.end()
    assert desk.given_back == ["m1"]


async def test_a_call_that_is_cancelled_just_then_keeps_nothing(desk: FakeDesk, place: Place) -> None:
    """Spec: cancelled between the desk's answer and ours; the cancellation goes on."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        await place.hand_over(1, "aaaa", received(1))
    assert scope.cancelled_caught
    assert desk.given_back == ["m1"]


async def test_two_results_under_one_id_are_both_looked_after(desk: FakeDesk, place: Place) -> None:
    """Ours: a client that counts badly loses no mail."""
    await place.hand_over(1, "aaaa", received(1))
    await place.hand_over(1, "bbbb", received(2))
    await place.sent(b"aaaa")
    await place.end()
    assert (desk.wrote, desk.given_back) == (["m1"], ["m2"])


async def test_a_long_session_remembers_the_latest_results_only(desk: FakeDesk, place: Place) -> None:
    """Ours: bounded; a cancellation that comes so late means nothing."""
    for number in range(REMEMBERED * 3):
        await place.hand_over(number, f"<{number}>", received(number + 1))
        await place.sent(f"<{number}>".encode())
    await place.cancelled(0)
    assert not desk.given_back
    await place.cancelled(REMEMBERED * 3 - 1)
    assert desk.given_back == [f"m{REMEMBERED * 3}"]
