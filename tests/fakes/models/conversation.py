"""One agent's talk with its model: who answers, and what was heard."""

from inspect import isawaitable

import anyio

from tests.fakes.models.talk import Brain, Heard, Purpose, Reply

_BOUND = 100_000
"""Requests that nobody waited for."""


class Conversation:
    """What a test holds of one path prefix; made by `ModelServer.open`."""

    def __init__(self, name: str, url: str, brain: Brain) -> None:
        self.name = name
        self.url = url
        """Where the APIs lie: Claude Code and Gemini CLI take it as it is, the others want `/v1` behind it."""
        self.brain = brain
        """May be changed at any time."""
        self.aside: Brain = _answer_aside
        """Answers what is not part of a turn: summaries and titles."""
        self.heard: list[Heard] = []
        """What the brain was asked, in order."""
        self.asides: list[Heard] = []
        """The summaries and titles."""
        self.trouble: list[Exception] = []
        """What went wrong in a brain; raised again when the server is left."""
        self._asked, self._unread = anyio.create_memory_object_stream[Heard](_BOUND)

    @property
    def url_v1(self) -> str:
        """Where Codex and opencode look."""
        return f"{self.url}/v1"

    def count(self, purpose: Purpose) -> int:
        """Say how many requests with a purpose came."""
        return sum(heard.purpose == purpose for heard in (*self.heard, *self.asides))

    async def next(self) -> Heard:
        """Wait for a request, in the order of arrival; each is given once. The caller has a deadline."""
        return await self._unread.receive()

    async def answer(self, heard: Heard) -> Reply:
        """Let the brain answer; where it cannot, the program is told so in a way that it does not try again."""
        if heard.purpose == "turn":
            self.heard.append(heard)
            self._asked.send_nowait(heard)
            brain = self.brain
        else:
            self.asides.append(heard)
            brain = self.aside
        try:
            reply = brain(heard)
            return await reply if isawaitable(reply) else reply
        except Exception as exc:  # noqa: BLE001  # raised again when the server is left
            self.trouble.append(exc)
            return Reply.failing("forbidden", words=f"the test's brain failed: {exc!r}")

    def close(self) -> None:
        """Let nobody wait any more."""
        self._asked.close()
        self._unread.close()


def _answer_aside(heard: Heard) -> Reply:
    return Reply("<summary>What was said before, in short.</summary>" if heard.purpose == "summary" else "A title")
