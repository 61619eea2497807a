"""Brains: one that follows a list, and one that works through its mail the way a good agent does."""

from collections import deque
from collections.abc import Callable
from inspect import isawaitable

from tests.fakes.models.mail import Letter, read_mail
from tests.fakes.models.talk import Brain, Heard, Reply, Tool, ToolCall

Answer = Callable[[Letter], str | None]
"""What to write back to a letter; None writes nothing."""


class ScriptOverError(LookupError):
    """A program asked once more than its script has answers."""


class Script:
    """Gives its steps one after the other; a step is an answer, or a brain that makes it of what was heard.

    A request that a program repeats takes a step too. Behind the last step comes `then`, as often as it is wanted.
    """

    def __init__(self, *steps: Reply | Brain, then: Reply | Brain | None = None) -> None:
        self._steps = deque(steps)
        self._then = then

    @property
    def left(self) -> int:
        """How many steps nobody asked for yet."""
        return len(self._steps)

    async def __call__(self, heard: Heard) -> Reply:
        """Give the next step.

        Raises:
            ScriptOverError: there is none.
        """
        step = self._steps.popleft() if self._steps else self._then
        if step is None:
            news = heard.news[:500]
            raise ScriptOverError(f"{heard.conversation}: there is no step for request {heard.number} with {news!r}")
        if isinstance(step, Reply):
            return step
        reply = step(heard)
        return await reply if isawaitable(reply) else reply


def write_back(letter: Letter) -> str | None:
    """Answer everything but answers, reminders and notices: two agents that do so come to an end."""
    if letter.in_reply_to or letter.closed or letter.kind in {"system", "reminder"}:
        return None
    return f"done: {letter.body}"


class Drain:
    """Answers each letter, looks for more while it is told that there is more, and ends the turn.

    It keeps nothing between two requests: whatever brings it back after a kill, it does what the request says.
    """

    def __init__(self, answer: Answer = write_back, *, closing: str = "All mail is answered.") -> None:
        self._answer = answer
        self._closing = closing

    def __call__(self, heard: Heard) -> Reply:
        """Do what the news asks for."""
        batch = read_mail(heard.news)
        calls = [call for letter in batch.letters if (call := self._write(letter)) is not None]
        if batch.waiting:
            calls.append(ToolCall(Tool("recv_batch"), {}))
        return Reply(calls=tuple(calls)) if calls else Reply(self._closing)

    def _write(self, letter: Letter) -> ToolCall | None:
        words = self._answer(letter)
        if words is None:
            return None
        if letter.ask is not None:
            return ToolCall(Tool("answer"), {"id": letter.ask, "answer": words})
        return ToolCall(Tool("send"), {"to": letter.sender, "body": words, "in_reply_to": letter.id})
