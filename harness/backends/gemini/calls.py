"""JSON-RPC 2.0 over the lines of a program: what we ask it, and what it answers.

It is deliberately *not* about what is asked: `harness.backends.gemini.backend` knows the agent client protocol.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import anyio

METHOD_NOT_FOUND = -32601

Say = Callable[[dict[str, Any]], bool]
"""Has a line written to the program; False where it reads no more."""


class GoneError(Exception):
    """The program ended, or reads no more: there is no answer."""


@dataclass(slots=True)
class _Open:
    """A call that waits for its answer."""

    over: anyio.Event = field(default_factory=anyio.Event)
    answer: dict[str, Any] | None = None


class Calls:
    """The calls to one program."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._open: dict[int, _Open] = {}
        self._made = 0
        self._closed = False

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask, and give the whole answer: it holds `result` or `error`.

        Raises:
            GoneError: there is none.
        """
        if self._closed:
            raise GoneError
        self._made += 1
        number = self._made
        waiting = self._open[number] = _Open()
        try:
            if not self._said(id=number, method=method, params=params):
                raise GoneError
            await waiting.over.wait()
        finally:
            del self._open[number]
        if waiting.answer is None:
            raise GoneError
        return waiting.answer

    def tell(self, method: str, **params: Any) -> None:
        """Say something that has no answer."""
        self._said(method=method, params=params)

    def answer(self, request: object, result: dict[str, Any]) -> None:
        """Answer what the program asked."""
        self._said(id=request, result=result)

    def refuse(self, request: object, method: str) -> None:
        """Answer that we know nothing of what the program asked: it would wait for ever."""
        self._said(id=request, error={"code": METHOD_NOT_FOUND, "message": f"{method} is not supported"})

    def answered(self, message: dict[str, Any]) -> None:
        """Take in an answer; one that nobody waits for is passed over."""
        number = message.get("id")
        waiting = self._open.get(number) if isinstance(number, int) else None
        if waiting is not None:
            waiting.answer = message
            waiting.over.set()

    def close(self) -> None:
        """Let nobody wait any more."""
        self._closed = True
        for waiting in self._open.values():
            waiting.over.set()

    def _said(self, **message: Any) -> bool:
        return self._say({"jsonrpc": "2.0", **message})


def as_object(value: object) -> dict[str, Any]:
    """Give an object, an empty one for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_objects(value: object) -> list[dict[str, Any]]:
    """Give the objects of a list."""
    return [as_object(one) for one in cast("list[object]", value)] if isinstance(value, list) else []
