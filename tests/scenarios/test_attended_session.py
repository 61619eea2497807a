"""An interactive session as its client runs it: the configuration that was installed, its server, its hooks.

The commands are those in the files, through a shell, with the JSON of the client on standard input.
"""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client, StdioServerParameters

from tests.mcp_tools.conftest import ERAS, Era
from tests.mcp_tools.fleet import Fleet, running_fleet
from tests.mcp_tools.reading import framed, text_of
from wire.asks import AsksAnswer, AsksAnswered
from wire.client import new_key

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

HOOK = {"session_id": "s1", "transcript_path": "/x.jsonl", "cwd": "/w", "permission_mode": "default"}

MORTAL = """
import json, sys, anyio
from mcp import Client, StdioServerParameters

async def main():
    server = StdioServerParameters(**json.loads(sys.argv[1]))
    async with Client(server, mode=sys.argv[2]) as client:
        result = await client.call_tool("recv", {})
        print(json.dumps(result.content[0].text), flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""
"""A client program of its own, to be killed."""


@dataclass
class Session:
    """What a client knows of alice: the files in its project."""

    fleet: Fleet
    agent: str
    project: Path

    @property
    def entry(self) -> dict[str, Any]:
        """The server, as `.mcp.json` has it."""
        return json.loads((self.project / ".mcp.json").read_bytes())["mcpServers"]["queenpost"]

    def client(self, era: Era) -> Client:
        """Start the server as the client would, and connect."""
        return Client(StdioServerParameters(command=self.entry["command"], args=self.entry["args"]), mode=era)

    async def hook(self, event: str, **said: object) -> Any:
        """Run every hook of an event as the client does; gives what the last one that spoke said."""
        settings = json.loads((self.project / ".claude" / "settings.local.json").read_bytes())
        answer: Any = None
        for group in settings["hooks"][event]:
            for hook in group["hooks"]:
                heard = json.dumps({**HOOK, "hook_event_name": event, **said}).encode()
                ended = await anyio.run_process(["sh", "-c", hook["command"]], input=heard, cwd=self.project)
                assert ended.stderr == b""
                answer = json.loads(ended.stdout) if ended.stdout else answer
        return answer

    async def send(self, body: str) -> str:
        """Write to alice; gives the id."""
        return await self.fleet.send(self.agent, body)


@pytest.fixture(scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Fleet]:
    """One broker for all of these tests."""
    async with running_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
async def session(fleet: Fleet, tmp_path: Path) -> Session:
    """A project that was set up with one command."""
    agent = await fleet.add("alice")
    queenpost = str(Path(sys.executable).with_name("queenpost"))
    words = ["mcp", "install", "--client", "claude", "--agent", agent, "--hooks", "--home", str(fleet.home.root)]
    project = tmp_path / "a project"  # a space, as people have them
    project.mkdir()
    await anyio.run_process([queenpost, *words], cwd=project)
    return Session(fleet, agent, project)


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> Era:
    """Each test that asks for it runs once per era."""
    return request.param


@asynccontextmanager
async def mortal_client(session: Session, era: Era) -> AsyncGenerator[Process]:
    """Run a client that has taken a message and is at work on it."""
    server = json.dumps({"command": session.entry["command"], "args": session.entry["args"]})
    command = [sys.executable, "-P", "-c", MORTAL, server, era]
    async with await anyio.open_process(command, stdin=None, stdout=PIPE, stderr=None) as client:
        assert client.stdout is not None
        said = await BufferedByteReceiveStream(client.stdout).receive_until(b"\n", 65_536)
        assert framed(json.loads(said))
        yield client


async def test_a_turn_of_a_session_from_its_start_to_its_end(session: Session, era: Era) -> None:
    """[P01] [P02] Spec: mail is announced at the start and in the middle; only the finished turn makes it handled."""
    first = await session.send("work")
    with anyio.fail_after(50):
        said = await session.hook("SessionStart", source="startup")
        assert said["hookSpecificOutput"]["additionalContext"].endswith("1 message waits; call recv.")
        async with session.client(era) as client:
            (one,) = framed(text_of(await client.call_tool("recv", {})))
            assert await session.hook("PostToolUse", tool_name="mcp__queenpost__recv") is None
            assert one.attributes["id"] == first
            second = await session.send("more work")
            said = await session.hook("PostToolUse", tool_name="Bash", tool_input={"command": "ls"})
            assert "1 message waits" in said["hookSpecificOutput"]["additionalContext"]
            assert "more work" not in json.dumps(said)
            assert await session.fleet.state(first) == "in_turn"
            said = await session.hook("Stop", stop_hook_active=False)
            assert said["decision"] == "block"
            assert await session.fleet.state(first) == "handled"
            assert framed(text_of(await client.call_tool("recv", {})))
            assert await session.fleet.state(second) == "in_turn"
            assert await session.hook("Stop", stop_hook_active=True) is None
            assert await session.fleet.state(second) == "handled"


@pytest.mark.parametrize("end", ["SIGKILL", "EOF"])
async def test_a_session_that_is_closed_in_the_middle_loses_nothing(session: Session, era: Era, end: str) -> None:
    """[H21] [P01] Spec: no Stop hook ran, so the mail comes again, marked, in the next session."""
    message = await session.send("work")
    with anyio.fail_after(50):
        if end == "EOF":
            async with session.client(era) as client:
                assert framed(text_of(await client.call_tool("recv", {})))
        else:
            async with mortal_client(session, era) as client:
                client.send_signal(signal.SIGKILL)
                assert await client.wait() == -signal.SIGKILL
        await session.fleet.reaches(message, "queued")
        said = await session.hook("SessionStart", source="resume")
        assert "1 message waits" in said["hookSpecificOutput"]["additionalContext"]
        async with session.client(next(other for other in ERAS if other != era)) as client:
            (one,) = framed(text_of(await client.call_tool("recv", {})))
            assert (one.attributes["id"], one.attributes["attempt"]) == (message, "2")
            assert await session.hook("Stop", stop_hook_active=False) is None
        assert await session.fleet.state(message) == "handled"


async def test_the_end_of_a_turn_in_another_window_settles_nothing(session: Session) -> None:
    """Ours: that window runs the same hooks, but another process has the mail."""
    message = await session.send("work")
    with anyio.fail_after(50):
        async with mortal_client(session, "auto") as client:
            assert await session.hook("Stop", stop_hook_active=False) is None
            assert await session.fleet.state(message) == "in_turn"
            client.kill()
        await session.fleet.reaches(message, "queued")


async def test_an_ask_is_answered_and_its_mail_is_handled(session: Session, era: Era) -> None:
    """[P07] [H08] Spec: the answer settles the question's mail; the operator's answer comes as mail."""
    peer = await session.fleet.add("bob")
    other = StdioServerParameters(command=sys.executable, args=session.fleet.command(peer)[1:])
    with anyio.fail_after(50):
        async with session.client(era) as client, Client(other) as asker:
            await asker.call_tool("ask", {"question": "which branch?", "to": session.agent})
            said = await session.hook("PostToolUse", tool_name="Bash")
            assert "1 message waits" in said["hookSpecificOutput"]["additionalContext"]
            (question,) = framed(text_of(await client.call_tool("recv", {})))
            await client.call_tool("answer", {"id": question.attributes["ask"], "answer": "main"})
            assert await session.fleet.state(question.attributes["id"]) == "handled"
            (answer,) = framed(text_of(await asker.call_tool("recv", {"wait_seconds": 10})))
            assert "main" in answer.body


async def test_the_operators_answer_comes_to_the_session(session: Session, era: Era) -> None:
    """[P07] Spec: asked, not waited for; the hook says when it is there."""
    with anyio.fail_after(50):
        async with session.client(era) as client:
            asked = text_of(await client.call_tool("ask", {"question": "ship it?"}))
            assert await session.hook("Stop", stop_hook_active=False) is None
            request = AsksAnswer(key=new_key(), ask=asked.partition(" ")[0], answer="yes")
            await session.fleet.operator.call(request, AsksAnswered)
            said = await session.hook("PostToolUse", tool_name="Bash")
            assert "1 message waits" in said["hookSpecificOutput"]["additionalContext"]
            (answer,) = framed(text_of(await client.call_tool("recv", {})))
            assert "yes" in answer.body


async def test_nothing_that_was_installed_holds_a_token(session: Session) -> None:
    """Spec (DESIGN 4): the agent's token never enters the configuration of its client."""
    token = session.fleet.home.agent_secret(session.agent).read_text().strip()
    written = [path for path in session.project.rglob("*") if path.is_file()]
    assert len(written) == 2
    assert not [path for path in written if token in path.read_text()]
    assert os.path.isabs(session.entry["command"])
