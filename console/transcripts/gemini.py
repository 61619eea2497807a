"""Gemini CLI, `--output-format stream-json`: an object a line, told apart by `type`."""

from console.transcripts.happening import Happening
from console.transcripts.shapes import Record, arguments_of, object_of, sentence, text_of, tokens


def read(record: Record) -> list[Happening] | None:
    """Tell what a line of it says; None where it is not one of its lines."""
    match record.get("type"):
        case "init" if "session_id" in record:
            said = sentence("Gemini CLI", text_of(record.get("model")), f"session {text_of(record['session_id'])}")
            return [Happening("noted", said)]
        case "message" if "role" in record:
            kind = "told" if record["role"] == "user" else "said"
            return [Happening(kind, text_of(record.get("content")), more=record.get("delta") is True)]
        case "tool_use" if "tool_name" in record:
            return [Happening("called", arguments_of(record.get("parameters")), text_of(record["tool_name"]))]
        case "tool_result" if "tool_id" in record:
            bad = record.get("status") != "success"
            words = text_of(record.get("output")) or text_of(object_of(record.get("error")).get("message"))
            return [Happening("returned", words, bad=bad)]
        case "error" if "severity" in record:
            return [Happening("failed", text_of(record.get("message")))]
        case "result" if "status" in record:
            return [_result(record)]
        case _:
            return None


def _result(record: Record) -> Happening:
    status = text_of(record["status"])
    error, stats = object_of(record.get("error")), object_of(record.get("stats"))
    words = sentence(text_of(error.get("type")), text_of(error.get("message")))
    spent = tokens(stats.get("input_tokens"), stats.get("output_tokens"))
    return Happening("ended", sentence(status, words, spent), bad=status != "success")
