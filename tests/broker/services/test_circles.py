"""The busiest circle: the same as all ways tried out, in every small fleet."""

import itertools
import random
from collections.abc import Iterator

import pytest

from broker.services.circles import Edge, busiest

NAMES = "abcdef"


def ways(traffic: dict[Edge, int]) -> Iterator[tuple[str, ...]]:
    """Give every way from b back to a over two pairs or more."""
    others = [name for name in NAMES if name not in "ab"]
    for length in range(1, len(others) + 1):
        for between in itertools.permutations(others, length):
            way = ("b", *between, "a")
            if all(edge in traffic for edge in itertools.pairwise(way)):
                yield way


@pytest.mark.parametrize("seed", range(200))
def test_it_is_the_busiest_and_then_the_shortest(seed: int) -> None:
    """[P05] DESIGN 5.15: rounds and length as all ways tried out give them; the messages add up."""
    dice = random.Random(seed)
    share = dice.choice([0.2, 0.4, 0.8])
    traffic = {edge: dice.randint(1, 9) for edge in itertools.permutations(NAMES, 2) if dice.random() < share}
    own = dice.randint(2, 9)
    tried = [
        (-min(own, *(traffic[edge] for edge in itertools.pairwise(way))), len(way)) for way in ways(traffic)
    ]  # fmt: skip
    best = min((one for one in tried if one[0] <= -2), default=None)
    found = busiest(traffic, "a", "b", own)
    assert (found is None) == (best is None)
    if found is not None:
        assert (-found.rounds, len(found.names) - 1) == best
        assert found.names[:2] == ["a", "b"]
        assert found.names[-1] == "a"
        counts = [own, *(traffic[edge] for edge in itertools.pairwise(found.names[1:]))]
        assert found.messages == sum(min(count, found.rounds + 1) for count in counts)


def test_a_pair_is_no_circle() -> None:
    """[P05] DESIGN 5.15: two that write to each other are counted as a pair; so are a hub and its spokes."""
    spokes = {edge: 20 for name in "cdef" for edge in (("b", name), (name, "b"))}
    assert busiest({("b", "a"): 20, ("a", "b"): 19, **spokes}, "a", "b", 20) is None


def test_a_single_message_closes_nothing() -> None:
    """[P05] DESIGN 5.15: whoever asks around once is not going round."""
    assert busiest({("b", "c"): 9, ("c", "a"): 9}, "a", "b", 1) is None
    assert busiest({("b", "c"): 9, ("c", "a"): 1}, "a", "b", 9) is None
