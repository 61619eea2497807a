"""What a turn may lease next: the longest eligible prefix of an inbox, and nothing more.

It decides order, back-off of pairs, `alone` and the budgets; opening and closing turns is in `turns` and `settling`.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from broker.services import notices
from broker.services.callers import OPERATOR
from broker.store.tx import Row, Tx
from wire.ids import message_id
from wire.inbox import About, EarlierSend, Mail
from wire.turns import LEASE_MS

BROKEN = "the stored body does not match its checksum"
UNREADABLE = f"[broken: {BROKEN}]"
"""Shown in place of a body that is not what was sent."""


@dataclass(slots=True)
class Batch:
    """Rows that were chosen, not leased yet."""

    rows: list[Row] = field(default_factory=list[Row])
    bytes: int = 0
    alone: bool = False
    broken: list[Row] = field(default_factory=list[Row])
    backing_off: int = 0
    riders: list[Row] = field(default_factory=list[Row])
    """Notices that go with other mail only; those that go with this batch are in `rows` too."""

    @property
    def depth(self) -> int:
        """The highest causal depth in the batch."""
        return max((row["depth"] for row in self.rows), default=0)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What earlier attempts at a delivery sent."""

    first: list[EarlierSend]
    more: int
    """How many sends there are behind those."""


NOTHING_SENT = Earlier([], 0)


def choose(tx: Tx, agent: str, *, max_messages: int, max_bytes: int, joining: bool, backing_off: bool = True) -> Batch:
    """Choose mail for a turn; at least one message where any is eligible, whatever its size.

    `joining`: the turn holds mail already, so mail that has to be alone is left for a later one.
    `backing_off`: False where it is known that no mail in the fleet backs off, and none has to be looked for.
    """
    batch = Batch()
    for row in _eligible(tx, agent, batch, backing_off=backing_off):
        if row["rides"]:
            (batch.riders if is_intact(row) else batch.broken).append(row)
            continue
        if row["alone"] and (batch.rows or joining):
            break
        if batch.rows and (batch.bytes + row["bytes"] > max_bytes):
            break
        if joining and row["bytes"] > max_bytes:
            break
        if not is_intact(row):
            batch.broken.append(row)
            continue
        batch.rows.append(row)
        batch.bytes += row["bytes"]
        batch.alone = bool(row["alone"])
        if batch.alone or len(batch.rows) >= max_messages:
            break
    if batch.rows and not batch.alone:
        batch.rows = [*batch.riders, *batch.rows]
        batch.bytes += sum(row["bytes"] for row in batch.riders)
    return batch


def _eligible(tx: Tx, agent: str, batch: Batch, *, backing_off: bool) -> Iterator[Row]:
    """Ready mail in leasing order without what stands behind a back-off of its own pair."""
    resting = tx.all("turns.backing_off", recipient=agent, now=tx.now_ms) if backing_off else []
    waits = {row["sender"]: row for row in resting}
    batch.backing_off = sum(row["n"] for row in waits.values())
    for row in tx.each("turns.ready", recipient=agent, now=tx.now_ms):
        ahead = waits.get(row["sender"]) if row["in_order"] else None
        if ahead is None or row["place"] < ahead["place"]:
            yield row


def is_intact(row: Row) -> bool:
    """Say whether a stored body, read as bytes because a damaged one may be no text, is what was sent."""
    return hashlib.sha256(row["body"]).digest() == row["body_sha256"]


def hold_broken(tx: Tx, agent: str, batch: Batch) -> None:
    """Put rows that were damaged on disk aside: shown to the operator, never handed to a model."""
    if not batch.broken:
        return
    hold(tx, agent, batch.broken, BROKEN, restarts=0)
    tx.log("broken_mail_held", agent=agent, mail=[message_id(row["id"]) for row in batch.broken])


def hold(tx: Tx, agent: str, rows: list[Row], reason: str, *, restarts: int) -> None:
    """Hold deliveries for the operator, who is told: they leave the order of the inbox and its quota."""
    ids = json.dumps([row["delivery"] for row in rows])
    tx.run("turns.hold", ids=ids, reason=reason, restarts=restarts)
    count_out(tx, agent, rows)
    mail = ", ".join(message_id(row["id"]) for row in rows)
    notices.tell(
        tx, OPERATOR, f"{mail} to {agent} is held: {reason}. `queenpost held list` shows it.", cause=f"held:{agent}"
    )


def count_out(tx: Tx, agent: str, rows: list[Row]) -> None:
    """Take mail that is no longer waiting out of the quota counters."""
    size = sum(row["bytes"] for row in rows)
    tx.run("inbox.count_one_in", recipient=agent, messages=-len(rows), bytes=-size)


def lease(tx: Tx, turn: int, batch: Batch, call: str | None = None) -> None:
    """Lease the batch to an open turn; `call` names the take, so that a repeated one finds what it leased."""
    leases = [
        {"turn": turn, "delivery": row["delivery"], "attempt": row["attempt"] + 1, "call": call} for row in batch.rows
    ]
    tx.run_each("turns.lease", leases)  # counts the attempt
    tx.run_each("turns.add_lease", leases)
    tx.revise_due()


def ack(tx: Tx, turn: int, rows: list[Row]) -> None:
    """Settle leased deliveries as handled in this turn."""
    tx.run_each("turns.ack", [{"turn": turn, "delivery": row["delivery"], "now": tx.now_ms} for row in rows])


def lease_until(tx: Tx) -> int:
    """When a lease that starts now runs out."""
    return tx.now_ms + LEASE_MS


def mail_of(tx: Tx, turn: int, rows: list[Row], *, leased_now: bool) -> list[Mail]:
    """Give rows as mail, with what earlier attempts already sent.

    `leased_now`: the rows were read before this lease counted their attempt.
    """
    attempts = {row["delivery"]: row["attempt"] + (1 if leased_now else 0) for row in rows}
    again = [delivery for delivery, attempt in attempts.items() if attempt > 1]
    earlier = _earlier_sends(tx, turn, again) if again else {}
    return [
        mail_from(row, attempts[row["delivery"]], earlier.get(row["delivery"], NOTHING_SENT), checked=leased_now)
        for row in rows
    ]


def mail_from(row: Row, attempt: int, earlier: Earlier, *, checked: bool) -> Mail:
    """Give one row as mail. `checked`: it was just seen to be intact."""
    reply = row["in_reply_to"]
    return Mail(
        id=message_id(row["id"]),
        sender=row["sender"],
        kind=row["kind"],
        body=row["body"].decode() if checked or is_intact(row) else UNREADABLE,
        sent_at_ms=row["sent_at"],
        in_reply_to=None if reply is None else message_id(reply),
        depth=row["depth"],
        broadcast=row["addressed_to"] == "*",
        attempt=attempt,
        earlier=earlier.first,
        earlier_more=earlier.more,
        about=about_of(row),
    )


def about_of(row: Row) -> About | None:
    """Give what the mail of an ask or a reminder carries beside its words; damaged, it is a letter like any other."""
    if row["about"] is None:
        return None
    try:
        return About.model_validate_json(row["about"])
    except ValueError:
        return None


def _earlier_sends(tx: Tx, turn: int, deliveries: list[int]) -> dict[int, Earlier]:
    found: dict[int, Earlier] = {}
    for row in tx.all("turns.earlier_sends", ids=json.dumps(deliveries), turn=turn):
        excerpt = row["excerpt"].decode(errors="replace")
        sent = EarlierSend(id=message_id(row["id"]), to=row["addressed_to"], excerpt=excerpt)
        so_far = found.get(row["delivery"], NOTHING_SENT).first
        found[row["delivery"]] = Earlier([*so_far, sent], row["sends"] - len(so_far) - 1)
    return found
