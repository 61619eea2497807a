"""Where hooks come: what they say is heard, one of them waits, and it is let out with a count or with nothing."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from console.session.door import Door, Said, door_path, read_said
from wire.errors import Invalid
from wire.home import Home

pytestmark = pytest.mark.anyio

SAID: dict[str, Any] = {"event": "Stop", "session": "s1", "source": "None", "again": False, "waits": True}


@dataclass
class Visited:
    """A door, and what was heard at it."""

    door: Door
    path: Path
    heard: list[Said]
    news: anyio.Event

    async def come(self, **said: Any) -> SocketStream:
        """Come as a hook, and wait until that was heard."""
        self.news = anyio.Event()
        stream = await anyio.connect_unix(self.path)
        await stream.send(json.dumps({**SAID, **said}).encode() + b"\n")
        with anyio.fail_after(15):
            await self.news.wait()
        return stream


@pytest.fixture
async def visited(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Visited]:
    """A door that is served."""
    path = tmp_path_factory.mktemp("d") / "door.sock"
    heard: list[Said] = []

    def hear(said: Said) -> None:
        heard.append(said)
        visited.news.set()

    visited = Visited(Door(path, hear), path, heard, anyio.Event())
    async with anyio.create_task_group() as group:
        await group.start(visited.door.serve)
        yield visited
        group.cancel_scope.cancel()


async def ends(stream: SocketStream) -> bytes:
    """Give all that is still said to a hook."""
    data = b""
    with anyio.fail_after(15):
        try:
            while True:
                data += await stream.receive()
        except anyio.EndOfStream:
            return data


async def test_one_that_waits_is_let_out_with_the_count(visited: Visited) -> None:
    """[P02] And then nobody waits any more."""
    assert not await visited.door.ring(1)
    async with await visited.come() as hook:
        assert visited.door.is_ready
        assert await visited.door.ring(3)
        assert await ends(hook) == b"3\n"
    assert not await visited.door.ring(3)


async def test_one_waits_at_a_time_the_newest(visited: Visited) -> None:
    """Ours: the client may not listen to the one before any more."""
    async with await visited.come() as first, await visited.come() as second:
        assert await ends(first) == b""
        assert await visited.door.ring(1)
        assert await ends(second) == b"1\n"


async def test_one_that_only_tells_does_not_wait_and_takes_nobodys_place(visited: Visited) -> None:
    """Ours: Codex has hooks that nobody may keep."""
    async with await visited.come() as waiting, await visited.come(waits=False, event="UserPromptSubmit") as teller:
        assert await ends(teller) == b""
        assert await visited.door.ring(1)
        assert await ends(waiting) == b"1\n"
    assert [said.event for said in visited.heard] == ["Stop", "UserPromptSubmit"]


async def test_one_that_has_gone_does_not_wait(visited: Visited) -> None:
    """Ours: its client ended it, and ringing would wake nobody."""
    hook = await visited.come()
    await hook.aclose()
    with anyio.fail_after(15):
        while visited.door.is_ready:  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)


@pytest.mark.parametrize("said", [b"\n", b"[]\n", b"{}\n", b"garbage\n", b"x" * 10_000, b'{"event":1}\n', b""])
async def test_garbage_is_shown_the_door(visited: Visited, said: bytes) -> None:
    """Ours: bounded, and the next one is served."""
    stream = await anyio.connect_unix(visited.path)
    async with stream:
        await stream.send(said)
        await stream.send_eof()
        with anyio.fail_after(15), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
    assert not visited.heard
    async with await visited.come():
        assert visited.door.is_ready


def test_what_is_not_said_as_our_hooks_do_is_refused() -> None:
    """Ours."""
    assert read_said(json.dumps(SAID).encode()) == Said("Stop", "s1", "None", again=False, waits=True)
    with pytest.raises(Invalid):
        read_said(b'{"event": "Stop"}')


async def test_the_door_is_private_noted_and_taken_away(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ours: where the home's own path is too long, it lies elsewhere, and the hooks find it all the same."""
    base = tmp_path_factory.mktemp("h")
    elsewhere = tmp_path_factory.mktemp("e")
    for root in (base / "short", base / ("long" * 30)):
        home = Home(root)
        home.create()
        with door_path(home, "alice", {"XDG_RUNTIME_DIR": str(elsewhere)}) as path:
            note = home.run / "door-alice"
            assert note.read_text().strip() == str(path)
            assert note.stat().st_mode & 0o777 == 0o600
            assert path.parent.stat().st_mode & 0o777 == 0o700
            assert path.is_relative_to(home.run if root.name == "short" else elsewhere)
        assert not note.exists()
        assert not path.parent.exists()
