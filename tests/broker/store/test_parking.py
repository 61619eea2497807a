"""The waiting tickets, and what is kept of those that left."""

from broker.store.parking import Parking
from tests.broker.store.letters import ticket


def test_overdue_tickets_come_in_the_order_of_their_ends() -> None:
    """Ours; each at its own instant, not a millisecond earlier."""
    parking = Parking()
    late, early, never = ticket("anna", 30), ticket("bert", 10), ticket("anna", 99)
    for waiting in (late, early, never):
        parking.add(waiting)
    assert list(parking.take_overdue(9)) == []
    assert list(parking.take_overdue(30)) == [early, late]
    assert parking.by_agent == {"anna": [never]}
    assert parking.next_end_ms() == 99


def test_a_ticket_is_taken_out_once() -> None:
    """Ours: exactly one settlement ever."""
    parking = Parking()
    waiting = ticket("anna", 10)
    parking.add(waiting)
    assert parking.remove(waiting)
    assert not parking.remove(waiting)
    assert list(parking.take_overdue(10)) == []
    assert parking.next_end_ms() is None


def test_the_order_holds_when_those_that_left_are_thrown_away() -> None:
    """Ours: with ends in any order."""
    parking = Parking()
    tickets = [ticket("anna", number * 7919 % 1009) for number in range(1000)]
    for waiting in tickets:
        parking.add(waiting)
    stay = tickets[::10]
    for waiting in set(tickets) - set(stay):
        parking.remove(waiting)
    parking.add(last := ticket("anna", 5000))
    assert list(parking.take_overdue(5000)) == [*sorted(stay, key=lambda waiting: waiting.until_ms), last]


def test_tickets_that_left_take_no_memory_for_long() -> None:
    """Ours: an agent that opens a turn a thousand times a second waits for 180 s each time, on paper."""
    parking = Parking()
    for _ in range(10_000):
        waiting = ticket("anna", 180_000)
        parking.add(waiting)
        parking.remove(waiting)
    assert len(parking._ends) < 100  # pyright: ignore[reportPrivateUsage]  # what nobody else can see
