"""What the broker says unasked, handed to whoever listens in this process.

Bounded: a listener that falls behind loses pushes and is told so with a `gap`, then looks itself.
"""

from dataclasses import dataclass

from anyio import BrokenResourceError, ClosedResourceError, create_memory_object_stream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from wire.fleet import Push

BUFFERED = 256
"""Pushes that may wait for one listener; the last place is kept for the `gap`."""


@dataclass(eq=False, slots=True)
class _Listener:
    stream: MemoryObjectSendStream[Push]
    behind: bool = False
    """It has been given a `gap`, and nothing since."""


class Pushes:
    """One source, any number of listeners."""

    def __init__(self) -> None:
        self._listeners: list[_Listener] = []

    def subscribe(self) -> MemoryObjectReceiveStream[Push]:
        """Give a stream of all pushes from now on; closing it ends the subscription."""
        send, receive = create_memory_object_stream[Push](BUFFERED)
        self._listeners.append(_Listener(send))
        return receive

    def publish(self, push: Push) -> None:
        """Hand a push to every listener; never blocks."""
        self._listeners = [listener for listener in self._listeners if _took(listener, push)]

    def close(self) -> None:
        """Say no more: every stream ends after what it still holds."""
        for listener in self._listeners:
            listener.stream.close()
        self._listeners.clear()


def _took(listener: _Listener, push: Push) -> bool:
    """Say whether the listener is still there."""
    used = listener.stream.statistics().current_buffer_used
    try:
        if used < BUFFERED - 1:
            listener.behind = False
            listener.stream.send_nowait(push)
        elif not listener.behind:
            listener.behind = True
            listener.stream.send_nowait(Push(event="gap"))
    except (BrokenResourceError, ClosedResourceError):
        listener.stream.close()
        return False
    return True
