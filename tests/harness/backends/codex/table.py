"""What each way to end has to be read as; the golden transcripts and the real program are held against it."""

from dataclasses import dataclass

from wire.turns import Outcome


@dataclass(frozen=True)
class Expected:
    """How a turn ends."""

    outcome: Outcome
    words: str = ""
    """In the reason."""
    begun: bool = False
    until_ms: int | None = None


EXPECTED: dict[str, Expected] = {
    "completed": Expected("completed", begun=True),
    "permission": Expected("completed", begun=True),
    "lost_once": Expected("completed", begun=True),
    "interrupted": Expected("interrupted", begun=True),
    "rate_limited": Expected("rate_limited", "429 Too Many Requests"),
    "quota": Expected("rate_limited", "hit your usage limit", until_ms=4_000_000_000_000),
    "overloaded": Expected("overloaded", "at capacity"),
    "broken": Expected("overloaded", "high demand"),
    "bad_key": Expected("auth", "401 Unauthorized"),
    "forbidden": Expected("auth", "403 Forbidden"),
    "no_model": Expected("bad_model", "does not exist"),
    "credit": Expected("credit", "Quota exceeded"),
    "context_full": Expected("context_full", "room in the model's context window"),
    "unreachable": Expected("offline", "error sending request"),
    "connection_lost": Expected("offline", "stream disconnected", begun=True),
    "too_long_an_answer": Expected("crashed", "max_output_tokens", begun=True),
    "refused": Expected("crashed", "content_filter", begun=True),
}
"""By the name of a case; those of `codex exec` have `exec_` before it."""

NEVER_COLD = ("permission", "interrupted")
"""Cases that `codex exec` does not know: it asks nobody, and an interrupt ends it without a word."""

COLD = {
    name: Expected(one.outcome, one.words, begun=one.begun and name != "connection_lost")
    for name, one in EXPECTED.items()
    if name not in NEVER_COLD
}
"""Those of `codex exec`, which tells of an answer only when the whole of it is there, and nothing of limits."""
