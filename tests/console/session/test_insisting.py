"""How often a session is told of the same mail."""

from console.session.insisting import GAPS_S, NOTHING, Insisting, Waiting


def test_mail_is_told_at_once_and_then_after_growing_gaps_and_then_no_more() -> None:
    """[P04] A model that leaves its mail lying is asked four times in all."""
    insisting, now_ms, waits = Insisting(), 1_000, list[float]()
    seen = Waiting(1, "m1")
    while (wait_s := insisting.due_in_s(seen, now_ms)) is not None:
        waits.append(wait_s)
        now_ms += int(wait_s * 1000)
        assert insisting.due_in_s(seen, now_ms) == 0
        insisting.told(seen, now_ms)
    assert waits == [0, *GAPS_S]
    assert list(GAPS_S) == sorted(GAPS_S)


def test_what_comes_in_addition_is_told_at_once() -> None:
    """[P02] However often it was told of the mail before."""
    insisting = Insisting()
    for _ in range(9):
        insisting.told(Waiting(1, "m1"), 0)
    assert insisting.due_in_s(Waiting(1, "m1"), 10**12) is None
    assert insisting.due_in_s(Waiting(2, "m1"), 0) == 0


def test_as_much_as_before_but_other_mail_is_new() -> None:
    """Ours: one was taken and one came between two looks."""
    insisting = Insisting()
    insisting.told(Waiting(1, "m1"), 0)
    assert insisting.due_in_s(Waiting(1, "m2"), 0) == 0


def test_what_is_left_of_mail_that_was_told_is_not_new() -> None:
    """[P04] The model takes one after the other; and one more afterwards is."""
    insisting = Insisting()
    insisting.told(Waiting(3, "m1"), 0)
    assert insisting.due_in_s(Waiting(2, "m2"), 0) == GAPS_S[0]
    assert insisting.due_in_s(Waiting(1, "m3"), 0) == GAPS_S[0]
    assert insisting.due_in_s(Waiting(2, "m3"), 0) == 0


def test_nothing_is_told_of_nothing_and_behind_it_all_is_new() -> None:
    """Spec: mail that was taken wakes nobody."""
    insisting = Insisting()
    insisting.told(Waiting(1, "m1"), 0)
    assert insisting.due_in_s(NOTHING, 0) is None
    assert insisting.due_in_s(Waiting(1, "m1"), 0) == 0


def test_another_session_is_told_anew() -> None:
    """Ours: what one conversation knows the next one does not."""
    insisting = Insisting()
    insisting.told(Waiting(1, "m1"), 0)
    insisting.forget()
    assert insisting.due_in_s(Waiting(1, "m1"), 0) == 0
