"""The agent client protocol, as `gemini --acp` speaks it: JSON-RPC, with what happens in `session/update`."""

from console.transcripts.happening import Happening
from console.transcripts.shapes import Record, arguments_of, object_of, objects_of, sentence, text_of, tokens


def read(record: Record) -> list[Happening] | None:
    """Tell what a line of it says; None where it is not one of its lines."""
    if record.get("jsonrpc") != "2.0":
        return None
    match record.get("method"):
        case "session/update":
            return _update(object_of(object_of(record.get("params")).get("update")))
        case "session/request_permission":
            wanted = text_of(object_of(object_of(record.get("params")).get("toolCall")).get("title"))
            return [Happening("noted", f"asks to be allowed: {wanted}")]
        case str():
            return []
        case _:
            return _answer(record)


def _update(update: Record) -> list[Happening]:
    words = text_of(object_of(update.get("content")).get("text"))
    match update.get("sessionUpdate"):
        case "agent_message_chunk":
            return [Happening("said", words, more=True)]
        case "agent_thought_chunk":
            return [Happening("thought", words, more=True)]
        case "user_message_chunk":
            return [Happening("told", words)]
        case "tool_call":
            called = Happening("called", arguments_of(update.get("rawInput")), text_of(update.get("title")))
            return [called, *_returned(update)]
        case "tool_call_update":
            return _returned(update)
        case _:
            return []


def _returned(update: Record) -> list[Happening]:
    if update.get("status") not in ("completed", "failed"):
        return []
    parts = [object_of(part.get("content")).get("text") for part in objects_of(update.get("content"))]
    return [Happening("returned", "\n".join(map(text_of, parts)), bad=update["status"] == "failed")]


def _answer(record: Record) -> list[Happening]:
    if error := object_of(record.get("error")):
        return [Happening("failed", text_of(error.get("message")))]
    result = object_of(record.get("result"))
    if "stopReason" not in result:
        return []
    reason = text_of(result["stopReason"])
    count = object_of(object_of(object_of(result.get("_meta")).get("quota")).get("token_count"))
    spent = tokens(count.get("input_tokens"), count.get("output_tokens"))
    return [Happening("ended", sentence(reason.replace("_", " "), spent), bad=reason != "end_turn")]
