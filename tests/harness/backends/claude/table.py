"""What each way to end has to be read as; the golden transcripts and the real program are held against it."""

from dataclasses import dataclass

from wire.turns import Outcome


@dataclass(frozen=True)
class Expected:
    """How a turn ends."""

    outcome: Outcome
    words: str = ""
    """In the reason."""
    begun: bool = True
    until_ms: int | None = None


EXPECTED: dict[str, Expected] = {
    "completed": Expected("completed"),
    "tool_denied": Expected("completed"),
    "late_line": Expected("completed"),
    "compacted": Expected("completed"),
    "shortened": Expected("completed"),
    "not_shortened": Expected("context_full", "could not be made shorter (Compaction failed", begun=False),
    "lost_once": Expected("completed"),
    "rate_limited": Expected("rate_limited", "Request rejected (429)", begun=False),
    "quota": Expected("rate_limited", "You've hit your", begun=False, until_ms=4_000_000_000_000),
    "overloaded": Expected("overloaded", "529 Overloaded", begun=False),
    "broken": Expected("overloaded", "500 Internal server error", begun=False),
    "bad_key": Expected("auth", "Invalid API key", begun=False),
    "forbidden": Expected("auth", "403", begun=False),
    "no_login": Expected("auth", "Not logged in", begun=False),
    "no_model": Expected("bad_model", "issue with the selected model", begun=False),
    "credit": Expected("credit", "Credit balance is too low", begun=False),
    "context_full": Expected("context_full", "Prompt is too long", begun=False),
    "max_turns": Expected("max_turns", "Reached maximum number of turns (2)"),
    "budget": Expected("budget", "Reached maximum budget ($0.01)"),
    "connection_lost": Expected("offline", "Connection to the API was lost", begun=False),
    "unreachable": Expected("offline", "onnect", begun=False),
    "refused": Expected("crashed", "safeguards|Usage Policy"),
    "too_long_an_answer": Expected("crashed", "output token maximum"),
    "interrupted": Expected("interrupted"),
    "no_tools": Expected("mcp_missing", "its MCP server queenpost is failed", begun=False),
    "unknown_flag": Expected("crashed", "unknown option '--no-such-flag'", begun=False),
    "unknown_session": Expected("interrupted", "does not know its session", begun=False),
}
"""By the name of a case; see `tests.e2e.claude_cases` for how each comes about."""
