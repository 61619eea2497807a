"""Named places in the life of a turn at which a test stops or kills the harness. Every day they do nothing.

In their order: opened, composed, started, begun, called, ran, settled, closed. At `called` the broker has accepted
what a tool wanted, and the program does not know it yet.
"""

from collections.abc import Awaitable, Callable

STEPS = ("opened", "composed", "started", "begun", "called", "ran", "settled", "closed")

Checkpoint = Callable[[str], Awaitable[None]]
"""Told the name of each step that was taken."""


async def go_on(step: str) -> None:
    """The checkpoint of every day."""
