"""How a Codex that is served is woken: what its server says of its threads, played by a test."""

import json
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from console.session.door import Said
from console.session.threads import Threads
from tests.fakes.websocket import Peer, listening

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
PATIENCE_S = 30


def said(session: str, event: str = "Stop") -> Said:
    """Make what a hook says."""
    return Said(event, session, "None", again=False, waits=False)


def hooks(*trust: str) -> Json:
    """Give hooks of the session with this trust, beside one of the user's."""
    ours = [{"source": "sessionFlags", "trustStatus": one} for one in trust]
    return {"data": [{"hooks": [{"source": "user", "trustStatus": "untrusted"}, *ours]}]}


class Server:
    """Plays `codex app-server`: knows threads, answers, and says what a test wants it to."""

    def __init__(self) -> None:
        self.threads: dict[str, Json] = {}
        self.hooks = hooks("trusted", "trusted")
        self.refuses = False
        self.asked: list[Json] = []
        self.started: list[Json] = []
        self._peers: list[Peer] = []

    def has(self, thread: str, status: str = "idle", **more: object) -> None:
        """Have a thread loaded from the beginning."""
        self.threads[thread] = {"id": thread, "status": {"type": status}, "parentThreadId": None, **more}

    async def begins(self, thread: str, status: str = "idle", **more: object) -> None:
        """Begin a thread."""
        self.has(thread, status, **more)
        await self.says("thread/started", thread=self.threads[thread])

    async def becomes(self, thread: str, status: str) -> None:
        """Let a thread be idle or active."""
        await self.says("thread/status/changed", threadId=thread, status={"type": status})

    async def says(self, method: str, **params: object) -> None:
        """Tell everybody."""
        await self._peers[-1].send(json.dumps({"method": method, "params": params}))

    def reads(self, thread: str) -> bool:
        """Say whether somebody wanted to know of a thread."""
        return any(request.get("params", {}).get("threadId") == thread for request in self.asked)

    async def hangs_up(self) -> None:
        """Let everybody come again."""
        await self._peers[-1].close()

    async def meet(self, peer: Peer) -> None:
        """Serve one client."""
        self._peers.append(peer)
        while True:
            request: Json = json.loads(await peer.recv())
            self.asked.append(request)
            if "id" in request:
                await peer.send(json.dumps({"id": request["id"], **self._answer(request)}))

    def _answer(self, request: Json) -> Json:
        params = request["params"]
        match request["method"]:
            case "thread/loaded/list":
                return {"result": {"data": list(self.threads), "nextCursor": None}}
            case "thread/read" if params["threadId"] in self.threads:
                return {"result": {"thread": self.threads[params["threadId"]]}}
            case "hooks/list":
                return {"result": self.hooks}
            case "turn/start" if not self.refuses:
                self.started.append(params)
                return {"result": {"turn": {}}}
            case "initialize":
                return {"result": {}}
            case _:
                return {"error": {"code": -32600, "message": "no"}}


class Followed:
    """A bell that follows a server."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self._changed = anyio.Event()

    def changed(self) -> None:
        """See `console.session.threads.Threads.follow`."""
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something to be so."""
        with anyio.fail_after(PATIENCE_S):
            while not true():
                await self._changed.wait()

    async def ready(self) -> None:
        """Wait until it can be rung."""
        await self.until(lambda: self.threads.is_ready)

    async def busy(self) -> None:
        """Wait until it cannot."""
        await self.until(lambda: not self.threads.is_ready)


@asynccontextmanager
async def followed(server: Server) -> AsyncGenerator[Followed]:
    """Follow it."""
    with tempfile.TemporaryDirectory(prefix="qp-", dir="/tmp") as folder:
        bell = Followed(Threads(path := Path(folder, "s")))
        async with listening(path, server.meet), anyio.create_task_group() as tasks:
            tasks.start_soon(bell.threads.follow, bell.changed)
            yield bell
            tasks.cancel_scope.cancel()


async def test_a_session_is_woken_before_its_first_prompt() -> None:
    """[P02] Its thread is there from the beginning; it is told how many messages wait, and no word of them."""
    server = Server()
    server.has("t1")
    async with followed(server) as bell:
        await bell.ready()
        assert await bell.threads.ring(2)
    (started,) = server.started
    text = "Queenpost: 2 messages wait; call recv."
    assert started == {"threadId": "t1", "input": [{"type": "text", "text": text}]}


async def test_while_it_works_it_is_not_rung_and_afterwards_it_is() -> None:
    """[P02] Also behind a turn that its user broke off: that has no hook."""
    server = Server()
    server.has("t1")
    async with followed(server) as bell:
        await bell.ready()
        await server.becomes("t1", "active")
        await bell.busy()
        await server.becomes("t1", "idle")
        await bell.ready()


async def test_it_is_woken_where_its_user_is() -> None:
    """Ours: in the thread that was begun last, or in which something happened last; never in a sub-agent's."""
    server = Server()
    server.has("t1")
    async with followed(server) as bell:
        await bell.ready()
        await server.begins("t2")
        await server.begins("helper", "active", parentThreadId="t2")
        await server.begins("side", "active", ephemeral=True)
        await server.becomes("t2", "active")
        await bell.busy()
        await server.becomes("t2", "idle")
        await bell.ready()
        await bell.threads.ring(1)
        await server.becomes("t1", "active")
        await bell.busy()
        await server.becomes("t1", "idle")
        await bell.ready()
        await bell.threads.ring(1)
        bell.threads.heard(said("t2"))
        await bell.threads.ring(1)
    assert [start["threadId"] for start in server.started] == ["t2", "t1", "t2"]


async def test_a_thread_that_is_opened_again_is_looked_at() -> None:
    """Ours: of one that is resumed the server says only that it is there."""
    server = Server()
    async with followed(server) as bell:
        with anyio.fail_after(PATIENCE_S):
            while not any(request["method"] == "hooks/list" for request in server.asked):
                await anyio.lowlevel.checkpoint()
        server.has("t7")
        await server.becomes("t7", "idle")
        await bell.ready()
        await server.becomes("gone", "idle")
        assert await bell.threads.ring(1)
        await server.says("thread/closed", threadId="t7")
        await server.begins("t8", "active")
        await bell.busy()
    assert server.started[0]["threadId"] == "t7"


@pytest.mark.parametrize("unsure", [hooks("trusted", "untrusted"), hooks(), {}])
async def test_without_a_yes_to_the_hooks_nobody_is_woken(unsure: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    """[P02] Nothing would settle what it took; the yes is found out, or the first hook is the proof."""
    monkeypatch.setattr("console.session.threads.LOOKS_S", 0.01)
    server = Server()
    server.has("t1")
    server.hooks = unsure
    async with followed(server) as bell:
        with anyio.fail_after(PATIENCE_S):
            while sum(request["method"] == "hooks/list" for request in server.asked) < 3:
                await anyio.lowlevel.checkpoint()
        assert not bell.threads.is_ready
        server.hooks = hooks("trusted", "trusted")
        await bell.ready()
    other = Server()
    other.has("t1")
    other.hooks = unsure
    async with followed(other) as bell:
        await bell.until(lambda: bool(other.asked))
        bell.threads.heard(said("t1", "UserPromptSubmit"))
        await other.becomes("t1", "active")
        await other.becomes("t1", "idle")
        await bell.ready()


async def test_a_refusal_is_no_wake_and_a_lost_connection_comes_again() -> None:
    """Ours: it is rung later, and by what is so then."""
    server = Server()
    server.has("t1")
    server.refuses = True
    async with followed(server) as bell:
        await bell.ready()
        assert not await bell.threads.ring(1)
        server.refuses = False
        server.threads.clear()
        server.has("t5")
        await server.hangs_up()
        await bell.until(lambda: bell.threads.is_ready and server.reads("t5"))
        assert await bell.threads.ring(1)
    assert [start["threadId"] for start in server.started] == ["t5"]
    assert not await bell.threads.ring(1), "nobody is there any more"
