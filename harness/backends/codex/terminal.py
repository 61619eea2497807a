"""Codex at a terminal, in the agent's own thread."""

from harness.backends.codex import launch
from harness.backends.door import Door
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from harness.backends.session_file import Session


def door(seat: Seat, session: Session, *, fork: bool) -> Door:
    """Give the start of the program in this thread, or in a copy of it.

    Raises:
        NotStartedError: it cannot be started.
    """
    environment = launch.environment_of(seat)
    launch.find(seat, environment)
    if launch.key_of(seat, environment) is not None:
        raise NotStartedError(
            "missing_program",
            "at a terminal Codex takes no API key from its environment, only a login of its own: "
            'give the agent an account with auth = "own", and log it in with `queenpost login`',
        )
    mode = launch.mode_of(seat.settings)
    argv = [
        *launch.program_of(seat),
        *("fork" if fork else "resume", session.id),
        *("--sandbox", mode.sandbox, "--ask-for-approval", mode.approvals),
        *launch.overrides(seat, environment),
        *(("--model", seat.settings.model) if seat.settings.model else ()),
        *seat.settings.args,
    ]
    return Door(argv, seat.cwd, environment)
