"""What is counted of a turn beside the program's own figures."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.tally import MOST_CALLS, Tally
from wire.turns import MAX_TOOL_NAME, MAX_TOOLS, Usage, by_tool


def test_it_fills_in_what_the_program_does_not_say(tmp_path: Path) -> None:
    """[H37] Issue 4.8: tools by name, their number, the size of the notes."""
    (tmp_path / "notes.md").write_text("remember\n")
    tally = Tally(tmp_path)
    for tool in ("Bash", "Read", "Bash"):
        tally.used(tool)
    assert tally.usage(None) == Usage(tool_calls=3, tools={"Bash": 2, "Read": 1}, notes_bytes=9)
    own = Usage(input_tokens=5, tool_calls=7)
    assert tally.usage(own) == Usage(input_tokens=5, tool_calls=7, tools={"Bash": 2, "Read": 1}, notes_bytes=9)
    assert tally.usage(Usage(tools={"Grep": 1})).tools == {"Grep": 1}


def test_a_program_that_reports_no_tools_used_an_unknown_number(tmp_path: Path) -> None:
    """Ours: unknown is not none; notes that were never written have no bytes."""
    assert Tally(tmp_path).usage(None) == Usage(notes_bytes=0)


def test_notes_that_cannot_be_looked_at_fail_no_turn(tmp_path: Path) -> None:
    """[H37] Ours: a link that goes in circles; the size is unknown."""
    (tmp_path / "notes.md").symlink_to("notes.md")
    assert Tally(tmp_path).usage(None).notes_bytes is None


def test_a_program_that_loops_is_counted_within_bounds(tmp_path: Path) -> None:
    """Ours: what has no room is `other`; the close of the turn is never refused for it."""
    tally = Tally(tmp_path)
    for number in range(MOST_CALLS + 10):
        tally.used(f"tool-{number % 1000}" + "x" * 200)
    usage = tally.usage(None)
    assert usage.tool_calls == MOST_CALLS
    assert len(usage.tools) == MAX_TOOLS
    assert sum(usage.tools.values()) == MOST_CALLS
    assert max(map(len, usage.tools)) == MAX_TOOL_NAME
    assert Usage.model_validate_json(usage.model_dump_json()) == usage


def test_the_wire_refuses_more() -> None:
    """Ours: as many as `by_tool` makes of any names, and no more."""
    assert by_tool(["other", "other"]) == {"other": 2}
    with pytest.raises(ValidationError):
        Usage(tools={f"tool-{number}": 1 for number in range(MAX_TOOLS + 1)})
    with pytest.raises(ValidationError):
        Usage(tools={"x" * (MAX_TOOL_NAME + 1): 1})
