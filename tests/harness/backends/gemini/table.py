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


EXPECTED: dict[str, Expected] = {
    "completed": Expected("completed", begun=True),
    "no_last_words": Expected("completed", begun=True),
    "tool_denied": Expected("completed", begun=True),
    "too_long_an_answer": Expected("completed", begun=True),
    "unknown_session": Expected("completed", begun=True),
    "refused": Expected("crashed", "the model gave no answer, or refused to"),
    "interrupted": Expected("interrupted", "it stopped: cancelled", begun=True),
    "max_turns": Expected("max_turns", "it stopped: max_turn_requests", begun=True),
    "overflow": Expected("context_full", "it stopped: max_tokens"),
    "context_full": Expected("context_full", "exceeds the maximum number of tokens"),
    "bad_key": Expected("auth", "API key not valid."),
    "bad_key_400": Expected("auth", "API key not valid."),
    "forbidden": Expected("auth", "does not have permission"),
    "no_login": Expected("auth", "Gemini API key is missing"),
    "no_model": Expected("bad_model", "models/no-such-model is not found"),
    "credit": Expected("credit", "credits are depleted"),
    "rate_limited": Expected("rate_limited", "Resource has been exhausted"),
    "quota": Expected("rate_limited", "You exceeded your current quota"),
    "quota_until": Expected("rate_limited", "Suggested retry after 3600s"),
    "overloaded": Expected("overloaded", "The model is overloaded."),
    "broken": Expected("overloaded", "An internal error has occurred."),
    "connection_lost": Expected("offline", "terminated", begun=True),
    "unreachable": Expected("offline", "fetch failed"),
    "no_tools": Expected("mcp_missing", "did not attach within"),
    "unknown_flag": Expected("crashed", "without a result: "),
}
