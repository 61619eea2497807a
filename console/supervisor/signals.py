"""The signals that stop a fleet."""

import signal

import anyio
from anyio.abc import TaskStatus

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, `queenpost down` and systemd, a terminal that was closed."""
DRAINING = signal.SIGUSR1
"""`queenpost down --drain`; the harness understands it too."""


async def stop_on_signals(
    stop: anyio.Event, drain: anyio.Event | None = None, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Set `stop` at the first of them; those that follow change nothing: the end has a bound of its own.

    `drain` is set where the turns that run may finish first; without it, that is a stop like the others.
    """
    with anyio.open_signal_receiver(*STOPPING, DRAINING) as signals:
        task_status.started()
        async for number in signals:
            wanted = drain if number == DRAINING and drain is not None else stop
            wanted.set()
