"""opencode: the events of `opencode run --format json`, those of its server's bus, and the server's whole answers."""

from console.transcripts.happening import Happening
from console.transcripts.shapes import Record, arguments_of, object_of, objects_of, sentence, text_of

LAST = "tool-calls"
"""A step that ends so is not the last one."""
BAD_ENDS = ("error", "length", "content-filter")


def read(record: Record) -> list[Happening] | None:
    """Tell what a line of it says; None where it is not one of its lines."""
    if "info" in record and "parts" in record:
        return [happened for part in objects_of(record["parts"]) for happened in _part(part)]
    if "properties" in record:
        return _news(text_of(record.get("type")), object_of(record["properties"]))
    if "sessionID" not in record:
        return None
    if record.get("type") == "error":
        return [Happening("failed", _error(object_of(record.get("error"))))]
    return _part(object_of(record.get("part")))


def _news(kind: str, properties: Record) -> list[Happening]:
    match kind:
        case "message.part.updated":
            part = object_of(properties.get("part"))
            # Of a text, every piece is news; what is said is said when it has an end.
            unfinished = part.get("type") in ("text", "reasoning") and "end" not in object_of(part.get("time"))
            return [] if unfinished else _part(part)
        case "session.error":
            return [Happening("failed", _error(object_of(properties.get("error"))))]
        case "permission.asked" | "permission.updated":
            wanted = text_of(properties.get("title")) or text_of(properties.get("permission"))
            return [Happening("noted", f"asks to be allowed: {sentence(wanted, text_of(properties.get('patterns')))}")]
        case _:
            return []


def _part(part: Record) -> list[Happening]:
    match part.get("type"):
        case "text":
            return [Happening("said", text_of(part.get("text")))]
        case "reasoning":
            return [Happening("thought", text_of(part.get("text")))]
        case "tool":
            return _tool(text_of(part.get("tool")), object_of(part.get("state")))
        case "step-finish" if part.get("reason") != LAST:
            reason = text_of(part.get("reason"))
            return [Happening("ended", reason, bad=reason in BAD_ENDS)]
        case "compaction":
            return [Happening("noted", "its history becomes a summary")]
        case _:
            return []


def _tool(name: str, state: Record) -> list[Happening]:
    """Tell of a call when it has ended: while it runs it is news again and again."""
    called = Happening("called", arguments_of(state.get("input")), name)
    match state.get("status"):
        case "completed":
            return [called, Happening("returned", text_of(state.get("output")))]
        case "error":
            return [called, Happening("returned", text_of(state.get("error")), bad=True)]
        case _:
            return []


def _error(error: Record) -> str:
    return sentence(text_of(error.get("name")), text_of(object_of(error.get("data")).get("message")))
