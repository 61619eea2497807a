"""Which programs stay between their turns, and which have to go."""

from pathlib import Path

import pytest

from harness import warmth as module
from harness.warmth import PROGRAM_BYTES, Place, Warmth, memory_bytes, usual_most


class House:
    """Some places, and which of their programs were ended."""

    def __init__(self, most: int | None) -> None:
        self.warmth = Warmth(most)
        self.reaped: list[str] = []

    def place(self, agent: str, account: str = "team", most: int | None = None) -> Place:
        """Make a place whose program does not run yet."""
        return Place(self.warmth, agent, account, most)

    def serve(self, *places: Place) -> None:
        """Let each have a turn, with a program that is started where none runs."""
        for place in places:
            with place.turn():
                self.start(place)

    def start(self, place: Place) -> None:
        """Start the program of a place, if it does not run."""
        if place.reap is None:
            place.started(lambda: self.reaped.append(place.agent))


def test_the_least_recently_used_has_to_go() -> None:
    """DESIGN 8: beyond `max_warm`; who had a turn since stays."""
    house = House(most=2)
    alice, bob, carol = house.place("alice"), house.place("bob"), house.place("carol")
    house.serve(alice, bob, alice)
    assert house.reaped == []
    house.serve(carol)
    assert house.reaped == ["bob"]
    house.serve(bob)
    assert house.reaped == ["bob", "alice"]


def test_a_program_in_its_turn_is_left_alone() -> None:
    """Issue 4: reaped between turns, never in one; where all work, more of them run for so long."""
    house = House(most=1)
    alice, bob = house.place("alice"), house.place("bob")
    with alice.turn():
        house.start(alice)
        with bob.turn():
            house.start(bob)
            assert house.reaped == []
        assert house.reaped == ["bob"], "the one that is idle, not the older one that works"
    assert house.reaped == ["bob"]


def test_an_account_with_a_number_of_its_own_is_counted_by_itself() -> None:
    """Issue 4: `max_warm` per account; the memory of the machine is for those that say nothing."""
    house = House(most=1)
    few = [house.place(name, "few", 2) for name in ("alice", "bob", "carol")]
    house.serve(*few)
    assert house.reaped == ["alice"]
    plain, other = house.place("dora", "one"), house.place("emil", "two")
    house.serve(plain)
    assert house.reaped == ["alice"], "the others are no business of its"
    house.serve(other)
    assert house.reaped == ["alice", "dora"], "accounts that say nothing share the room"


def test_none_may_stay() -> None:
    """Ours: `max_warm = 0` is a process for each turn."""
    house = House(most=None)
    alice = house.place("alice", most=0)
    with alice.turn():
        house.start(alice)
        assert house.reaped == []
    assert house.reaped == ["alice"]


def test_a_program_that_ended_takes_no_room() -> None:
    """Ours: whoever ended it; the end of an earlier one does not count the new one out."""
    house = House(most=1)
    alice, bob = house.place("alice"), house.place("bob")

    def first() -> None:
        house.reaped.append("first")

    def second() -> None:
        house.reaped.append("second")

    alice.started(first)
    alice.started(second)
    alice.ended(first)
    house.serve(bob)
    assert house.reaped == ["second"]
    alice.started(first)
    assert house.reaped == ["second", "bob"]
    alice.ended(first)
    house.serve(bob)
    assert house.reaped == ["second", "bob"]


def test_it_is_told_who_went(caplog: pytest.LogCaptureFixture) -> None:
    """Issue 4: visible in the log, with the bound."""
    caplog.set_level("INFO")
    house = House(most=None)
    house.serve(*(house.place(name, most=1) for name in ("alice", "bob")))
    (record,) = [record for record in caplog.records if record.message == "program_reaped"]
    assert vars(record)["fields"] == {"agent": "alice", "account": "team", "max_warm": 1, "warm": 1}


def test_a_container_has_what_it_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 4: by default memory / 400 MB, of the machine or of the container; one may always stay."""
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(module, "CGROUP_LIMIT", limit)
    machine = memory_bytes()
    assert machine is not None
    limit.write_text("max\n", encoding="ascii")
    assert memory_bytes() == machine
    limit.write_text(f"{PROGRAM_BYTES // 2}\n", encoding="ascii")
    assert memory_bytes() == PROGRAM_BYTES // 2
    assert usual_most() == 1


def test_without_anybody_who_knows_the_memory_there_is_no_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: nothing is ended on a guess."""

    def unknown(_: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(module, "CGROUP_LIMIT", tmp_path / "nothing")
    monkeypatch.setattr(module.os, "sysconf", unknown)
    assert usual_most() is None
