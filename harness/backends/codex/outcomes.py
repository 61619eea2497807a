"""What the words of Codex mean for a turn. Golden examples of each lie in tests/golden/codex.

The app-server gives a kind of error (`codexErrorInfo`), `codex exec` only words: one table for both.
"""

import re
from collections.abc import Mapping
from typing import Any

from harness.backends.codex.shapes import object_of, objects_of, text_of, whole
from harness.backends.protocol import Ended
from wire.turns import Outcome, Usage

REASON_CHARACTERS = 600

BY_INFO: dict[str, Outcome] = {
    "contextWindowExceeded": "context_full",
    "sessionBudgetExceeded": "budget",
    "usageLimitExceeded": "rate_limited",
    "rateLimitExceeded": "rate_limited",
    "serverOverloaded": "overloaded",
    "flexUnavailable": "overloaded",
    "policyCapacityUnavailable": "overloaded",
    "internalServerError": "overloaded",
    "modelNotFound": "bad_model",
    "unauthorized": "auth",
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
    504: "overloaded",
}
Words = tuple[tuple[str, Outcome], ...]

SURE: Words = (
    ("required mcp servers failed", "mcp_missing"),
    ("quota exceeded", "credit"),  # its kind is the same as that of a limit which ends by itself
    ("out of credits", "credit"),
    ("incomplete response", "crashed"),  # refused or cut off: it has the words of a lost connection too
)
"""They go before the kind of the error."""
BY_WORDS: Words = (
    *SURE,
    ("room in the model's context window", "context_full"),
    ("usage limit", "rate_limited"),
    ("429 too many requests", "rate_limited"),
    ("401 unauthorized", "auth"),
    ("403 forbidden", "auth"),
    ("not logged in", "auth"),
    ("log in again", "auth"),
    ("sign in again", "auth"),
    ("refresh token", "auth"),
    ("at capacity", "overloaded"),
    ("high demand", "overloaded"),
    ("does not exist", "bad_model"),
    ("model is not supported", "bad_model"),
    ("error sending request", "offline"),
    ("stream disconnected", "offline"),
    ("connection failed", "offline"),
    ("failed to load configuration", "missing_program"),
)
"""Looked for where no kind and no status says it; in this order."""

LOST = ("no rollout found", "invalid session id", "thread not found")


def judge(turn: Mapping[str, Any], usage: Usage | None, limits: Mapping[str, Any]) -> Ended:
    """Say how a turn ended that gave this `turn/completed`; `limits` is what was said last of the account's limits."""
    error = object_of(turn.get("error"))
    match turn.get("status"):
        case "completed":
            return Ended("completed", usage=usage)
        case "interrupted":
            return Ended("interrupted", text_of(error.get("message")) or "it was interrupted", usage)
        case _:
            outcome, words = outcome_of(error), words_of(error)
            until_ms = reset_ms(limits) if outcome == "rate_limited" else None
            return Ended(outcome, words[:REASON_CHARACTERS], usage, until_ms=until_ms)


def outcome_of(error: Mapping[str, Any]) -> Outcome:
    """Tell failures apart, by words that are unmistakable, then by kind and status, then by all words."""
    words, info = words_of(error), error.get("codexErrorInfo")
    status = status_of(info)
    kind = BY_INFO.get(info) if isinstance(info, str) else None
    return (
        by_words(words, SURE)
        or kind
        or (BY_STATUS.get(status) if status is not None else None)
        or by_words(words)
        or "crashed"
    )


def by_words(words: str, table: Words = BY_WORDS) -> Outcome | None:
    """Tell failures apart where there is nothing but words."""
    lower = words.lower()
    return next((outcome for part, outcome in table if part in lower), None)


def status_of(info: object) -> int | None:
    """Give the HTTP status that stands in a kind of error."""
    found = (object_of(detail).get("httpStatusCode") for detail in object_of(info).values())
    return next((status for status in found if isinstance(status, int)), None)


def words_of(error: Mapping[str, Any]) -> str:
    """Give what the program says about it."""
    parts = (text_of(error.get("message")), text_of(error.get("additionalDetails")))
    return "; ".join(part for part in parts if part) or "no reason was given"


def reason_of(words: str) -> str:
    """Shorten what the program said where it did not come to a turn; of a server that is missing it says a lot."""
    if by_words(words, SURE) == "mcp_missing":
        why = re.search(r"Client error: (.*?)(, when |$)", words, re.DOTALL)
        return "its MCP server is not connected" + (f": {why[1]}"[:REASON_CHARACTERS] if why else "")
    return words[-REASON_CHARACTERS:]


def reset_ms(limits: Mapping[str, Any]) -> int | None:
    """Give when a limit that is used up ends, in ms of the wall clock; None where the program did not say."""
    windows = objects_of([limits.get("primary"), limits.get("secondary")])
    full = [whole(one.get("resetsAt")) for one in windows if (one.get("usedPercent") or 0) >= 100]
    return max(full) * 1000 if any(full) else None


def lost_session(words: str) -> bool:
    """Say whether the program does not know the thread that it was to go on with."""
    lower = words.lower()
    return any(part in lower for part in LOST)
