"""Whether Codex can run: it is there, new enough, and its rules can be read."""

from harness.backends.asking import ask_version
from harness.backends.codex import launch
from harness.backends.command import judge as judge_exit
from harness.backends.process import Launch
from harness.backends.protocol import NotStartedError, Probe
from harness.backends.seat import Seat

OLDEST = (0, 169)
"""The app-server of older ones was not looked at."""


async def probe(seat: Seat) -> Probe:
    """Look, without a turn and without a request to anybody."""
    try:
        environment = launch.environment_of(seat)
        launch.find(seat, environment)
    except NotStartedError as exc:
        return Probe(None, exc.reason)
    argv = [*launch.program_of(seat), "--version"]
    return await ask_version(Launch(argv, seat.cwd, environment, "", judge_exit, seat.grace_s), OLDEST)
