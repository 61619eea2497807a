"""What the end of a turn at a terminal means. Golden examples of a real program lie in tests/golden/pty."""

from dataclasses import dataclass

from harness.backends.command import judge as judge_exit
from harness.backends.protocol import Ended
from wire.settings_pty import PtyFailure

REASON_CHARACTERS = 600

INTERRUPTED = Ended("interrupted", "it was interrupted")
NO_TOOL = Ended("crashed", "it came back to its prompt, twice, without having used a tool of queenpost")
ASKS_AGAIN = Ended("crashed", "it asks again and again what it was answered; see `answers` of its pty table")


@dataclass(frozen=True, slots=True)
class AtPrompt:
    """What is known when the program is back at its prompt."""

    interrupted: bool
    failure: tuple[PtyFailure, str] | None
    used_tools: bool
    reminded: bool
    """It was told already that it has used no tool."""


def judge(back: AtPrompt) -> Ended | None:
    """Say how the turn ended; None: it may go on, once it was told that it has used no tool."""
    if back.interrupted:
        return INTERRUPTED
    if back.failure is not None:
        failure, words = back.failure
        return Ended(failure.outcome, words[:REASON_CHARACTERS])
    if back.used_tools:
        return Ended("completed")
    return NO_TOOL if back.reminded else None


def no_prompt(start_s: float, shown: str) -> Ended:
    """Say that the program never came to its prompt."""
    why = f"its prompt did not show within {start_s:g} s; see `ready` and `answers` of its pty table. It shows: {shown}"
    return Ended("crashed", why[:REASON_CHARACTERS])


def not_attached(attach_s: float) -> Ended:
    """Say that the program has none of our tools."""
    why = f"it did not attach the MCP server queenpost within {attach_s:g} s"
    return Ended("mcp_missing", f"{why}; see its arguments, or set attach_s = 0 where it does so when it uses a tool")


def gone(status: int | None, shown: str) -> Ended:
    """Say that the program ended before its turn did, whatever its status says."""
    ended = judge_exit(status if status is not None else 1)
    how = f"was {ended.reason}" if ended.reason.startswith("killed") else ended.reason or "exited with status 0"
    return Ended("crashed", f"it {how} before it was back at its prompt: {shown}"[:REASON_CHARACTERS])
