"""`queenpost mcp install --hooks` with the real Codex and Gemini CLI: what their hooks do there; a scripted model.

Claude Code has the same hooks; `test_session.py` and the scenarios show those.
"""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE

import anyio
import anyio.abc
import pytest

from tests.e2e.kinds import CODEX, run, shell
from tests.e2e.programs import Program, need
from tests.e2e.real_fleet import real_fleet
from tests.e2e.surroundings import known_to_codex, surround
from tests.fakes.models.brains import Drain, Script
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.mail import Letter, read_mail
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Heard, Reply
from tests.fakes.person import Person, person
from tests.scenarios.programs import Fleet, fleet_in

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]

PATIENCE_S = 60
ONE_WAITS = "Queenpost: 1 message waits; call recv."
ALONE = {
    "codex": [
        "exec", "--skip-git-repo-check", "-c", 'approval_policy="never"', "-c", 'sandbox_mode="danger-full-access"',
        "-c", 'mcp_servers.queenpost.default_tools_approval_mode="approve"',
    ],
    "gemini": ["--skip-trust", "--approval-mode", "yolo", "-m", "gemini-2.5-pro", "-p"],
}  # fmt: skip
"""Without a terminal, and without a question for each tool."""


@dataclass(frozen=True)
class Alice:
    """Somebody's own program, which is alice in a folder."""

    program: Program
    fleet: Fleet
    talk: Conversation
    environment: dict[str, str]
    folder: Path

    @asynccontextmanager
    async def works(self, prompt: str) -> AsyncGenerator[anyio.abc.Process]:
        """Run the program with one prompt; nothing of it is left behind."""
        line = [*self.program.command, *ALONE[self.program.name], prompt]
        process = await anyio.open_process(
            line, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=self.environment, cwd=self.folder, start_new_session=True
        )
        try:
            async with anyio.create_task_group() as group:
                for stream in (process.stdout, process.stderr):
                    assert stream is not None
                    group.start_soon(_drain, stream)
                yield process
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                _kill(process)
                await process.aclose()

    async def finishes(self, prompt: str) -> None:
        """Run it to its end."""
        with anyio.fail_after(PATIENCE_S):
            async with self.works(prompt) as process:
                assert await process.wait() == 0

    @asynccontextmanager
    async def at_a_terminal(self, *words: str) -> AsyncGenerator[Person]:
        """Start it as a person does."""
        line = [*self.program.command, *words]
        async with person(line, {**self.environment, "TERM": "xterm-256color"}, self.folder) as someone:
            yield someone

    def tool(self) -> Reply:
        """Use a tool of the program's own."""
        return shell("echo hi") if self.program.name == "gemini" else run("echo hi")

    async def state(self, message: str) -> tuple[str, int]:
        """Where a message stands."""
        story = await self.fleet.delivery(message)
        return story.state, story.attempt

    async def handled(self, message: str) -> int:
        """Wait until a message is handled; gives how often it was handed over."""
        with anyio.fail_after(PATIENCE_S):
            return (await self.fleet.handled(message)).attempt


async def _drain(stream: anyio.abc.ByteReceiveStream) -> None:
    async for _ in stream:
        pass


def _kill(process: anyio.abc.Process) -> None:
    """Kill -9 of the program with all that runs for it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@asynccontextmanager
async def alice_of(program: Program, home: Path) -> AsyncGenerator[Alice]:
    """Install tools and hooks by the command, as a user does."""
    folder = home / "work"
    folder.mkdir()
    async with ModelServer() as models, fleet_in(home) as fleet:
        await fleet.add("alice")
        talk = models.open("alice", Script())
        environment = surround(program.name, home, talk)
        await _install(program.name, "alice", fleet, folder, environment)
        alice = Alice(program, fleet, talk, environment, folder)
        if program.name == "codex":
            await _trust(alice)
        yield alice
        # A program that somebody looks at asks for news of itself; nobody answers it here.
        assert not [stray for stray in models.strays if not stray.startswith("CONNECT ")]


async def _install(client: str, agent: str, fleet: Fleet, folder: Path, environment: dict[str, str]) -> None:
    queenpost = str(Path(sys.executable).with_name("queenpost"))
    line = [queenpost, "mcp", "install", "--client", client, "--agent", agent, "--hooks"]
    await anyio.run_process([*line, "--home", str(fleet.home.root)], cwd=folder, env=environment)


async def _trust(alice: Alice) -> None:
    """Say yes to the hooks, which Codex asks at its first start."""
    config = Path(alice.environment["CODEX_HOME"]) / "config.toml"
    config.write_text(config.read_text() + known_to_codex(alice.folder))
    async with alice.at_a_terminal() as someone:
        await someone.reads("Trust all and continue")
        await someone.insist(["2"], lambda: "›2.Trustallandcontinue" in someone.words)
        await someone.insist(["\r"], lambda: "Trustinghooks" in someone.words)
        await someone.reads("GPT-5.5 default")
    assert "trusted_hash" in config.read_text()


@pytest.fixture(params=["codex", "gemini"])
async def alice(request: pytest.FixtureRequest, home: Path) -> AsyncGenerator[Alice]:
    """Each of the programs in turn."""
    async with alice_of(need(request.param), home) as opened:
        yield opened


def letter(heard: Heard) -> Letter:
    """Give the one message that came."""
    (found,) = read_mail(heard.news).letters
    return found


async def test_a_session_is_told_of_mail_and_the_end_of_its_turn_settles_it(alice: Alice) -> None:
    """[P02] [P03] [P13] Issue 4: told at the start, behind a tool and at the end; it goes on once."""
    first = await alice.fleet.send("alice", "first")
    sent: list[str] = []

    def begin(heard: Heard) -> Reply:
        assert "You are alice in a Queenpost fleet" in heard.news
        assert heard.news.count(ONE_WAITS) == 1
        return Reply.calling("recv")

    def read(heard: Heard) -> Reply:
        assert letter(heard).body == "first"
        assert ONE_WAITS not in heard.news, "our own tools are not followed by a word"
        return alice.tool()

    async def more(heard: Heard) -> Reply:
        assert "hi" in heard.news
        assert ONE_WAITS not in heard.news, "nothing waits"
        sent.append(await alice.fleet.send("alice", "second"))
        return alice.tool()

    async def leave(heard: Heard) -> Reply:
        assert heard.news.count(ONE_WAITS) == 1, "it is announced between the tools"
        assert await alice.state(first) == ("in_turn", 1)
        return Reply("I shall look later.")

    async def go_on(heard: Heard) -> Reply:
        assert ONE_WAITS in heard.news, "it is not slept through"
        assert await alice.state(first) == ("handled", 1)
        return Reply.calling("recv")

    async def end(heard: Heard) -> Reply:
        assert letter(heard).body == "second"
        sent.append(await alice.fleet.send("alice", "third"))
        return Reply("Done.")

    alice.talk.brain = Script(begin, read, more, leave, go_on, end)
    await alice.finishes("look at your mail")
    second, third = sent
    assert await alice.state(second) == ("handled", 1)
    assert await alice.state(third) == ("queued", 0), "the session goes on but once"
    assert len(alice.talk.heard) == 6


async def test_what_a_killed_program_had_comes_again(alice: Alice) -> None:
    """[H21] Issue 4: killed in the middle of its turn, behind recv."""
    in_the_middle = anyio.Event()

    def think(heard: Heard) -> Reply:
        assert letter(heard).attempt == 1
        in_the_middle.set()
        return Reply("I think").once(anyio.Event())

    message = await alice.fleet.send("alice", "paint the door")
    alice.talk.brain = Script(Reply.calling("recv"), think)
    with anyio.fail_after(PATIENCE_S):
        async with alice.works("look at your mail") as process:
            await in_the_middle.wait()
            _kill(process)
            await process.wait()
    again: list[int] = []

    def finish(heard: Heard) -> Reply:
        again.append(letter(heard).attempt)
        return Reply("The door is blue.")

    alice.talk.brain = Script(Reply.calling("recv"), finish)
    await alice.finishes("look at your mail")
    assert again == [2]
    assert await alice.handled(message) == 2


@dataclass(frozen=True)
class Window:
    """What a program shows at a terminal, and how it is opened there."""

    words: list[str]
    ready: str
    stopped: str
    failed: str


WINDOWS = {
    "codex": Window(
        ["-c", 'mcp_servers.queenpost.default_tools_approval_mode="approve"'],
        "GPT-5.5 default", "interrupted", "does not have access to this model",
    ),
    "gemini": Window(
        ["--approval-mode", "yolo", "-m", "gemini-2.5-pro"],
        "Type your message", "Request cancelled", "does not have permission",
    ),
}  # fmt: skip


@pytest.mark.parametrize("broken_off", [False, True])
async def test_a_turn_that_failed_or_was_broken_off_settles_nothing(alice: Alice, broken_off: bool) -> None:
    """[H21] Ours: Gemini CLI runs the hooks of a turn's end then too. The next turn that ends settles it."""
    window, begun, left = WINDOWS[alice.program.name], anyio.Event(), anyio.Event()
    seen: list[tuple[str, int]] = []
    message = await alice.fleet.send("alice", "paint the door")

    async def brain(heard: Heard) -> Reply:
        if "go on" in heard.prompt:
            seen.append(await alice.state(message))
            return Reply("The door is blue.")
        if not heard.answers:
            return Reply.calling("recv")
        if left.is_set() or not broken_off:
            return Reply.failing("forbidden")
        begun.set()
        return Reply("I ponder").once(anyio.Event())

    alice.talk.brain = brain
    async with alice.at_a_terminal(*window.words) as me:
        await me.reads(window.ready)
        await _prompt(me, alice, "look at your mail")
        if broken_off:
            with anyio.fail_after(PATIENCE_S):
                await begun.wait()
            drawn = len(me.words)
            left.set()  # some ask again by themselves, before or behind it
            me.type("\x1b")  # once: a second one would open something else in Codex
            await me.reads(window.stopped, behind=drawn)
        else:
            await me.reads(window.failed)
        await _prompt(me, alice, "go on")
        assert await alice.handled(message) == 1
    assert seen[0] == ("in_turn", 1)


async def test_a_window_that_is_closed_in_the_middle_gives_its_mail_back(alice: Alice) -> None:
    """[H21] Also where the program works on behind its window, as Codex does."""
    pondering = anyio.Event()

    def brain(heard: Heard) -> Reply:
        if not heard.answers:
            return Reply.calling("recv")
        pondering.set()
        return Reply("I ponder").once(anyio.Event())

    message = await alice.fleet.send("alice", "paint the door")
    alice.talk.brain = brain
    window = WINDOWS[alice.program.name]
    async with alice.at_a_terminal(*window.words) as me:
        await me.reads(window.ready)
        await _prompt(me, alice, "look at your mail")
        with anyio.fail_after(PATIENCE_S):
            await pondering.wait()
        assert await alice.state(message) == ("in_turn", 1)
        await me.insist(["\x03"], lambda: me.process.poll() is not None)
    with anyio.fail_after(PATIENCE_S):
        await alice.fleet.until(lambda: alice.state(message), lambda state: state == ("queued", 1))


async def _prompt(me: Person, alice: Alice, words: str) -> None:
    """Type a prompt; returns once the model has it."""
    await me.insist([words], lambda: "".join(words.split()) in me.words)
    await me.insist(["\r"], lambda: any(words in heard.prompt for heard in alice.talk.heard))


async def test_a_hosted_codex_that_has_hooks_of_another_agent_runs_them_in_silence(home: Path) -> None:
    """Ours: it is neither told that it is that one, nor does the end of its turn settle that one's mail.

    A hosted Gemini CLI runs no hooks: it is spoken to by ACP.
    """
    folder = home / "project"
    folder.mkdir()
    async with real_fleet(home, CODEX) as fleet:
        await fleet.fleet.add("me")
        talk = await fleet.add("alice", Drain(), workdir=str(folder))
        environment = surround("codex", home / "alice", talk)
        await _install("codex", "me", fleet.fleet, folder, environment)
        await _trust(Alice(fleet.program, fleet.fleet, talk, environment, folder))
        await fleet.host()
        await fleet.handled(await fleet.fleet.send("alice", "hello"))
        fleet.models.strays[:] = [stray for stray in fleet.models.strays if not stray.startswith("CONNECT ")]
    said = json.dumps([heard.body for heard in talk.heard])
    assert "You are alice" in said
    assert "You are me" not in said
