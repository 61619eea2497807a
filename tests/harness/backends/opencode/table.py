"""What each way to end has to be read as; the golden transcripts and the real program are held against it."""

from dataclasses import dataclass

from wire.turns import Outcome


@dataclass(frozen=True)
class Expected:
    """How a turn ends."""

    outcome: Outcome
    words: str = ""
    """In the reason."""
    begun: bool | None = False
    """None: it depends on how much of an answer came through."""
    far: bool = False
    """The program says when it is over."""


EXPECTED: dict[str, Expected] = {
    "completed": Expected("completed", begun=True),
    "denied": Expected("completed", begun=True),
    "context_mended": Expected("completed", begun=True),
    "interrupted": Expected("interrupted", "Aborted", begun=True),
    "bad_key": Expected("auth", "Incorrect API key"),
    "forbidden": Expected("auth", "does not have access"),
    "no_model": Expected("bad_model", "does not exist"),
    "bad_model": Expected("bad_model", "Model not found: scripted/nope"),
    "credit": Expected("credit", "exceeded your current quota"),
    "context": Expected("context_full", "context window"),
    "rate_limit": Expected("rate_limited", "Rate limit reached"),
    "limit_until": Expected("rate_limited", "Rate limit reached", far=True),
    "broken": Expected("overloaded", "had an error while processing"),
    "overloaded": Expected("overloaded", "currently overloaded"),
    "offline": Expected("offline", "Unable to connect"),
    "disconnect": Expected("offline", "onnect", begun=None),
}
