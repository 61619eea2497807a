"""What opencode's words mean for a turn. Golden examples of each lie in tests/golden/opencode."""

import json
from typing import Any

from harness.backends.opencode.shapes import object_of, whole
from harness.backends.protocol import Ended
from wire.turns import Outcome, Usage

REASON_CHARACTERS = 600

BY_NAME: dict[str, Outcome] = {
    "ProviderAuthError": "auth",
    "ContextOverflowError": "context_full",
    "MessageAbortedError": "interrupted",
}
BY_STATUS: dict[int, Outcome] = {
    401: "auth",
    402: "credit",
    403: "auth",
    404: "bad_model",
    429: "rate_limited",
    500: "overloaded",
    502: "overloaded",
    503: "overloaded",
    529: "overloaded",
}
BY_WORDS: tuple[tuple[str, Outcome], ...] = (
    ("context window", "context_full"),
    ("prompt is too long", "context_full"),
    ("insufficient_quota", "credit"),
    ("exceeded your current quota", "credit"),
    ("credit balance", "credit"),
    ("insufficient credits", "credit"),
    ("billing", "credit"),
    ("rate limit", "rate_limited"),
    ("too many requests", "rate_limited"),
    ("usage limit", "rate_limited"),
    ("quota", "rate_limited"),
    ("overloaded", "overloaded"),
    ("api key", "auth"),
    ("unauthorized", "auth"),
    ("authentication", "auth"),
    ("model not found", "bad_model"),
    ("modelnotfound", "bad_model"),
    ("no provider", "bad_model"),
    ("cannot connect to api", "offline"),
    ("unable to connect", "offline"),
    ("connection refused", "offline"),
    ("connection reset", "offline"),
    ("connectionrefused", "offline"),
    ("econnre", "offline"),
    ("fetch failed", "offline"),
    ("enotfound", "offline"),
    ("timed out", "offline"),
    ("etimedout", "offline"),
    ("socket connection was closed", "offline"),
)
"""Looked for where no status says it; in this order."""

RETRIES = 3
"""Of its own, which go on for ever: 2 s, 4 s, 8 s …; then what is in the way is said, and tried again later."""
LONGEST_WAIT_MS = 60_000
AT_ONCE: frozenset[Outcome] = frozenset({"auth", "credit", "bad_model", "context_full"})
"""What a further try does not mend."""
OVERFLOWS = 2
"""The first one it mends by compaction; after the second it would compact for ever."""

UNFINISHED = ("", "tool-calls")


def judge(info: dict[str, Any], usage: Usage | None) -> Ended:
    """Say how a turn ended whose last answer was this one."""
    if error := object_of(info.get("error")):
        return judge_error(error, usage)
    finish = str(info.get("finish") or "")
    if finish in UNFINISHED:
        return Ended("crashed", f"it stopped in the middle (finish reason {finish or 'none'})", usage)
    return Ended("completed", usage=usage)


def judge_error(error: dict[str, Any], usage: Usage | None = None) -> Ended:
    """Tell failures apart."""
    data = object_of(error.get("data"))
    words = words_of(error)
    named = BY_NAME.get(str(error.get("name")))
    said = outcome_of_words(f"{words} {data.get('responseBody') or ''}")
    status = data.get("statusCode")
    by_status = BY_STATUS.get(status) if isinstance(status, int) else None
    if said in ("context_full", "credit"):
        by_status = None  # they come as 400 and 429
    return Ended(named or by_status or said or "crashed", words[:REASON_CHARACTERS], usage)


def words_of(error: dict[str, Any]) -> str:
    """Give what the program says about a failure; its name and all there is, where it has no words for it."""
    data = object_of(error.get("data"))
    named = f"{error.get('name') or 'a failure without a name'}{f' {json.dumps(data)}' if data else ''}"
    return str(data.get("message") or error.get("message") or named)


def outcome_of_words(words: str) -> Outcome | None:
    """Give what words without a status say, if they say something."""
    lower = words.lower()
    return next((outcome for part, outcome in BY_WORDS if part in lower), None)


def wall(status: dict[str, Any], now_ms: int) -> Ended | None:
    """Say how a turn ends whose program means to try again; None: it may, it has not tried often yet."""
    words = str(status.get("message") or "the provider does not answer")
    outcome = outcome_of_words(words) or "overloaded"
    next_ms = whole(status.get("next"))
    far = next_ms - now_ms > LONGEST_WAIT_MS
    if not (far or outcome in AT_ONCE or whole(status.get("attempt")) >= RETRIES):
        return None
    return Ended(outcome, words[:REASON_CHARACTERS], until_ms=next_ms if far else None)
