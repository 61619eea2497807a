"""docs/protocol.md says what the op table, the error tree and the bounds say."""

from pathlib import Path

from broker.edge import connection, server
from wire import turns
from wire.codec import MAX_FRAME_BYTES, MAX_HELLO_BYTES
from wire.errors import CODES
from wire.fleet import PROTOCOL, Push
from wire.ops import OPS, Op
from wire.transport import MAX_QUEUED_BYTES

TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


def _row(op: Op) -> str:
    fields = op.request.model_fields
    takes = [name if fields[name].is_required() else f"{name}?" for name in fields if name not in ("id", "as_", "op")]
    flags = [flag for flag, set_ in (("key", op.mutates), ("attached", op.attached), ("parks", op.parks)) if set_]
    rights = ", ".join(sorted(op.rights))
    gives = " ".join(op.result.model_fields)
    return f"| `{op.name}` | {rights} | {' '.join(takes) or '–'} | {gives} | {', '.join(flags)} |"


def test_every_op_stands_in_the_document_as_it_is() -> None:
    """DESIGN 4: one table maps op to request, result and roles; the document shows the same."""
    missing = [_row(op) for op in OPS.values() if _row(op) not in TEXT]
    assert missing == []


def test_every_error_code_and_event_is_explained() -> None:
    """DESIGN 4: codes are few and stable, and each is described."""
    events = Push.model_json_schema()["properties"]["event"]["enum"]
    assert [word for word in (*CODES, *events) if f"| `{word}` |" not in TEXT] == []


def test_the_bounds_in_the_document_are_those_of_the_program() -> None:
    """DESIGN 4 Bounds."""
    assert (PROTOCOL, MAX_FRAME_BYTES, MAX_HELLO_BYTES, MAX_QUEUED_BYTES) == (1, 2**20, 4096, 4 * 2**20)
    assert (server.MAX_UNWELCOMED, connection.MAX_IN_FLIGHT, connection.MAX_IN_FLIGHT_PER_AGENT) == (
        64,
        1024,
        8,
    )
    for words in (
        "Version 1.",
        "at most 1 MiB, 4 KiB before",
        "64 connections",
        "1,024 requests",
        "8 for one agent",
        "4 MiB",
    ):
        assert words in TEXT
    assert connection.HELLO_WITHIN_S == 5


def test_the_outcomes_that_count_are_those_of_the_table() -> None:
    """DESIGN 5.5: which outcome is the mail's fault stands in one table."""
    counted = next(line for line in TEXT.splitlines() if line.startswith("| `crashed`"))
    assert {word.strip("`") for word in counted.split("|")[1].split()} == turns.COUNTED
