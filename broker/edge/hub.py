"""Which connections there are, which one speaks for an agent, and who is told what."""

from collections.abc import Callable
from typing import Protocol

from broker.services.credentials import Shown
from wire.fleet import Principal, Push


class Line(Protocol):
    """A welcomed connection as the hub sees it."""

    principal: Principal
    shown: Shown

    def holds(self, agent: str, instance: str | None = None) -> bool:
        """Say whether the agent is attached here, by that instance if one is named."""
        ...

    def push(self, push: Push) -> None:
        """Send an event; dropped, and made good by a `gap`, where the other side does not read."""
        ...

    def forget(self, agent: str) -> None:
        """Speak for the agent no more, until it is attached again."""
        ...

    def close(self) -> None:
        """End the connection after what was said on it; it is heard no more."""
        ...


class Hub:
    """All welcomed connections. Lookups by agent are by the connection that attached last."""

    def __init__(self) -> None:
        self._lines: dict[Line, None] = {}
        self._holders: dict[str, Line] = {}
        self._listeners: dict[str, dict[Line, None]] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def lines(self) -> list[Line]:
        """List all welcomed connections."""
        return list(self._lines)

    def add(self, line: Line) -> None:
        """Count a connection in; an agent's own one hears of mail for the agent."""
        self._lines[line] = None
        if line.principal.kind == "agent":
            self._listeners.setdefault(line.principal.name, {})[line] = None

    def remove(self, line: Line) -> None:
        """Count a connection out."""
        self._lines.pop(line, None)
        listeners = self._listeners.get(line.principal.name)
        if line.principal.kind == "agent" and listeners is not None:
            listeners.pop(line, None)
            if not listeners:
                del self._listeners[line.principal.name]
        for agent in [name for name, holder in self._holders.items() if holder is line]:
            del self._holders[agent]

    def attached(self, agent: str, line: Line) -> None:
        """This connection speaks for the agent from now on."""
        self._holders[agent] = line

    def detached(self, agent: str, line: Line) -> None:
        """It no longer does."""
        if self._holders.get(agent) is line:
            del self._holders[agent]

    def dismiss(self, admits: Callable[[Shown], bool], spared: Line | None = None) -> None:
        """End every connection whose token is void, or not its user's any more."""
        for line in list(self._lines):
            if line is not spared and not admits(line.shown):
                line.close()

    def release(self, agent: str) -> None:
        """Nobody speaks for the agent any more."""
        for line in self._lines:
            line.forget(agent)
        self._holders.pop(agent, None)

    def has_holder(self, agent: str, instance: str | None = None) -> bool:
        """Say whether a connection speaks for the agent, for that instance if one is named."""
        holder = self._holders.get(agent)
        return holder is not None and holder.holds(agent, instance)

    def is_holder(self, agent: str, line: Line) -> bool:
        """Say whether the agent's holder is on this connection and on no later one."""
        return self._holders.get(agent) is line

    def mail_waiting(self, agent: str) -> None:
        """Tell an agent's own connections that there may be mail; most agents have none, so this is cheap."""
        for line in self._listeners.get(agent, ()):
            line.push(Push(event="mail_waiting", agent=agent))

    def announce(self, push: Push) -> None:
        """Send an event to those whom it concerns."""
        for line in list(self._lines):
            if self._concerns(push, line):
                line.push(push)

    def _concerns(self, push: Push, line: Line) -> bool:
        match push.event:
            case "turn_revoked":
                return line.holds(push.agent or "", push.data.get("instance"))
            case "wake_stalled" | "mail_now":
                return push.agent is not None and self.is_holder(push.agent, line)
            case "agents_changed":
                return line.principal.kind != "agent" or line.principal.name == push.agent
            case _:
                return True
