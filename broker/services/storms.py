"""The storm guard: mail that agents cause each other is held once it goes round too fast (DESIGN 5.15).

Counted is only causal mail: sent in a turn that held a peer's mail, so at depth 2 or more. What nothing caused, what
goes to the operator, answers and notices are never held; a person's word gives a fresh budget.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from broker.services import notices
from broker.services.admission import Sender
from broker.services.callers import OPERATOR, Rules
from broker.services.circles import Edge, busiest
from broker.store.tx import Tx
from wire.ids import message_id
from wire.settings import Limits

CAUSAL_DEPTH = 2
STEP_MS = 5_000
"""Traffic is counted in steps of this length; the two periods begin with a step."""
DAY_MS = 24 * 3600 * 1000
LONGEST_CIRCLE = 32
"""A slow circle of so many agents is still found; for larger ones the limit of a pair holds."""
MOST_PAIRS = 4_096
"""How many pairs of a fleet are looked at for a circle."""
SHOWN_NAMES = 6


@dataclass(frozen=True, slots=True)
class Period:
    """Causal mail within one period, by (sender, recipient), and how much is allowed."""

    limit: int
    words: str
    pairs: dict[Edge, int] = field(default_factory=dict[Edge, int])
    """Of the sender and those it writes to, without the message that is being weighed."""
    fleet: dict[Edge, int] = field(default_factory=dict[Edge, int])
    """Of everybody; empty where no circle can have closed."""


def weigh(tx: Tx, sender: Sender, recipients: Iterable[str], rules: Rules) -> dict[str, str]:
    """Give the recipients whose copies have to be held, with the reason. Mail that nothing caused costs no look.

    Writes nothing; `count` or `hold` follows.
    """
    if sender.depth < CAUSAL_DEPTH or sender.name == OPERATOR:
        return {}
    watched = [name for name in recipients if name != OPERATOR]
    if sender.depth >= rules.limits.storm_depth:
        return dict.fromkeys(watched, f"storm: at the end of a chain of {sender.depth} messages that caused each other")
    if not watched:
        return {}
    periods = _periods(tx, sender.name, watched, rules.limits)
    reasons = {name: _reason(sender.name, name, periods) for name in watched}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _periods(tx: Tx, sender: str, recipients: list[str], limits: Limits) -> tuple[Period, Period]:
    step = _step(tx.now_ms)
    window_ms = int(limits.storm_window_s * 1000)
    recent = Period(limits.storm_messages, f"within {_time(limits.storm_window_s)}")
    day = Period(limits.storm_per_day, "within 24 h")
    rows = tx.all(
        "storms.traffic",
        sender=sender,
        recipients=json.dumps(recipients),
        window=step - window_ms,
        day=step - DAY_MS,
        now=tx.now_ms,
        warm=1,
        warm_day=max(limits.storm_per_day // LONGEST_CIRCLE, 1),
        most=MOST_PAIRS,
    )
    for row in rows:
        edge = (row["sender"], row["recipient"])
        for period, count in ((recent, row["recent"]), (day, row["day"])):
            if count:
                (period.fleet if row["whole"] else period.pairs)[edge] = count
    return recent, day


def _step(now_ms: int) -> int:
    return now_ms - now_ms % STEP_MS


def _time(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds % 60 == 0 else f"{seconds:g} s"


def _reason(sender: str, recipient: str, periods: Iterable[Period]) -> str | None:
    """Say why one more message would be too many; None where it would not."""
    for period in periods:
        own = period.pairs.get((sender, recipient), 0) + 1
        both = own + period.pairs.get((recipient, sender), 0)
        if both > period.limit:
            return f"storm: {both} messages between {sender} and {recipient} {period.words} without the operator"
        circle = busiest(period.fleet, sender, recipient, own)
        if circle is not None and circle.messages > period.limit:
            return (
                f"storm: {circle.messages} messages around {_names(circle.names)} {period.words} without the operator"
            )
    return None


def _names(path: list[str]) -> str:
    more = [f"{len(path) - SHOWN_NAMES - 1} more", path[-1]] if len(path) > SHOWN_NAMES + 1 else path[SHOWN_NAMES:]
    return " → ".join([*path[:SHOWN_NAMES], *more])


def count(tx: Tx, sender: Sender, reached: Iterable[str]) -> None:
    """Count a causal message that goes on. Held copies are not counted."""
    names = [name for name in reached if name != OPERATOR]
    if sender.depth >= CAUSAL_DEPTH and sender.name != OPERATOR and names:
        tx.run("storms.count", sender=sender.name, recipients=json.dumps(names), at=_step(tx.now_ms))


def hold(tx: Tx, message: int, sender: Sender, held: Mapping[str, str], size: int) -> None:
    """Put held copies aside: out of the order of the inbox, not in its quota. The operator gets one notice of a pair.

    While earlier mail of the same pair is still held, nobody is told again.
    """
    names = json.dumps(list(held))
    known = {row["name"] for row in tx.all("storms.pairs_held", name=sender.name, names=names)}
    tx.run("storms.add_held", message=message, sender=sender.name, bytes=size, held=json.dumps(held))
    mail = message_id(message)
    tx.log("storm_held", message=mail, sender=sender.name, to=list(held), reason=next(iter(held.values())))
    new = sorted(held.keys() - known)
    if new:
        text = (
            f"{mail} from {sender.name} to {', '.join(new)} is held: {held[new[0]]}. "
            f"`queenpost held release {mail}` lets it go on, `queenpost held discard {mail}` ends it."
        )
        notices.tell(tx, OPERATOR, text, cause=f"held:{'+'.join(sorted([sender.name, *new]))}", about=message)


def warning(held: Mapping[str, str]) -> str:
    """Say to a sender what became of its message."""
    reason = next(iter(held.values()))
    return f"held, not handed to {', '.join(held)}: {reason}. The operator decides; do not send it again."


def forgive(tx: Tx, names: Collection[str]) -> None:
    """Give the pairs of these agents a fresh budget: the operator wrote to them."""
    tx.run("storms.forgive", names=json.dumps(list(names)))


def forgive_pair(tx: Tx, one: str, other: str) -> None:
    """Give one pair a fresh budget: the operator released its mail."""
    tx.run("storms.forgive_pair", one=one, other=other)


def clock_was_set(tx: Tx) -> None:
    """Forget what would count anew when a clock that was set back comes there again."""
    tx.run("storms.forget_ahead", now=tx.now_ms)
