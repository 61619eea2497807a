"""Which of our tools an agent's program calls: our own knowledge, of programs that do not say it."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

Listener = Callable[[str], None]


class ToolCalls:
    """The calls of one agent, for as long as it is hosted."""

    def __init__(self) -> None:
        self.made = 0
        """So far, those that run included."""
        self.running = 0
        """Now: whoever waits for one is at work, whatever else it shows."""
        self._listeners: list[Listener] = []

    @contextmanager
    def call(self, name: str) -> Generator[None]:
        """Note a call; it lasts for as long as the context."""
        self.made += 1
        self.running += 1
        for listener in self._listeners:
            listener(name)
        try:
            yield
        finally:
            self.running -= 1

    @contextmanager
    def told(self, listener: Listener) -> Generator[None]:
        """Have somebody told of each call that begins in the context. It is called at once, and must not raise."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
