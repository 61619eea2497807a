"""Ids carry their noun; anything else gets the answer of an id that does not exist."""

import re

import pytest

from wire.errors import Unknown
from wire.ids import AGENT_NAME_PATTERN, message_id, message_number, turn_id, turn_number

NONSENSE = ["", "m", "12", "m0", "m01", "m-1", "m1.0", "M1", "m 1", "m1m", "x1", "m１２", "m" + "9" * 19, "m1;--"]


@pytest.mark.parametrize("number", [1, 7, 10**18 - 1])
def test_an_id_comes_back_as_its_number(number: int) -> None:
    """DESIGN 5.1: short, with its noun; fits into the database."""
    assert message_number(message_id(number)) == number
    assert turn_number(turn_id(number)) == number
    assert (message_id(12), turn_id(7)) == ("m12", "t7")


@pytest.mark.parametrize("text", NONSENSE)
def test_what_is_no_id_is_unknown(text: str) -> None:
    """DESIGN 5: foreign, unknown and malformed ids get the same answer; none tells what exists."""
    with pytest.raises(Unknown, match="check the id"):
        message_number(text)


def test_the_noun_has_to_be_the_right_one() -> None:
    """DESIGN 5.1: a turn is no message."""
    with pytest.raises(Unknown, match="no message 't7'"):
        message_number("t7")
    with pytest.raises(Unknown, match="no turn 'm7'"):
        turn_number("m7")


def test_a_long_id_is_cut_in_the_answer() -> None:
    """Ours: an answer is small, whatever was asked."""
    with pytest.raises(Unknown) as caught:
        message_number("x" * 100_000)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("a", True),
        ("alice", True),
        ("alice-2", True),
        ("a" * 31, True),
        ("a" * 32, False),
        ("", False),
        ("Alice", False),
        ("2alice", False),
        ("-alice", False),
        ("al_ice", False),
        ("alice!", False),
        ("álice", False),
        ("../x", False),
    ],
)
def test_an_agent_name_is_safe_anywhere(name: str, good: bool) -> None:
    """DESIGN 5.17: in paths, topics and command lines."""
    assert bool(re.fullmatch(AGENT_NAME_PATTERN, name)) is good
