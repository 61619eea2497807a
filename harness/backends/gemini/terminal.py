"""Gemini CLI at a terminal, in the agent's own session."""

from harness.backends.door import Door
from harness.backends.gemini import launch
from harness.backends.seat import Seat
from harness.backends.session_file import Session

WITHOUT = (
    "without its mail tools: Gemini CLI takes them from a harness, and at a terminal only from the settings of a folder"
)


def door(seat: Seat, session: Session, *, fork: bool = False) -> Door:
    """Give the start of the program in this session; it makes no copy (`harness.backends.doors.refuse`).

    Raises:
        NotStartedError: it cannot be started.
    """
    environment = launch.environment_of(seat)
    launch.find(seat, environment)
    launch.write_settings(seat, environment)
    settings = seat.settings
    argv = [
        *launch.program_of(seat),
        *("--resume", session.id, "--skip-trust"),
        *(f"--policy={path}" for path in launch.write_policies(seat, environment)),
        f"--allowed-mcp-server-names={launch.SERVER}",
        *("--approval-mode", launch.MODES[settings.permissions]),
        *(("--model", settings.model) if settings.model else ()),
        *settings.args,
    ]
    return Door(argv, seat.cwd, environment, hint=WITHOUT)
