"""Which agents this process hosts, each with its keeper, and who hears what the broker says unasked."""

from collections.abc import Sequence

import anyio
from anyio.abc import TaskGroup, TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream

from harness.post import Counter, patiently
from harness.supervision.house import House
from harness.supervision.keeper import Keeper
from wire.agents import AgentsList, AgentsListed
from wire.fleet import Push
from wire.logs import get_logger

STOP_S = 3.0
"""How long programs and closes may take when the harness stops."""

MANAGER_FIRST_S = 30.0
"""How long the others wait at a start until the manager is attached, or was refused."""

log = get_logger("harness")


class Fleet:
    """The agents of this process. Without names: every agent that has a backend, now and later."""

    def __init__(self, house: House, names: Sequence[str], *, manager_first_s: float = MANAGER_FIRST_S) -> None:
        self.keepers: dict[str, Keeper] = {}
        self._house = house
        self._names = tuple(names)
        self._manager_first_s = manager_first_s
        self._tasks: TaskGroup
        self._draining = False
        self.nobody = False
        """Agents were named, and every one of them was refused."""

    @property
    def hosted(self) -> list[str]:
        """The agents that are attached."""
        return [name for name, keeper in self.keepers.items() if keeper.held]

    @property
    def refused(self) -> dict[str, str]:
        """Why the others are not."""
        return {name: keeper.refusal for name, keeper in self.keepers.items() if keeper.refusal}

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Host the agents until cancelled; started once each of them was attached or refused."""
        with self._house.client.pushes() as pushes:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._house.freezing.watch, self._freeze)
                await self._host_all(self._manager_first_s)
                self._tasks.start_soon(self._follow, pushes)
                for keeper in list(self.keepers.values()):
                    await keeper.settled.wait()
                self.nobody = bool(self._names) and not self.hosted
                task_status.started()

    async def drain(self) -> None:
        """Let the turns that run come to their ends, and open none; returns when none runs."""
        self._draining = True
        for keeper in self.keepers.values():
            keeper.drain()
        for keeper in self.keepers.values():
            await keeper.drained.wait()

    async def stop(self) -> None:
        """End every program, close every turn, detach every agent; gives up after `STOP_S`."""
        for keeper in self.keepers.values():
            keeper.stop()
        with anyio.move_on_after(STOP_S) as scope:
            for keeper in self.keepers.values():
                await keeper.done.wait()
        if scope.cancelled_caught:
            log.warning("stop_gave_up", after_s=STOP_S)

    async def on_link(self, link: Counter) -> None:
        """Attach on a new link, before anything else is sent on it; see `wire.client.OnLink`."""
        for keeper in list(self.keepers.values()):
            await keeper.on_link(link)

    async def _host_all(self, manager_first_s: float = 0.0) -> None:
        """Host whoever is not hosted yet; the manager's program is looked at before the others attach, at a start."""
        listed = await patiently(lambda: self._house.client.call(AgentsList(), AgentsListed))
        names = self._names or tuple(agent.name for agent in listed.agents if agent.backend != "none")
        manager = next((agent.name for agent in listed.agents if agent.role == "manager"), None)
        for name in sorted(names, key=lambda one: one != manager):
            if name not in self.keepers and not self._draining:
                self.keepers[name] = Keeper(name, self._house)
                self._tasks.start_soon(self.keepers[name].run, name=f"keeper of {name}")
                if name == manager and manager_first_s:
                    with anyio.move_on_after(manager_first_s):
                        await self.keepers[name].settled.wait()

    def _freeze(self) -> None:
        for name, keeper in self.keepers.items():
            if self._house.freezing.holds(name):
                keeper.freeze()

    async def _follow(self, pushes: MemoryObjectReceiveStream[Push]) -> None:
        async for push in pushes:
            try:
                await self._heed(push)
            except Exception:
                # The outermost handler of what the broker says: one push must not silence the next.
                log.exception("push_failed", push=push.event)

    async def _heed(self, push: Push) -> None:
        keeper = self.keepers.get(push.agent or "")
        match push.event:
            case "agents_changed":
                await self._heed_change(push, keeper)
            case "gap":
                await self._host_all()
                for every in list(self.keepers.values()):
                    await every.refresh()
            case "turn_revoked" if push.data.get("frozen"):
                if keeper is not None and push.data.get("turn") == keeper.turn:
                    keeper.freeze()
            case "turn_revoked":
                if keeper is not None and push.data.get("instance", self._house.instance) == self._house.instance:
                    keeper.fence("the broker gave the agent to another instance")
            case "wake_stalled" | "mail_now":
                self._heed_mail(push, keeper)
            case _:
                pass

    def _heed_mail(self, push: Push, keeper: Keeper | None) -> None:
        if keeper is None:
            return
        if push.event == "mail_now":
            keeper.interrupt(str(push.data.get("message")))
        else:
            keeper.restart_loop()

    async def _heed_change(self, push: Push, keeper: Keeper | None) -> None:
        if push.data.get("change") == "lend":
            if keeper is not None and push.data.get("instance") == self._house.instance:
                keeper.lend(now=push.data.get("now") is True)
            return
        if push.data.get("change") != "restart":
            await self._host_all()
        elif push.data.get("instance") != self._house.instance:
            return
        if keeper is not None:
            await keeper.refresh()
