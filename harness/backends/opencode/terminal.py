"""opencode at a terminal, in the agent's own session."""

from harness.backends.door import Door
from harness.backends.opencode import launch
from harness.backends.seat import Seat
from harness.backends.session_file import Session


def door(seat: Seat, session: Session, *, fork: bool) -> Door:
    """Give the start of the program in this session, or in a copy of it. The agent's `args` are for its server.

    Raises:
        NotStartedError: it cannot be started.
    """
    environment = launch.environment_of(seat, "")
    environment.pop(launch.PASSWORD)  # nobody but its own window speaks to it
    environment.pop("OPENCODE_SERVER_USERNAME")
    launch.find(seat, environment)
    argv = [*launch.program_of(seat), "--session", session.id, *(["--fork"] if fork else [])]
    return Door(argv, seat.cwd, environment)
