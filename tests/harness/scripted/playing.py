"""A fleet of scripted agents without processes: mail, keys and turns in memory, and crashes where a test wants them."""

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.prompting import compose
from harness.scripted.agent import ScriptedAgent
from harness.scripted.loading import load
from harness.scripted.mcp_client import McpClient, ToolError
from mcp_tools.desk import Received
from mcp_tools.rendering import draw_boundary, fit_reply
from wire.agents import AgentsWho
from wire.inbox import About, Mail
from wire.turns import Turn


class Crash(Exception):
    """The program dies here."""


@dataclass
class Player:
    """One agent: its script, its mail, its folder."""

    name: str
    script: str
    args: list[str]
    state: Path
    manager: bool = False
    inbox: deque[Mail] = field(default_factory=deque[Mail])
    published: list[tuple[str | None, str, str]] = field(default_factory=list[tuple[str | None, str, str]])
    """Job, event and detail of each event, as often as it was published."""


class Theatre:
    """Agents that play their turns one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.players: dict[str, Player] = {}
        self.operator: list[Mail] = []
        self.sent: dict[str, Mail] = {}
        """By key."""
        self.crash_before_send: int | None = None
        """The program dies before its n-th send from now; it happens once."""
        self.crash_after_turn = False
        """It dies after its last line, before its turn is closed; it happens once."""
        self.refuses_events: str | None = None
        """Why no event can be published."""
        self._numbers = 0

    def add(self, name: str, script: str, *args: str, manager: bool = False) -> Player:
        """Cast an agent."""
        player = Player(name, script, list(args), self.folder / name, manager)
        self.players[name] = player
        return player

    def tell(self, name: str, body: str, *, sender: str = "operator", **fields: Any) -> Mail:
        """Send from outside."""
        return self._post(sender, name, body, fields.pop("in_reply_to", None), **fields)

    def play(self, *, most: int = 50) -> None:
        """Play turns until nobody has mail."""
        for _ in range(most):
            player = next((each for each in self.players.values() if each.inbox), None)
            if player is None:
                return
            self.turn(player)
        raise AssertionError("they never come to an end")

    def turn(self, player: Player) -> None:
        """Play one turn; a crash gives its mail back."""
        taken = [player.inbox.popleft()]
        turn = Turn(id="t1", mail=list(taken), waiting=len(player.inbox))
        who = AgentsWho(
            name=player.name, role="manager" if player.manager else "agent", fleet="demo", manager="manager",
            roster=[], waiting=0, open_turn="t1",
        )  # fmt: skip
        player.state.mkdir(exist_ok=True)
        tools = Tools(self, player, taken)
        agent = ScriptedAgent(compose(turn, who, state=player.state), tools, player.state, player.args)
        try:
            load(player.script)(agent)
            if self.crash_after_turn:
                self.crash_after_turn = False
                raise Crash
        except Crash:
            again = [mail.model_copy(update={"attempt": mail.attempt + 1}) for mail in taken]
            player.inbox.extendleft(reversed(again))

    def send(self, player: Player, to: str, body: str, in_reply_to: str | None, key: str) -> str:
        """Accept a message; the same key again sends nothing."""
        if self.crash_before_send is not None:
            self.crash_before_send -= 1
            if self.crash_before_send < 0:
                self.crash_before_send = None
                raise Crash
        name = f"{player.name}/{key}"
        if name in self.sent:
            assert self.sent[name].body == body, "the same key with other content is a conflict"
            return f"already sent with this key, not sent again: {self.sent[name].id} to {to}: queued"
        kind = "manager" if player.manager else "peer"
        self.sent[name] = self._post(player.name, to, body, in_reply_to, kind=kind)
        return f"{self.sent[name].id} to {to}: queued"

    def register(self, player: Player, prompt: str, to: str, key: str) -> str:
        """Register a job and send it; the same key again does neither."""
        self.send(player, to, prompt, None, key)
        mail = self.sent[f"{player.name}/{key}"]
        job = f"j-{mail.id}"
        inbox = self.players[to].inbox
        if mail in inbox:
            inbox[inbox.index(mail)] = mail.model_copy(update={"about": About(job=job)})
        return f"{job}: sent to {to} as {mail.id}. You get mail when it ends."

    def publish(self, player: Player, job: str | None, event: str, detail: str) -> str:
        """Take an event."""
        if self.refuses_events is not None:
            raise ToolError(self.refuses_events)
        player.published.append((job, event, detail))
        return f"{event} is event {len(player.published)} of job {job}: kept"

    def _post(
        self, sender: str, to: str, body: str, in_reply_to: str | None, *, kind: str = "operator", **fields: Any
    ) -> Mail:
        self._numbers += 1
        mail = Mail.model_validate(
            {
                "id": f"m{self._numbers}", "sender": sender, "kind": kind, "body": body, "sent_at_ms": 0,
                "in_reply_to": in_reply_to, **fields,
            }
        )  # fmt: skip
        (self.operator if to == "operator" else self.players[to].inbox).append(mail)
        return mail


class Tools(McpClient):
    """The tools of one player, without a server."""

    def __init__(self, theatre: Theatre, player: Player, taken: list[Mail]) -> None:
        super().__init__("http://127.0.0.1:1/mcp", "unused")
        self._theatre = theatre
        self._player = player
        self._taken = taken

    def call(self, tool: str, arguments: dict[str, Any], *, wait_s: float = 0.0) -> str:
        """See `McpClient`."""
        match tool:
            case "send":
                key = arguments.get("key") or f"unkeyed-{len(self._theatre.sent)}"
                reply = arguments.get("in_reply_to")
                return self._theatre.send(self._player, arguments["to"], arguments["body"], reply, key)
            case "register_job":
                prompt, to, key = arguments["prompt"], arguments["to"], arguments["key"]
                return self._theatre.register(self._player, prompt, to, key)
            case "publish_event":
                job, event, detail = arguments.get("job_id"), arguments["event"], arguments["detail"]
                return self._theatre.publish(self._player, job, event, detail)
            case "recv" | "recv_batch":
                return self._recv(arguments.get("max", 1))
            case _:
                return "You are somebody."

    def _recv(self, most: int) -> str:
        inbox = self._player.inbox
        mail = [inbox.popleft() for _ in range(min(most, len(inbox)))]
        self._taken += mail
        received = Received(mail, len(inbox), "t1", peek=False, note=None)
        return fit_reply(received, draw_boundary(mail)).text
