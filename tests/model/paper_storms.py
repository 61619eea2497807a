"""The storm guard on paper (DESIGN 5.15).

Traffic is a list of what went from whom to whom and when; what a pair or a circle carries is counted anew for every
letter, and circles are found by trying all ways.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from broker.services.storms import CAUSAL_DEPTH, DAY_MS, STEP_MS
from tests.model.paper import Agent, Letter, Paper, Passed

Pair = tuple[str, str]
"""Sender and recipient."""


def weigh(paper: Paper, sender: Agent, depth: int, recipients: Sequence[Agent], letter: int) -> list[Agent]:
    """DESIGN 5.15: whose copies of a letter are held. It has this number, and counts nowhere yet."""
    watched = [agent for agent in recipients if agent.name != "operator"]
    if depth < CAUSAL_DEPTH:
        return []
    if depth >= paper.rules.limits.storm_depth:
        return watched
    return [agent for agent in watched if _is_storm(paper, sender.name, agent.name, letter)]


def _is_storm(paper: Paper, sender: str, recipient: str, letter: int) -> bool:
    limits = paper.rules.limits
    unsure = False
    for most, length_ms in ((limits.storm_messages, int(limits.storm_window_s * 1000)), (limits.storm_per_day, DAY_MS)):
        carried = _carried(paper, length_ms)
        carried[sender, recipient] += 1
        if carried[sender, recipient] + carried[recipient, sender] > most:
            return True
        verdicts = {messages > most for messages in _busiest(carried, sender, recipient)}
        if verdicts == {True}:
            return True
        unsure = unsure or len(verdicts) == 2
    # Which of several circles that are equally busy and equally long is looked at is not the paper's business.
    return unsure and paper.was_held(letter, recipient)


def _carried(paper: Paper, length_ms: int) -> Counter[Pair]:
    """What each pair carried in a period, which begins with a step."""
    after = step_of(paper.now) - length_ms
    return Counter((one.sender, one.recipient) for one in paper.traffic if step_of(one.at) > after)


def step_of(at: int) -> int:
    """The beginning of the step in which something is counted."""
    return at - at % STEP_MS


def _busiest(carried: Counter[Pair], sender: str, recipient: str) -> list[int]:
    """How many messages went round the busiest circles that a letter closes, of these the shortest ones."""
    busy = [pair for pair, messages in carried.items() if messages > 1]
    if (sender, recipient) not in busy:
        return []
    circles: list[tuple[int, int, int]] = []
    for way in _ways(busy, [recipient], sender):
        counts = [carried[pair] for pair in pairwise([sender, *way])]
        rounds = min(counts)
        circles.append((-rounds, len(counts), sum(min(messages, rounds + 1) for messages in counts)))
    best = min(circles)[:2] if circles else None
    return [messages for *rank, messages in circles if tuple(rank) == best]


def _ways(busy: list[Pair], so_far: list[str], end: str) -> Iterator[list[str]]:
    """All ways to the end that pass somebody else and nobody twice."""
    for sender, recipient in busy:
        if sender != so_far[-1] or recipient in so_far:
            continue
        if recipient != end:
            yield from _ways(busy, [*so_far, recipient], end)
        elif len(so_far) > 1:
            yield [*so_far, end]


def put_in(paper: Paper, letter: Letter, sender: Agent, reached: Sequence[Agent], held: list[Agent], size: int) -> None:
    """Put the copies of a letter in, ready or held; what is held counts nowhere."""
    known = [agent for agent in held if _waits_already(paper, sender.name, agent.name)]
    ready = [agent for agent in reached if agent not in held]
    by_operator = sender.name == "operator"
    for agent in (*ready, *held):
        paper.add_copy(letter, agent, size, rank=0 if by_operator else 1, in_order=True)
        if agent in held:
            letter.copies[-1].state, letter.copies[-1].storm = "held", True
    new = [agent.name for agent in held if agent not in known]
    if new:
        paper.notice("operator", letter.id, cause=f"held:{'+'.join(sorted([sender.name, *new]))}")
    if by_operator:
        forgive(paper, [agent.name for agent in ready])
    elif letter.depth >= CAUSAL_DEPTH:
        paper.traffic += [Passed(paper.now, sender.name, agent.name) for agent in ready if agent.name != "operator"]


def _waits_already(paper: Paper, one: str, other: str) -> bool:
    return any(
        copy.state == "held" and copy.storm and {copy.letter.sender, copy.recipient.name} == {one, other}
        for copy in paper.copies
    )


def forgive(paper: Paper, names: Sequence[str]) -> None:
    """A person wrote to them: whatever they were part of is forgotten."""
    paper.traffic = [one for one in paper.traffic if one.sender not in names and one.recipient not in names]


def forget_ahead(paper: Paper) -> None:
    """The clock may have been set back: what lies ahead now is forgotten."""
    paper.traffic = [one for one in paper.traffic if step_of(one.at) <= paper.now]


def counted(paper: Paper) -> list[tuple[str, str, int, int]]:
    """What was counted, by pair and step."""
    steps = Counter((one.sender, one.recipient, step_of(one.at)) for one in paper.traffic)
    return sorted((*step, messages) for step, messages in steps.items())
