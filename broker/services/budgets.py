"""Budgets of a day: what an agent's turns cost, and that none opens for it once that is too much.

The day is that of UTC. It is counted from what the programs say when a turn ends: a turn that runs is not cut, what a
close carries on is its rest, and a program that says nothing spends nothing. A session that takes mail by itself
(`attended`) is not held up.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from broker.services import notices
from broker.services.callers import OPERATOR
from broker.services.policy import settings_of
from broker.store.tx import Row, Tx
from wire.errors import Invalid
from wire.ids import ask_id
from wire.settings import AgentSettings
from wire.turns import Usage

DAY_MS = 86_400_000
NEAR = 0.8
"""Share of a budget at which its end is told."""
RAISE, LIFT, LEAVE = "+50 %", "no limit today", "no"
OPTIONS = [RAISE, LIFT, LEAVE]
CAUSE = "budget"
"""Of notices: those of a whole fleet within a minute are one."""


def day_of(now_ms: int) -> int:
    """Number the day of UTC that an instant belongs to."""
    return now_ms // DAY_MS


def end_of_day(now_ms: int) -> int:
    """When the next day begins."""
    return (day_of(now_ms) + 1) * DAY_MS


@dataclass(frozen=True, slots=True)
class Raise:
    """What an answer of the operator changes."""

    more: float = 0.0
    """Of the budget that the settings name."""
    unlimited: bool = False


def answer_of(text: str) -> Raise:
    """Read the answer to the ask about a budget.

    Raises:
        Invalid: it says neither how much more, nor yes, nor no.
    """
    words = " ".join(text.split()).casefold()
    if words == LIFT:
        return Raise(unlimited=True)
    if words == LEAVE:
        return Raise()
    match = re.fullmatch(r"\+ ?(\d{1,5}) ?%", words)
    if match is None:
        raise Invalid(
            f"answer with {RAISE} (or another share of the budget), {LIFT!r} or {LEAVE!r}; nothing was changed"
        )
    return Raise(more=int(match[1]) / 100)


def spend(tx: Tx, agent: str, usage: Usage | None) -> None:
    """Count what a turn cost on the day on which it ends; nothing where its program says nothing."""
    if usage is None or (usage.input_tokens, usage.output_tokens, usage.cost_usd) == (None, None, None):
        return
    tokens = None
    if usage.input_tokens is not None or usage.output_tokens is not None:
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    tx.run("budgets.spend", agent=agent, day=day_of(tx.now_ms), tokens=tokens, cost_usd=usage.cost_usd)
    judge(tx, agent)


def judge(tx: Tx, agent: str) -> None:
    """Make true what follows from settings, spending and day: whether turns open, who is told, who is asked.

    Idempotent: to be called whenever one of them may have changed.
    """
    row = tx.one("budgets.today", agent=agent, day=day_of(tx.now_ms))
    if row is None:
        return
    settings = settings_of(row["settings"])
    share = 0.0 if row["state"] == "removed" else _share(settings, row)
    if share >= 1:
        _bar(tx, row, settings)
    else:
        _unbar(tx, row)
        if share >= NEAR and not row["told"]:
            used = f"{agent} has used {_used(settings, row)}, {share:.0%} of its budget for today."
            _tell(tx, row, f"{used} At 100 % it opens no more turns until 00:00 UTC; the operator is asked then.")


def _share(settings: AgentSettings, row: Row) -> float:
    if row["unlimited"]:
        return 0.0
    budgets = ((settings.daily_budget_tokens, row["tokens"]), (settings.daily_budget_usd, row["cost_usd"]))
    return max(
        ((spent or 0) / (budget * row["factor"]) for budget, spent in budgets if budget is not None), default=0.0
    )


def _used(settings: AgentSettings, row: Row) -> str:
    used: list[str] = []
    if settings.daily_budget_tokens is not None:
        used.append(f"{row['tokens'] or 0:,} of {settings.daily_budget_tokens * row['factor']:,.0f} tokens")
    if settings.daily_budget_usd is not None:
        used.append(f"${row['cost_usd'] or 0:,.2f} of ${settings.daily_budget_usd * row['factor']:,.2f}")
    return " and ".join(used)


def _bar(tx: Tx, row: Row, settings: AgentSettings) -> None:
    """Open no more turns today, and ask, once for each raise."""
    agent, until = row["name"], end_of_day(tx.now_ms)
    used = _used(settings, row)
    ask = row["ask"]
    if row["open_ask"] is not None and row["open_ask"] != ask:
        _withdraw(tx, agent, row["open_ask"])
    if ask is None:
        ask = _ask(tx, agent, used, until)
        if not row["told"]:
            _tell(tx, row, f"{agent} has spent its budget for today, {used}; no turn opens for it until 00:00 UTC.")
    else:
        tx.run("budgets.move_ask", ask=ask, deadline_at=until)
    if row["budget_until"] != until:
        tx.log("budget_spent", agent=agent, used=used)
    asks = f"; {ask_id(ask)} asks whether to raise it" if row["ask"] is None or row["open_ask"] == ask else ""
    tx.run("budgets.bar", agent=agent, until=until, reason=f"its budget for today is spent: {used}{asks}")
    tx.revise_due()


def _unbar(tx: Tx, row: Row) -> None:
    if row["open_ask"] is not None:
        _withdraw(tx, row["name"], row["open_ask"])
    if row["budget_until"] is not None:
        tx.run("budgets.bar", agent=row["name"], until=None, reason=None)
        tx.run("budgets.anew", agent=row["name"], day=day_of(tx.now_ms))
        tx.woke(row["name"])
        tx.revise_due()
        tx.log("budget_open_again", agent=row["name"])


def _tell(tx: Tx, row: Row, text: str) -> None:
    tx.run("budgets.told", agent=row["name"], day=day_of(tx.now_ms))
    for reader in dict.fromkeys([OPERATOR, row["manager"] or OPERATOR]):
        if reader != row["name"]:
            notices.tell(tx, reader, text, cause=CAUSE)


def _ask(tx: Tx, agent: str, used: str, until: int) -> int:
    day = datetime.fromtimestamp(until / 1000, UTC).strftime("%Y-%m-%d")
    question = (
        f"{agent} has spent its budget for today ({used}): no turn opens for it until 00:00 UTC of {day}, its mail "
        "waits. Raise the budget for today?"
    )
    ask = tx.insert(
        "budgets.ask",
        agent=agent,
        question=question,
        question_sha256=hashlib.sha256(question.encode()).digest(),
        options=json.dumps(OPTIONS, ensure_ascii=False),
        now=tx.now_ms,
        deadline_at=until,
    )
    tx.run("budgets.asked", agent=agent, day=day_of(tx.now_ms), ask=ask)
    tx.log("ask_put", ask=ask_id(ask), kind="question", asker=agent, target=OPERATOR)
    return ask


def _withdraw(tx: Tx, agent: str, ask: int) -> None:
    """Nobody has to answer any more: the day is over, or the budget is larger now."""
    if tx.run("asks.cancel", ask=ask, now=tx.now_ms):
        tx.log("ask_ended", ask=ask_id(ask), asker=agent, target=OPERATOR, state="cancelled")


def answered(tx: Tx, agent: str, ask: int, change: Raise) -> list[str]:
    """Let the operator's answer take effect; gives what it should know. To be called when the ask is closed."""
    day = day_of(tx.now_ms)
    if not tx.run("budgets.raise", agent=agent, day=day, ask=ask, more=change.more, unlimited=int(change.unlimited)):
        return [f"the day that {ask_id(ask)} was about is over; {agent} has a fresh budget"]
    if change != Raise():
        tx.run("budgets.anew", agent=agent, day=day)
    judge(tx, agent)
    return []


def begin_days(tx: Tx) -> None:
    """Open turns again for those whose day has ended."""
    for row in tx.all("budgets.over", now=tx.now_ms):
        judge(tx, row["name"])


def clock_was_set(tx: Tx) -> None:
    """It may be another day, or an earlier one again; also at a start, as nobody knows what the clock did meanwhile."""
    for row in tx.all("budgets.concerned", day=day_of(tx.now_ms)):
        judge(tx, row["name"])
