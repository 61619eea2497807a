"""What the answer of Gemini CLI to a prompt means for the turn. Golden examples lie in tests/golden/gemini."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from harness.backends.gemini.calls import as_object
from harness.backends.protocol import Ended
from wire.turns import Outcome, Usage

REASON_CHARACTERS = 600
LONGEST_RETRY_S = 7 * 86_400

BY_STOP: dict[str, Outcome] = {
    "end_turn": "completed",
    "cancelled": "interrupted",
    "max_tokens": "context_full",  # the next request would not have fitted, so none was made
    "max_turn_requests": "max_turns",
}
BY_CODE: dict[int, Outcome] = {
    -32000: "auth",
    401: "auth",
    403: "auth",
    404: "bad_model",
    429: "rate_limited",
    500: "overloaded",
    502: "overloaded",
    503: "overloaded",
    504: "overloaded",
}
"""HTTP statuses of the model's API, and the protocol's own number for a missing login."""
BY_WORDS: tuple[tuple[str, Outcome], ...] = (
    ("exceeds the maximum number of tokens", "context_full"),
    ("credits are depleted", "credit"),
    ("requires billing", "credit"),
    ("api key not valid", "auth"),
    ("api key expired", "auth"),
    ("api key is missing", "auth"),
    ("is not found for api version", "bad_model"),
    ("fetch failed", "offline"),
    ("enotfound", "offline"),
    ("econnrefused", "offline"),
    ("econnreset", "offline"),
    ("etimedout", "offline"),
)
"""Go before the code: a wrong key comes as 400 too, an unknown model and a dead network as 500. That a quota is used
up, with a word about billing, is said of each minute's quota too, so it is left to the code."""
CUT_OFF = "terminated"
"""All that it says when an answer broke off in the middle."""
_RETRY = re.compile(r"retry after (\d+(?:\.\d+)?)s")


def judge(answer: Mapping[str, Any], *, answered: bool, usage: Usage | None, now_ms: int) -> Ended:
    """Say how a turn ended whose prompt got this answer.

    `answered`: the model said or did something. Without, an `end_turn` is a refusal, or answers that were empty
    three times: the program gives up on them and says no word about it.
    """
    if "error" in answer:
        words = words_of(answer)
        return Ended(outcome_of(answer), words[:REASON_CHARACTERS], until_ms=_until_ms(words, now_ms))
    reason = str(as_object(answer.get("result")).get("stopReason"))
    outcome: Outcome = BY_STOP.get(reason, "crashed")
    if outcome == "completed" and not answered:
        return Ended("crashed", "the model gave no answer, or refused to", usage)
    return Ended(outcome, "" if outcome == "completed" else f"it stopped: {reason}", usage)


def outcome_of(answer: Mapping[str, Any]) -> Outcome:
    """Tell failures apart."""
    words = words_of(answer).lower()
    if words == CUT_OFF:
        return "offline"
    said: Outcome | None = next((outcome for part, outcome in BY_WORDS if part in words), None)
    code = as_object(answer.get("error")).get("code")
    return said or (BY_CODE.get(code, "crashed") if isinstance(code, int) else "crashed")


def words_of(answer: Mapping[str, Any]) -> str:
    """Give what the program says about it; the error of the model's API comes as JSON within the message."""
    error = as_object(answer.get("error"))
    message = str(error.get("message") or "no reason was given")
    with suppress(ValueError, RecursionError):
        message = str(as_object(as_object(json.loads(message)).get("error")).get("message") or message)
    details = as_object(error.get("data")).get("details")
    return f"{message}: {details}" if details else message


def usage_of(answer: Mapping[str, Any], tool_calls: int) -> Usage | None:
    """Give what the prompt cost: its own figures, not those of the session. Cached tokens and money are not said."""
    result = as_object(answer.get("result"))
    spent = as_object(as_object(as_object(result.get("_meta")).get("quota")).get("token_count"))
    if not spent:
        return None
    return Usage(
        input_tokens=_whole(spent.get("input_tokens")),
        output_tokens=_whole(spent.get("output_tokens")),
        tool_calls=tool_calls,
    )


def _until_ms(words: str, now_ms: int) -> int | None:
    found = _RETRY.search(words)
    if found is None:
        return None
    return now_ms + int(min(float(found[1]), LONGEST_RETRY_S) * 1000)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
