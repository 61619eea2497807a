"""A desk without a broker: mail that a test puts down, and a record of what became of it."""

from collections import deque
from typing import TypeVar

import anyio

from mcp_tools.claims import Claims, nowhere
from mcp_tools.desk import Received
from wire.errors import QueenpostError, Unknown
from wire.inbox import Mail
from wire.jobs import Job
from wire.model import Request, Result
from wire.settings import Role

R = TypeVar("R", bound=Result)


def letter(number: int, body: str = "hello", **fields: object) -> Mail:
    """Make a message as the broker would hand it over."""
    return Mail.model_validate(
        {"id": f"m{number}", "sender": "bob", "kind": "peer", "body": body, "sent_at_ms": 0, **fields}
    )


class FakeDesk:
    """Takes in memory. What is given back is there again, in front."""

    def __init__(self, agent: str = "alice", role: Role = "agent") -> None:
        self.agent = agent
        self.role: Role = role
        self.inbox: deque[Mail] = deque()
        self.answers: dict[type[Request], Result | QueenpostError | Exception] = {}
        """What `call` gives for each kind of request."""
        self.requests: list[Request] = []
        self.recvs: list[tuple[int, float, str | None]] = []
        """Maximum, wait and done of each recv."""
        self.given_back: list[str] = []
        self.wrote: list[str] = []
        self.refusal: Exception | None = None
        """What recv raises."""
        self.peek = False
        self.note: str | None = None
        self.parked = anyio.Event()
        """Set while somebody waits for mail."""
        self.left = anyio.Event()
        """Set when somebody stopped waiting without mail."""
        self.settled = anyio.Event()
        """Set when mail was written or given back."""
        self.claims = Claims(self, nowhere, lambda: 0)
        self._arrived = anyio.Event()

    async def claim_job(self) -> Job | None:
        """See `Desk`."""
        return await self.claims.claim("t1")

    def put(self, *mail: Mail) -> None:
        """Let mail arrive; whoever waits wakes."""
        self.inbox.extend(mail)
        self._arrived.set()

    async def call(self, request: Request, result: type[R], *, timeout_s: float = 30.0) -> R:
        """See `Desk`."""
        self.requests.append(request)
        answer = self.answers.get(type(request), Unknown("the test gave no answer for this"))
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, result)
        return answer

    async def recv(self, *, maximum: int, wait_s: float, done: str | None) -> Received:
        """See `Desk`."""
        self.recvs.append((maximum, wait_s, done))
        if self.refusal is not None:
            raise self.refusal
        if not self.inbox and wait_s:
            await self._park(wait_s)
        count = min(maximum, len(self.inbox))
        mail = [self.inbox[place] if self.peek else self.inbox.popleft() for place in range(count)]
        waiting = len(self.inbox) - (count if self.peek else 0)
        return Received(mail, waiting, None if self.peek else "t1", self.peek, self.note)

    async def _park(self, wait_s: float) -> None:
        self._arrived = anyio.Event()
        self.parked.set()
        try:
            with anyio.move_on_after(wait_s):
                await self._arrived.wait()
        except anyio.get_cancelled_exc_class():
            self.left.set()
            raise

    async def give_back(self, received: Received) -> None:
        """See `Desk`."""
        self.given_back += [mail.id for mail in received.mail]
        self.inbox.extendleft(reversed(received.mail))
        self.settled.set()

    async def written(self, received: Received) -> None:
        """See `Desk`."""
        self.wrote += [mail.id for mail in received.mail]
        self.settled.set()
