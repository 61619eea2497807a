"""What is counted of one turn beside the program's own figures: the tools it used, the size of its agent's notes."""

from pathlib import Path

from wire.turns import Usage, by_tool

NOTES = "notes.md"
"""In the agent's own folder."""
MOST_CALLS = 100_000
"""Remembered of one turn; a program that loops may make more, and the first ones tell as much."""


class Tally:
    """One per turn."""

    def __init__(self, state: Path) -> None:
        self._notes = state / NOTES
        self._calls: list[str] = []

    def used(self, tool: str) -> None:
        """Count the call of a tool."""
        if len(self._calls) < MOST_CALLS:
            self._calls.append(tool)

    def usage(self, own: Usage | None) -> Usage:
        """Give the program's figures, filled up with ours where it says nothing."""
        figures = own or Usage()
        tools = figures.tools or by_tool(self._calls)
        calls = figures.tool_calls if figures.tool_calls is not None else (len(self._calls) or None)
        return figures.model_copy(update={"tools": tools, "tool_calls": calls, "notes_bytes": self._notes_bytes()})

    def _notes_bytes(self) -> int | None:
        try:
            return self._notes.stat().st_size
        except FileNotFoundError:
            return 0
        except OSError:  # a link that goes in circles, a folder that was closed to us: the turn has ended all the same
            return None
