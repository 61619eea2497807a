"""Codex at a terminal, in the agent's own thread."""

from functools import partial

from harness.backends.codex import launch
from harness.backends.codex.window import logged_in
from harness.backends.door import Door
from harness.backends.seat import Seat
from harness.backends.session_file import Session


def door(seat: Seat, session: Session, *, fork: bool) -> Door:
    """Give the start of the program in this thread, or in a copy of it.

    Raises:
        NotStartedError: it cannot be started.
    """
    environment = launch.environment_of(seat)
    launch.find(seat, environment)
    program, mode = launch.program_of(seat), launch.mode_of(seat.settings)
    settings = [*launch.overrides(seat, environment), *seat.settings.args]
    named = [*program, "fork" if fork else "resume", session.id]
    model = ["--model", seat.settings.model] if seat.settings.model else []
    key = launch.key_of(seat, environment)
    if key is None:
        asking = ["--sandbox", mode.sandbox, "--ask-for-approval", mode.approvals]
        return Door([*named, *asking, *settings, *model], seat.cwd, environment)
    # A window takes no permissions for a thread that its server resumes: they are the server's.
    settings += ["-c", f'sandbox_mode="{mode.sandbox}"', "-c", f'approval_policy="{mode.approvals}"']
    beside = partial(logged_in, program, settings, environment, seat.cwd, key)
    return Door([*named, *model], seat.cwd, environment, beside=beside)
