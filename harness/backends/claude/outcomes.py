"""What the words of Claude Code's `result` mean for a turn. Golden examples of each lie in tests/golden/claude."""

import re
from collections.abc import Mapping
from typing import Any

from harness.backends.protocol import Ended
from wire.turns import Outcome, Usage

REASON_CHARACTERS = 600

BY_STATUS: dict[int, Outcome] = {
    401: "auth",
    402: "credit",
    403: "auth",
    404: "bad_model",
    413: "context_full",
    429: "rate_limited",
    500: "overloaded",
    502: "overloaded",
    503: "overloaded",
    529: "overloaded",
}
BY_WORDS: tuple[tuple[str, Outcome], ...] = (
    ("prompt is too long", "context_full"),
    ("credit balance is too low", "credit"),
    ("not logged in", "auth"),
    ("invalid api key", "auth"),
    ("failed to authenticate", "auth"),
    ("oauth token", "auth"),
    ("issue with the selected model", "bad_model"),
    ("usage limit", "rate_limited"),
    ("you've hit your", "rate_limited"),
    ("connection refused", "offline"),
    ("connection error", "offline"),
    ("unable to connect", "offline"),
    ("fetch failed", "offline"),
    ("enotfound", "offline"),
    ("etimedout", "offline"),
    ("econnreset", "offline"),
)
"""Looked for where no status says it; in this order."""
BY_SUBTYPE: dict[str, Outcome] = {"error_max_turns": "max_turns", "error_max_budget_usd": "budget"}
BY_TERMINAL: dict[str, Outcome] = {
    "prompt_too_long": "context_full",
    "max_turns": "max_turns",
    "budget_exhausted": "budget",
    "aborted_tools": "interrupted",
    "aborted_streaming": "interrupted",
}
DIAGNOSTIC = "[ede_diagnostic]"
"""Begins words that its makers alone can read."""
_STATUS = re.compile(r"API Error:(?: Request rejected)? \(?(\d{3})\b")
NO_SESSION = "no conversation found"


def judge(result: Mapping[str, Any], usage: Usage | None) -> Ended:
    """Say how a turn ended that gave this `result`. `subtype` alone says nothing: an API error has `success` too."""
    if is_completed(result):
        return Ended("completed", usage=usage)
    return Ended(outcome_of(result), words_of(result)[:REASON_CHARACTERS], usage)


def judge_compaction(result: Mapping[str, Any]) -> Ended:
    """Say why a `/compact` made nothing shorter: its `result` is no error, and a status stands in its words only."""
    words, outcome = words_of(result), outcome_of(result)
    if outcome == "crashed":
        status = _STATUS.search(words)
        outcome = BY_STATUS.get(int(status[1]), "context_full") if status else "context_full"
    return Ended(outcome, words[:REASON_CHARACTERS])


def is_completed(result: Mapping[str, Any]) -> bool:
    """Say whether it is a finished turn; an older program has no `terminal_reason`."""
    terminal = result.get("terminal_reason", "completed")
    return not result.get("is_error") and result.get("subtype") == "success" and terminal == "completed"


def outcome_of(result: Mapping[str, Any]) -> Outcome:
    """Tell failures apart."""
    words = words_of(result).lower()
    named: Outcome | None = BY_SUBTYPE.get(str(result.get("subtype"))) or BY_TERMINAL.get(
        str(result.get("terminal_reason"))
    )
    if named is not None:
        return named
    said: Outcome | None = next((outcome for part, outcome in BY_WORDS if part in words), None)
    status = result.get("api_error_status")
    by_status = BY_STATUS.get(status) if isinstance(status, int) else None
    if by_status is not None and said not in ("context_full", "credit"):
        return by_status
    return said or "crashed"


def words_of(result: Mapping[str, Any]) -> str:
    """Give what the program says about it."""
    errors = result.get("errors")
    parts = [result.get("result"), *(errors if isinstance(errors, list) else [])]  # pyright: ignore[reportUnknownVariableType]
    words = "; ".join(str(part) for part in parts if part and not str(part).startswith(DIAGNOSTIC))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return words or str(result.get("terminal_reason") or result.get("subtype") or "no reason was given")


def lost_session(words: str) -> bool:
    """Say whether the program does not know the session that it was to go on with."""
    return NO_SESSION in words.lower()
