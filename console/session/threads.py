"""How a Codex that is served is woken: a turn is started in the thread that its user has in front of them, once idle.

It follows what the server says of its threads and decides nothing: `console.session.waking` does. No prompt, answer or
mail is read here. Threads of sub-agents are left alone.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
from anyio.abc import TaskGroup

from console.session.door import Said
from console.session.queueing import sentence
from wire.backoff import Backoff
from wire.errors import QueenpostError, Unavailable
from wire.logs import get_logger
from wire.websocket import WebSocket, connected

Json = dict[str, Any]

ANSWERS_WITHIN_S = 30.0
LOOKS_S = 1.0
LOOKS_CAP_S = 30.0
"""How often it is looked whether the user has said yes to our hooks: without them nothing that is taken is settled."""

BUSY = frozenset({"active", "notLoaded"})

log = get_logger("session")


@dataclass(slots=True)
class _Reply:
    """What an answer is waited with."""

    came: anyio.Event = field(default_factory=anyio.Event)
    message: Json = field(default_factory=dict[str, Any])


class Threads:
    """The bell of one Codex that is served."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._changed: Callable[[], None] = _nothing
        self._connection: WebSocket | None = None
        self._replies: dict[int, _Reply] = {}
        self._last_id = 0
        self._busy: dict[str, bool] = {}
        """The threads that a user can have in front of them, and whether each works."""
        self._current: str | None = None
        """The one that was begun last, or has worked last."""
        self._trusted = False

    def heard(self, said: Said) -> None:
        """Take in what a hook says: that it runs at all is what the user had to allow."""
        self._trusted = True
        self._current = said.session

    @property
    def is_ready(self) -> bool:
        """Say whether the thread in front of the user is idle, and its hooks run."""
        return self._trusted and self._connection is not None and not self._busy.get(self._current or "", True)

    async def ring(self, count: int) -> bool:
        """Start a turn; False where the server did not."""
        if self._current is None:
            return False
        says: Json = {"type": "text", "text": sentence(count)}
        try:
            await self._ask("turn/start", threadId=self._current, input=[says])
        except QueenpostError as exc:
            log.warning("turn_not_started", reason=exc.message)
            return False
        return True

    async def follow(self, changed: Callable[[], None]) -> None:
        """Follow the server until cancelled, on one connection after the other.

        `changed` is called when ringing may be heard that would not have been before.
        """
        self._changed = changed
        backoff = Backoff(0.5, 30.0)
        while True:
            try:
                async with connected(self._socket) as connection:
                    self._connection = connection
                    self._busy.clear()
                    await self._listen(connection)
            except* QueenpostError as group:
                log.warning("codex_not_followed", reason=str(group.exceptions[0]))
            self._connection = None
            await anyio.sleep(backoff.next_s())

    async def _listen(self, connection: WebSocket) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._begin, group)
            while True:
                message = _read(await connection.receive())
                reply = self._replies.get(message["id"]) if isinstance(message.get("id"), int) else None
                if "method" in message:
                    self._hear(group, str(message["method"]), _object(message.get("params")))
                elif reply is not None:
                    reply.message = message
                    reply.came.set()

    async def _begin(self, group: TaskGroup) -> None:
        # A name that is not the window's: the server tells by it who is who.
        client = {"name": "queenpost", "title": "Queenpost", "version": "1"}
        await self._ask("initialize", clientInfo=client, capabilities={})
        await self._send({"method": "initialized"})
        for thread in _list(await self._ask("thread/loaded/list")):
            await self._learn(str(thread))
        group.start_soon(self._await_trust)

    def _hear(self, group: TaskGroup, method: str, params: Json) -> None:
        thread = str(params.get("threadId"))
        match method:
            case "thread/started":
                self._meet(_object(params.get("thread")))
            case "thread/status/changed" if thread in self._busy:
                self._note(thread, _object(params.get("status")))
            case "thread/status/changed":
                group.start_soon(self._learn, thread)
            case "thread/closed":
                self._busy.pop(thread, None)
            case _:
                pass

    async def _learn(self, thread: str) -> None:
        try:
            self._meet(_object((await self._ask("thread/read", threadId=thread)).get("thread")))
        except QueenpostError as exc:
            log.info("thread_not_read", reason=exc.message)  # it is gone again

    def _meet(self, thread: Json) -> None:
        """Take in a thread that is there; who has a parent is a sub-agent."""
        if thread.get("id") and thread.get("parentThreadId") is None and thread.get("ephemeral") is not True:
            self._current = str(thread["id"])
            self._note(self._current, _object(thread.get("status")))

    def _note(self, thread: str, status: Json) -> None:
        self._busy[thread] = status.get("type") in BUSY
        if self._busy[thread]:
            self._current = thread
        self._changed()

    async def _await_trust(self) -> None:
        wait_s = LOOKS_S
        while not self._trusted:
            self._trusted = await self._is_trusted()
            if not self._trusted:
                await anyio.sleep(wait_s)
                wait_s = min(wait_s * 1.5, LOOKS_CAP_S)
        self._changed()

    async def _is_trusted(self) -> bool:
        """Say whether the user has said yes to all hooks of this session; they are ours (`console.session.opening`)."""
        folders = _list(await self._ask("hooks/list", cwds=[]))
        hooks = [_object(hook) for folder in folders for hook in _list(_object(folder), "hooks")]
        ours = [hook for hook in hooks if hook.get("source") == "sessionFlags"]
        return bool(ours) and all(hook.get("trustStatus") == "trusted" for hook in ours)

    async def _ask(self, method: str, **params: Any) -> Json:
        """Ask the server.

        Raises:
            Unavailable: it refuses, is gone, or does not answer.
        """
        self._last_id += 1
        number = self._last_id
        reply = self._replies[number] = _Reply()
        try:
            await self._send({"id": number, "method": method, "params": params})
            with anyio.fail_after(ANSWERS_WITHIN_S):
                await reply.came.wait()
        except TimeoutError as exc:
            raise Unavailable(f"no answer to {method} within {ANSWERS_WITHIN_S:.0f} s") from exc
        finally:
            del self._replies[number]
        if "error" in reply.message:
            raise Unavailable(f"{method}: {_object(reply.message['error']).get('message')}")
        return _object(reply.message.get("result"))

    async def _send(self, message: Json) -> None:
        if self._connection is None:
            raise Unavailable("the server is not connected")
        await self._connection.send(json.dumps(message))


def _read(text: str) -> Json:
    try:
        return _object(json.loads(text))
    except ValueError:
        return {}


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _list(value: Json, name: str = "data") -> list[object]:
    found = value.get(name)
    return cast("list[object]", found) if isinstance(found, list) else []


def _nothing() -> None:
    pass
