"""The replay window: each number once, whatever the order."""

from hypothesis import given
from hypothesis import strategies as st

from broker.services.replay import WIDTH, Window


@given(st.lists(st.integers(1, 3 * WIDTH), max_size=80))
def test_each_number_is_taken_at_most_once_and_never_from_too_far_behind(numbers: list[int]) -> None:
    """[X18] Against a set of all that was taken, across being stored and read again."""
    window, taken = Window(), set[int]()
    for seq in numbers:
        highest = max(taken, default=0)
        place = window.place(seq, "window")
        if highest - seq >= WIDTH:
            assert place == "behind"
        else:
            assert place == ("taken" if seq in taken else "new")
        if place == "new":
            taken.add(seq)
            window = window.take(seq)
        window = Window.of(window.highest, window.stored)
        assert len(window.stored) <= WIDTH // 8


@given(st.lists(st.integers(1, 50), max_size=40))
def test_strict_takes_only_what_grows(numbers: list[int]) -> None:
    """[X18] Monotonic, for a job that wants it."""
    window, took = Window(), list[int]()
    for seq in numbers:
        if window.place(seq, "strict") == "new":
            window = window.take(seq)
            took.append(seq)
    assert took == sorted(set(took))
    assert set(took) == {seq for place, seq in enumerate(numbers) if seq > max(numbers[:place], default=0)}


def test_a_jump_beyond_the_width_forgets_what_lies_behind() -> None:
    """Reliability 4.2: 1,024 numbers are told apart, not more."""
    window = Window().take(1).take(1 + WIDTH)
    assert window.place(1, "window") == "behind"
    assert window.place(2, "window") == "new"
    assert window.take(10**15).place(10**15 - WIDTH + 1, "window") == "new"
