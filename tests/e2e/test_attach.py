"""`queenpost agent attach` with the real programs at a real terminal; only the models behind them are scripted."""

import os
import re
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest

from tests.e2e.kinds import CLAUDE, CODEX, GEMINI, OPENCODE, Kind
from tests.e2e.real_fleet import RealFleet, files_below, real_fleet
from tests.e2e.surroundings import known_to_codex, paid, surround
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.talk import Heard, Reply
from tests.fakes.person import Person, person, queenpost

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]

TERMINAL = {"TERM": "xterm-256color"}
_MOVES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b.")
"""What a program writes beside its words."""


@pytest.fixture
async def fleet(home: Path) -> AsyncGenerator[RealFleet]:
    """A fleet without agents, of Claude Code."""
    async with real_fleet(home, CLAUDE) as opened:
        yield opened


def attached(fleet: RealFleet, *words: str) -> AbstractAsyncContextManager[Person]:
    """Type `queenpost agent attach alice`."""
    home = fleet.fleet.home.root
    line = queenpost("agent", "attach", "alice", "--home", str(home), *words)
    return person(line, {**os.environ, **TERMINAL}, home)


async def says(me: Person, talk: Conversation, words: str, *, ready: str) -> None:
    """Type a prompt where the program waits for one; returns once the model has it."""
    await me.reads(ready)
    await me.insist([words], lambda: "".join(words.split()) in me.words)
    await me.insist(["\r"], lambda: any(words in heard.prompt for heard in talk.heard))


async def leaves(me: Person) -> None:
    """Have the program end in its own words, which are the same for all of these."""
    drawn = len(me.words)
    await me.insist(["/quit"], lambda: "/quit" in me.words[drawn:])
    me.type("\r")
    assert await me.sees_the_end() == 0


def count(heard: Heard) -> Reply:
    """Say how long the history is."""
    return Reply(f"behind{heard.answers}answers")


async def shown(someone: Person, words: str) -> None:
    """Wait until something stands on the terminal, wherever the cursor went between its letters."""
    with anyio.move_on_after(60):
        while words not in _MOVES.sub("", someone.screen):  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.05)
        return
    raise AssertionError(f"{words!r} is not on the terminal, but: {_MOVES.sub('', someone.screen)[-3000:]}")


async def test_what_is_typed_into_claude_is_remembered_by_its_next_turn(fleet: RealFleet) -> None:
    """Issue 4.9: attach, type, leave; nothing is asked on the way; the next mail is handled in the same session."""
    talk = fleet.models.open("alice", count)
    around = surround("claude", fleet.home / "alice", talk)
    del around["CLAUDE_CONFIG_DIR"]  # a folder of its own, in which nobody was at a terminal yet
    around["CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL"] = "1"  # of plugins, from elsewhere
    await fleet.fleet.add("alice", backend="claude", command=list(fleet.program.command), env=around)
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "remember apples"))

    home = fleet.fleet.home.root
    async with person(
        queenpost("agent", "attach", "alice", "--home", str(home)), {**os.environ, **TERMINAL}, home
    ) as me:
        await shown(me, "behind0answers")  # the history, and then the line to type in
        await shown(me, "❯")
        await fleet.becomes("alice", lambda agent: agent.state == "parked" and "at a terminal" in agent.reason)
        me.type("pears")
        await shown(me, "pears")
        me.type("\r")
        await shown(me, "behind1answers")
        queued = await fleet.fleet.send("alice", "and plums")
        assert (await fleet.fleet.delivery(queued)).state == "queued"
        me.type("\x03")
        await shown(me, "Ctrl-C")
        me.type("\x03")
        assert await me.sees_the_end() == 0

    await fleet.handled(queued)
    assert [(heard.answers, heard.fresh) for heard in talk.heard] == [(0, True), (1, True), (2, True)]
    assert talk.heard[1].prompt == "pears"
    assert "and plums" in talk.heard[2].prompt
    assert talk.heard[1].servers == {"queenpost"}, "with its tools"


def who(heard: Heard) -> Reply:
    """Ask our tools who the agent is, where a person wants to know."""
    if heard.results:
        return Reply("I am " + ("alice" if "alice" in heard.results[-1].text else "nobody"))
    return Reply.calling("whoami") if "who are you" in heard.prompt else count(heard)


async def test_gemini_has_its_mail_tools_at_a_terminal(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 4.9: it reads them from a copy of its settings; in the settings themselves, and beside, nothing is left.

    It opens also in a shell that says of itself that nobody sits at it.
    """
    monkeypatch.setenv("CI", "true")
    async with real_fleet(home, GEMINI) as fleet:
        talk = await fleet.add("alice", who)
        await fleet.host()
        await fleet.handled(await fleet.fleet.send("alice", "remember apples"))
        fleet.let_a_minute_pass("alice")
        before = {path: path.read_bytes() for path in files_below(home, ".gemini/settings.json")}
        async with attached(fleet) as me:
            await says(me, talk, "who are you", ready="Type your message")
            await me.reads("I am alice")
            await leaves(me)
        assert {heard.servers for heard in talk.heard if "who are you" in heard.prompt} == {frozenset({"queenpost"})}
        assert {path: path.read_bytes() for path in files_below(home, ".gemini/settings.json")} == before
        queued = await fleet.fleet.send("alice", "and plums")
        await fleet.handled(queued)
        assert talk.heard[-1].answers > talk.heard[0].answers, "in the same session"


async def test_codex_with_a_key_of_its_own_opens_its_thread_at_a_terminal(home: Path) -> None:
    """[H35] Issue 4.9: it is told the key as in a turn, with its mail tools; the key is in no file."""
    key = "sk-of-alice-0001"
    async with real_fleet(home, CODEX) as fleet:
        talk = await fleet.add("alice", who, env={"OPENAI_API_KEY": key}, args=paid(fleet.models.port, "alice"))
        trust(fleet, "alice")
        await fleet.host()
        await fleet.handled(await fleet.fleet.send("alice", "remember apples"))
        async with attached(fleet) as me:
            await says(me, talk, "who are you", ready="GPT-5.5 default")
            await me.reads("I am alice")
            await leaves(me)
        await fleet.handled(await fleet.fleet.send("alice", "and plums"))
        assert {heard.key for heard in talk.heard} == {key}
        assert [heard.answers for heard in talk.heard] == sorted({heard.answers for heard in talk.heard})
        assert not files_below(home, "auth.json")
        allow_news(fleet)


COPIES = [
    pytest.param(CODEX, "GPT-5.5 default", id="codex"),
    pytest.param(OPENCODE, "behind0answers", id="opencode"),
]


@pytest.mark.parametrize(("kind", "ready"), COPIES)
async def test_a_copy_of_a_session_is_nobody_elses(home: Path, kind: Kind, ready: str) -> None:
    """Issue 4.9: `--fork` has the history and the tools; mail is handled meanwhile, and in a session without it."""
    async with real_fleet(home, kind) as fleet:
        talk = await fleet.add("alice", who)
        trust(fleet, "alice")
        await fleet.host()
        await fleet.handled(await fleet.fleet.send("alice", "remember apples"))
        async with attached(fleet, "--fork") as me:
            await says(me, talk, "who are you", ready=ready)
            await me.reads("I am alice")
            (copied,) = [heard for heard in talk.heard if "who are you" in heard.prompt and not heard.results]
            assert copied.answers == 1
            assert "queenpost" in copied.servers
            await fleet.handled(await fleet.fleet.send("alice", "and plums"))
            assert talk.heard[-1].answers == 1, "the copy's answers are not in it"
            assert (await fleet.fleet.agent("alice")).state != "parked"
            await leaves(me)
        allow_news(fleet)


def allow_news(fleet: RealFleet) -> None:
    """Let a program that somebody looks at ask for news of itself; nobody answers it here."""
    fleet.models.strays[:] = [stray for stray in fleet.models.strays if not stray.startswith("CONNECT ")]


def trust(fleet: RealFleet, name: str) -> None:
    """Let Codex start without the questions of a first terminal."""
    config = fleet.home / name / ".codex" / "config.toml"
    if config.exists():
        config.write_text(config.read_text() + known_to_codex(fleet.fleet.home.agent_state(name)))
