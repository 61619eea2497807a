"""How both of OpenAI's APIs put a failure."""

from tests.fakes.models.dialect import Json
from tests.fakes.models.talk import Failing, Failure

_ERRORS: dict[Failing, tuple[int, str, str, str]] = {
    "bad_key": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    "forbidden": (403, "invalid_request_error", "forbidden", "Your organization does not have access to this model."),
    "no_model": (404, "invalid_request_error", "model_not_found", "The model `no-such-model` does not exist."),
    "credit": (
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "context": (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
    ),
    "rate_limit": (429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    "quota": (429, "usage_limit_reached", "usage_limit_reached", "The usage limit has been reached"),
    "broken": (500, "server_error", "server_error", "The server had an error while processing your request."),
    "overloaded": (503, "server_error", "server_is_overloaded", "The engine is currently overloaded."),
}


def refuse(failure: Failure) -> tuple[int, Json]:
    """Give the status and the error object."""
    status, kind, code, words = _ERRORS[failure.kind]
    error: Json = {"message": failure.words or words, "type": kind, "param": None, "code": code}
    if failure.kind == "quota":
        error |= {"plan_type": "plus", "resets_at": failure.resets_at_s}
    return status, error
