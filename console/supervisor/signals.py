"""The signals that stop a fleet."""

import signal

import anyio
from anyio.abc import TaskStatus

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, `queenpost down` and systemd, a terminal that was closed."""


async def stop_on_signals(stop: anyio.Event, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    """Set `stop` at the first of them; those that follow change nothing: the end has a bound of its own."""
    with anyio.open_signal_receiver(*STOPPING) as signals:
        task_status.started()
        async for _ in signals:
            stop.set()
