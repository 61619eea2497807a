"""`queenpost claude` with the real, interactive Claude Code in a terminal of its own; a scripted model on loopback."""

import json
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from tests.e2e.programs import need
from tests.e2e.surroundings import KEY, known_to_codex, surround
from tests.fakes.models.brains import Script
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.mail import read_mail
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Heard, Reply
from tests.fakes.person import Person, person, queenpost
from tests.scenarios.programs import Fleet, fleet_in
from wire.asks import AsksAnswer, AsksAnswered, AsksList, AsksListed
from wire.client import new_key

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]

PATIENCE_S = 60


@dataclass(frozen=True)
class Desk:
    """A fleet, a model, and somebody who opens sessions."""

    home: Path
    fleet: Fleet
    talk: Conversation
    program: str
    """Full path of Claude Code."""

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[Person]:
        """Type `queenpost claude --name alice`."""
        environment = {**surround("claude", self.home, self.talk), "TERM": "xterm-256color"}
        words = ["claude", "--home", str(self.fleet.home.root), "--name", "alice", "--program", self.program]
        # Its own default mode asks the provider about every act.
        line = queenpost(*words, "--", "--permission-mode", "default")
        async with person(line, environment, self._work()) as someone:
            yield someone

    def _work(self) -> Path:
        """Give a folder that the program trusts, in a configuration that has been through the first start."""
        folder = self.home / "work"
        folder.mkdir(exist_ok=True)
        config = self.home / ".claude" / ".claude.json"
        config.parent.mkdir(exist_ok=True)
        if not config.exists():
            keys = {"approved": [KEY[-20:]], "rejected": []}
            projects = {str(folder): {"hasTrustDialogAccepted": True}}
            text = {
                "hasCompletedOnboarding": True,
                "theme": "dark",
                "customApiKeyResponses": keys,
                "projects": projects,
            }
            config.write_text(json.dumps(text), encoding="utf-8")
        return folder

    async def idle(self) -> None:
        """Wait until alice's session is there."""
        with anyio.fail_after(PATIENCE_S):
            await self.fleet.until(lambda: self.fleet.agent("alice"), lambda agent: agent.attached)

    async def asked(self) -> str:
        """Wait for alice's question to the operator; gives its id."""

        async def look() -> AsksListed:
            return await self.fleet.operator.call(AsksList(), AsksListed)

        with anyio.fail_after(PATIENCE_S):
            (ask,) = (await self.fleet.until(look, lambda listed: listed.asks)).asks
        assert ask.question == "Which colour?"
        return ask.id


@pytest.fixture
async def desk(home: Path) -> AsyncGenerator[Desk]:
    """A broker, and alice, who is not there yet."""
    program = need("claude").command[0]
    async with ModelServer() as models, fleet_in(home) as fleet:
        await fleet.add("alice")
        yield Desk(home, fleet, models.open("alice", Script()), program)
        # A session that somebody looks at asks for news of the program; nobody answers it here.
        assert not [stray for stray in models.strays if not stray.startswith(("CONNECT ", "HEAD "))]


def take(heard: Heard) -> Reply:
    """Do as the hook says."""
    assert "Queenpost: 1 message waits; call recv." in heard.news
    return Reply.calling("recv")


async def test_an_idle_session_gets_mail_asks_and_gets_again_what_it_did_not_finish(desk: Desk) -> None:
    """[P02] [P07] [H21] [H08] Issue 4, shown by: woken while idle, asks the operator, closed in the middle."""
    in_the_middle, never = anyio.Event(), anyio.Event()

    def ask(heard: Heard) -> Reply:
        (letter,) = read_mail(heard.news).letters
        assert (letter.body, letter.attempt) == ("paint the door", 1)
        return Reply.calling("ask", to="operator", question="Which colour?")

    def paint(heard: Heard) -> Reply:
        (letter,) = read_mail(heard.news).letters
        assert letter.body.endswith("blue")
        in_the_middle.set()
        return Reply("I paint").once(never)

    desk.talk.brain = Script(take, ask, Reply("I have asked."), take, paint)
    async with desk.session() as someone:
        await desk.idle()
        first = await desk.fleet.send("alice", "paint the door")
        ask_id = await desk.asked()
        with anyio.fail_after(PATIENCE_S):
            await desk.fleet.handled(first)
        answer = AsksAnswer(key=new_key(), ask=ask_id, answer="blue")
        await desk.fleet.operator.call(answer, AsksAnswered)
        with anyio.fail_after(PATIENCE_S):
            await in_the_middle.wait()
        someone.process.send_signal(signal.SIGHUP)  # as when its window is closed
        assert await someone.sees_the_end() in {128 + signal.SIGHUP, 0}
        await someone.sees("1 message waits for its next session")
    assert (await desk.fleet.agent("alice")).state == "away"
    again: list[int] = []

    def finish(heard: Heard) -> Reply:
        (letter,) = read_mail(heard.news).letters
        again.append(letter.attempt)
        return Reply("The door is blue.")

    desk.talk.brain = Script(take, finish)
    async with desk.session() as someone:
        with anyio.fail_after(PATIENCE_S):
            await desk.fleet.until(desk.fleet.account, lambda account: account.handled == 2)
        someone.type("/exit")
        await someone.sees("/exit")
        someone.type("\r")
        assert await someone.sees_the_end() == 0
        await someone.sees("alice is away; nothing waits for it")
    assert again == [2]
    account = await desk.fleet.account()
    assert (account.lost, account.dead, account.waiting) == (0, 0, 0)


async def test_a_turn_that_its_user_broke_off_leaves_a_session_that_is_woken(desk: Desk) -> None:
    """[P02] Such a turn has no Stop; the hook of its prompt waits."""
    thinking = anyio.Event()

    def think(_: Heard) -> Reply:
        thinking.set()
        return Reply.calling("recv", wait_seconds=150)

    desk.talk.brain = Script(think, take, Reply("Read."))
    async with desk.session() as someone:
        await desk.idle()
        await someone.reads("? for shortcuts")
        someone.type("hello")
        await someone.reads("hello")
        someone.type("\r")
        with anyio.fail_after(PATIENCE_S):
            await thinking.wait()
        await someone.reads("Calling queenpost")
        drawn = len(someone.words)
        someone.type("\x1b")
        await someone.reads("? for shortcuts", behind=drawn)
        message = await desk.fleet.send("alice", "are you there?")
        with anyio.fail_after(PATIENCE_S):
            await desk.fleet.handled(message)


@dataclass(frozen=True)
class Bobs:
    """Bob's Codex in a terminal, in a folder that it trusts."""

    fleet: Fleet
    talk: Conversation
    someone: Person

    async def says_yes(self) -> None:
        """Allow the hooks: what is typed early is lost, so each key is typed until it has done something."""
        await self.someone.reads("Trust all and continue")
        await self.someone.insist(["2"], lambda: "›2.Trustallandcontinue" in self.someone.words)
        await self.someone.insist(["\r"], lambda: "Trustinghooks" in self.someone.words)
        await self.someone.reads("GPT-5.5 default")

    async def prompts(self, words: str) -> None:
        """Type a prompt, and wait until the model has it."""
        await self.someone.insist([words], lambda: words in self.someone.words)
        await self.someone.insist(["\r"], lambda: any(words in heard.prompt for heard in self.talk.heard))

    async def gets(self, words: str) -> None:
        """Send bob mail, and wait until a turn has handled it."""
        message = await self.fleet.send("bob", words)
        with anyio.fail_after(PATIENCE_S):
            assert (await self.fleet.handled(message)).attempt == 1

    async def leaves(self) -> None:
        """End it."""
        self.someone.process.send_signal(signal.SIGTERM)
        await self.someone.sees_the_end()
        await self.someone.sees("bob is away; nothing waits for it")

    async def is_there(self) -> None:
        """Wait until its tools are connected."""
        with anyio.fail_after(PATIENCE_S):
            await self.fleet.until(lambda: self.fleet.agent("bob"), lambda agent: agent.attached)

    def opened(self) -> list[bool]:
        """Say of each session so far whether it came in two halves."""
        lines = (self.fleet.home.logs / "session-bob.ndjson").read_text("utf-8").splitlines()
        return [line["served"] for line in map(json.loads, lines) if line["event"] == "session_opened"]


@asynccontextmanager
async def bobs(fleet: Fleet, home: Path, talk: Conversation, *words: str) -> AsyncGenerator[Bobs]:
    """Type `queenpost codex --name bob`."""
    environment = {**surround("codex", home, talk), "TERM": "xterm-256color"}
    folder = home / "work"
    config = home / ".codex" / "config.toml"
    known = home / "known.toml"  # what it has written itself: surrounding it anew takes that away
    folder.mkdir(exist_ok=True)
    config.write_text(known.read_text() if known.exists() else config.read_text() + known_to_codex(folder))
    program = need("codex").command[0]
    line = queenpost("codex", "--home", str(fleet.home.root), "--name", "bob", "--program", program)
    async with person([*line, "--", *words], environment, folder) as someone:
        yield Bobs(fleet, talk, someone)
    known.write_text(config.read_text())


async def test_an_idle_codex_is_woken_before_its_first_prompt_and_behind_a_turn_that_was_broken_off(home: Path) -> None:
    """[P02] [H21] Issue 4.10: as soon as its user has said yes to the hooks, by a turn that its server starts."""
    need("codex")
    async with ModelServer() as models, fleet_in(home) as fleet:
        talk = models.open("bob", _codex_brain)
        async with bobs(fleet, home, talk) as bob:
            await bob.someone.reads("Trust all and continue")
            waiting = await fleet.send("bob", "look at the door")
            await bob.says_yes()
            with anyio.fail_after(PATIENCE_S):
                assert (await fleet.handled(waiting)).attempt == 1
            assert any("You are bob in a Queenpost fleet" in heard.news for heard in talk.heard)
            await bob.prompts("ponder")
            drawn = len(bob.someone.words)
            bob.someone.type("\x1b")
            await bob.someone.reads("interrupted", behind=drawn)
            await bob.gets("paint it")
            await bob.leaves()
        async with bobs(fleet, home, talk, "resume", "--last") as bob:
            await bob.is_there()
            await bob.gets("and the window")
            await bob.leaves()
        assert bob.opened() == [True, True]


async def test_a_codex_in_one_piece_is_woken_behind_its_first_prompt(home: Path) -> None:
    """[P02] Issue 4.10: by its own queue, where its user's words are not known to mean the same in two halves."""
    need("codex")
    async with ModelServer() as models, fleet_in(home) as fleet:
        talk = models.open("bob", _codex_brain)
        async with bobs(fleet, home, talk, "-C", str(home / "work")) as bob:
            await bob.says_yes()
            await bob.prompts("hello")
            await bob.is_there()
            await bob.gets("look at the door")
            await bob.leaves()
        assert bob.opened() == [False]


def _codex_brain(heard: Heard) -> Reply:
    if heard.prompt == "ponder":
        return Reply("I ponder").once(anyio.Event())
    return Reply.calling("recv") if "call recv" in heard.prompt and not heard.results else Reply("Done.")
