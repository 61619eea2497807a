"""Circles in the traffic of a fleet: the busiest way back to a sender, and how much went round it. Pure."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

Edge = tuple[str, str]
"""Sender and recipient."""


@dataclass(frozen=True, slots=True)
class Circle:
    """Who is on it, from the sender back to the sender, and what its pairs carried."""

    names: list[str]
    rounds: int
    """It is as busy as its quietest pair."""
    messages: int
    """How many went round; what a pair has beyond the rounds by more than one did not."""


def busiest(traffic: Mapping[Edge, int], sender: str, recipient: str, own: int) -> Circle | None:
    """Give the busiest circle of three or more that a message from sender to recipient closes, if there is one.

    `own` is what this pair carries with that message. Of several that are equally busy it is a shortest one. A pair
    with a single message closes nothing. The work is bounded by the number of pairs times the logarithm of `own`.
    """
    if own < 2:
        return None
    edges = {edge: count for edge, count in traffic.items() if edge != (recipient, sender)}
    path = _way(edges, recipient, sender, 2)
    # No circle is busier than `own`, so counts beyond it are all the same.
    levels = sorted({min(count, own) for count in edges.values() if count > 2}) if path else []
    while levels:
        middle = len(levels) // 2
        wider = _way(edges, recipient, sender, levels[middle])
        path, levels = (wider, levels[middle + 1 :]) if wider else (path, levels[:middle])
    if not path:
        return None
    counts = [own, *(edges[edge] for edge in pairwise(path))]
    rounds = min(counts)
    return Circle([sender, *path], rounds, sum(min(count, rounds + 1) for count in counts))


def _way(edges: Mapping[Edge, int], start: str, end: str, least: int) -> list[str]:
    """Give a shortest way over pairs with at least so many messages; empty where there is none."""
    beyond: dict[str, list[str]] = {}
    for (sender, recipient), count in edges.items():
        if count >= least:
            beyond.setdefault(sender, []).append(recipient)
    came_from = {start: ""}
    waiting = deque([start])
    while waiting and end not in came_from:
        name = waiting.popleft()
        for other in beyond.get(name, ()):
            if other not in came_from:
                came_from[other] = name
                waiting.append(other)
    path = [end] if end in came_from else []
    while path and path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]
