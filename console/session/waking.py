"""Wakes a session that is idle while mail waits for its agent: listens to the broker, and rings.

What rings is the program's own way to be woken: `console.session.door` for Claude Code, `queueing` for Codex. It asks
the broker and takes no mail; nothing here ends a session, whatever goes wrong.
"""

from collections.abc import Callable
from typing import Protocol

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from console.cli.failing import innermost
from console.session.door import Said
from console.session.insisting import Insisting, Waiting
from wire.agents import AgentsShow, AgentsShown
from wire.backoff import Backoff
from wire.client import BrokerClient
from wire.clock import Clock
from wire.errors import QueenpostError
from wire.fleet import Push
from wire.inbox import InboxPeek, InboxPeeked
from wire.logs import get_logger

STIRRING = frozenset({"mail_waiting", "agents_changed", "gap"})
"""Pushes after which something may be due."""

UNTAKING = frozenset({"paused", "frozen", "stopped"})
"""States in which a session that was woken would get nothing."""

LOOK_AGAIN_S = 300.0
"""After what did not work, should nothing stir before."""

STARTS = frozenset({"startup", "resume", "clear"})
"""Sources of a session's start after which its model knows of nothing; not so after a compaction."""

log = get_logger("session")


class Bell(Protocol):
    """What wakes the model of a session."""

    @property
    def is_ready(self) -> bool:
        """Say whether ringing would be heard."""
        ...

    async def ring(self, count: int) -> bool:
        """Tell the model that so many messages wait; False where it was not heard."""
        ...


class Growing:
    """Waits that double."""

    def __init__(self, first_s: float, cap_s: float) -> None:
        self._first_s = self._now_s = first_s
        self._cap_s = cap_s

    def next_s(self) -> float:
        """Give the next wait."""
        now_s, self._now_s = self._now_s, min(self._now_s * 2, self._cap_s)
        return now_s

    def reset(self) -> None:
        """Start small again."""
        self._now_s = self._first_s


Connect = Callable[[], BrokerClient]


class Waker:
    """Rings for one agent's session."""

    def __init__(self, agent: str, bell: Bell, clock: Clock, note: Callable[[int], None]) -> None:
        self._agent = agent
        self._bell = bell
        self._clock = clock
        self._note = note
        """Called with how much mail the session was told of, so that its hooks do not tell it again."""
        self._insisting = Insisting()
        self._hook_names_it = False
        """The end of a turn has named what waits: see `mcp_tools/hooks/session.py`."""
        self._starting = Growing(0.1, 30.0)
        """When to look again for a program whose tools have not started yet: woken now, it could not call recv."""
        self._stirred = anyio.Event()

    def heard(self, said: Said) -> None:
        """Follow what happens in the session."""
        if said.event == "SessionStart" and said.source in STARTS:
            self._insisting.forget()
        self._hook_names_it = said.event == "Stop" and not said.again
        self._starting.reset()
        self.stir()

    def stir(self) -> None:
        """Have a look: something is different."""
        self._stirred.set()

    async def run(self, connect_agent: Connect, connect_operator: Connect) -> None:
        """Listen until cancelled, on one connection after the other."""
        backoff = Backoff(1.0, 60.0)
        while True:
            try:
                async with connect_operator() as operator, connect_agent() as agent:
                    backoff.reset()
                    await self._follow(agent, operator)
            except* QueenpostError as group:
                log.warning("session_not_followed", agent=self._agent, reason=str(innermost(group)))
            await anyio.sleep(backoff.next_s())

    async def _follow(self, agent: BrokerClient, operator: BrokerClient) -> None:
        with agent.pushes() as pushes:
            async with anyio.create_task_group() as group:
                group.start_soon(self._listen, pushes)
                while True:
                    self._stirred = anyio.Event()
                    wait_s = await self._look(agent, operator)
                    with anyio.move_on_after(wait_s):
                        await self._stirred.wait()

    async def _listen(self, pushes: MemoryObjectReceiveStream[Push]) -> None:
        async for push in pushes:
            if push.event in STIRRING:
                self.stir()

    async def _look(self, agent: BrokerClient, operator: BrokerClient) -> float | None:
        """Ring if that is due; gives when to look again, None for when something stirs."""
        peeked = await agent.call(InboxPeek(max=1), InboxPeeked)
        seen = Waiting(peeked.waiting, peeked.mail[0].id if peeked.mail else None)
        if self._hook_names_it:
            self._hook_names_it = False
            if seen.count:
                self._insisting.told(seen, self._clock.now_ms())
        due_in_s = self._insisting.due_in_s(seen, self._clock.now_ms())
        if due_in_s != 0 or not self._bell.is_ready:
            return due_in_s or None
        shown = await operator.call(AgentsShow(agent=self._agent), AgentsShown)
        if not shown.agent.attached:
            return self._starting.next_s()
        if shown.agent.state in UNTAKING:
            return LOOK_AGAIN_S
        self._note(seen.count)
        if not await self._bell.ring(seen.count):
            return LOOK_AGAIN_S
        self._insisting.told(seen, self._clock.now_ms())
        log.info("session_woken", agent=self._agent, waiting=seen.count)
        return self._insisting.due_in_s(seen, self._clock.now_ms())
