"""What each recorded screen has to be seen as; the golden screens and the real program are held against it."""

from dataclasses import dataclass
from typing import Literal

from wire.turns import Outcome


@dataclass(frozen=True)
class Expected:
    """What is to be seen, and how the turn of the real program ended."""

    kind: Literal["question", "ready", "busy", "other"]
    outcome: Outcome
    tool: str = ""
    detail: str = ""
    failure: Outcome | None = None
    words: str = ""
    """In the reason."""


EXPECTED: dict[str, Expected] = {
    "trust": Expected("question", "crashed", words="its prompt did not show"),
    "completed": Expected("ready", "completed"),
    "working": Expected("busy", "interrupted"),
    "permission": Expected("question", "completed", "Bash", "python3 -c 'print(6*7)'"),
    "allowed": Expected("ready", "completed"),
    "denied": Expected("ready", "completed"),
    "no_tool": Expected("ready", "crashed", words="twice, without having used a tool"),
    "rate_limited": Expected("ready", "rate_limited", failure="rate_limited", words="(429)"),
    "overloaded": Expected("ready", "overloaded", failure="overloaded", words="verloaded"),
    "bad_key": Expected("ready", "auth", failure="auth", words="Invalid API key"),
    "interrupted": Expected("ready", "interrupted"),
}
"""By the name of a case; see `tests.e2e.pty_cases` for how each comes about."""
