"""Which backend an agent's settings ask for."""

from harness.backends.claude.backend import ClaudeBackend
from harness.backends.codex.backend import CodexBackend
from harness.backends.codex.exec import CodexExecBackend, fits
from harness.backends.command import CommandBackend
from harness.backends.gemini.backend import GeminiBackend
from harness.backends.opencode.backend import OpencodeBackend
from harness.backends.protocol import Backend
from harness.backends.pty.backend import PtyBackend
from harness.backends.scripted import ScriptedBackend
from harness.backends.seat import Seat


def backend_for(seat: Seat) -> Backend | None:
    """Give the agent's backend; None for `none`, which nobody hosts."""
    match seat.settings.backend:
        case "command":
            return CommandBackend(seat)
        case "scripted":
            return ScriptedBackend(seat)
        case "claude":
            return ClaudeBackend(seat)
        case "codex":
            return CodexExecBackend(seat) if fits(seat.settings) else CodexBackend(seat)
        case "gemini":
            return GeminiBackend(seat)
        case "opencode":
            return OpencodeBackend(seat)
        case "pty":
            return PtyBackend(seat, settings) if (settings := seat.settings.pty) is not None else None
        case "none":
            return None
