"""Requests to the program and their answers: JSON-RPC on lines, without its version field."""

from collections.abc import Callable
from typing import Any

import anyio

from harness.backends.codex.shapes import object_of, text_of

UNKNOWN_METHOD = -32601

Say = Callable[[dict[str, Any]], bool]
"""Has a line written to the program; False where it reads no more."""


class RefusedError(Exception):
    """The program answered with an error."""


class GoneError(Exception):
    """The program ended, or reads no more, before it answered."""


class _Open:
    def __init__(self) -> None:
        self.over = anyio.Event()
        self.answer: dict[str, Any] | None = None


class Calls:
    """What was asked of one run of the program."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._asked = 0
        self._open: dict[int, _Open] = {}
        self._gone = False

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask, and wait for the answer; the caller has a deadline.

        Raises:
            RefusedError: it is an error.
            GoneError: there will be none.
        """
        self._asked += 1
        number, waiting = self._asked, _Open()
        self._open[number] = waiting
        try:
            if self._gone or not self._say({"id": number, "method": method, "params": params}):
                raise GoneError(method)
            await waiting.over.wait()
        finally:
            del self._open[number]
        if waiting.answer is None:
            raise GoneError(method)
        if "error" in waiting.answer:
            raise RefusedError(text_of(object_of(waiting.answer["error"]).get("message")) or "no reason was given")
        return object_of(waiting.answer.get("result"))

    def tell(self, method: str, **params: Any) -> None:
        """Ask for something whose answer nobody waits for."""
        self._asked += 1
        self._say({"id": self._asked, "method": method, "params": params})

    def note(self, method: str) -> None:
        """Say something that has no answer."""
        self._say({"method": method})

    def answered(self, message: dict[str, Any]) -> None:
        """An answer came; one that nobody waits for is passed over."""
        number = message.get("id")
        if isinstance(number, int) and (waiting := self._open.get(number)) is not None:
            waiting.answer = message
            waiting.over.set()

    def close(self) -> None:
        """Nothing more will be answered."""
        self._gone = True
        for waiting in self._open.values():
            waiting.over.set()


def reply(request: object, result: dict[str, Any]) -> dict[str, Any]:
    """Make the line that answers a request of the program."""
    return {"id": request, "result": result}


def refusal(request: object, method: str) -> dict[str, Any]:
    """Make the line that answers a request which we do not know: it would wait for ever."""
    return {"id": request, "error": {"code": UNKNOWN_METHOD, "message": f"{method} is not supported"}}
