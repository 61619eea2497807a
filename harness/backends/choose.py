"""Which backend an agent's settings ask for."""

from harness.backends.claude.backend import ClaudeBackend
from harness.backends.command import CommandBackend
from harness.backends.protocol import Backend
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
        case "none":
            return None
