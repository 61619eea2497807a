"""What a real program gets beside its mail: MCP servers of its own, and somebody else who decides its prompts."""

import json
import re
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from tests.e2e.kinds import KINDS, Kind
from tests.e2e.real_fleet import RealFleet, real_fleet, results
from tests.e2e.surroundings import surround
from tests.fakes import tool_server
from tests.fakes.models.brains import Script
from tests.fakes.models.talk import Heard, Reply
from wire.asks import Ask, AsksList, AsksListed
from wire.finding import AsksExplain, Explained

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(240)]

WORD = "swordfish-0815"


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each program in turn."""
    return request.param


@pytest.fixture
async def fleet(home: Path, kind: Kind) -> AsyncGenerator[RealFleet]:
    """A fleet without agents."""
    async with real_fleet(home, kind) as opened:
        yield opened


async def test_its_own_mcp_server_is_attached_and_asked_for(fleet: RealFleet, home: Path) -> None:
    """[H26] Beside ours; its secret comes from env_file, and stands in no command line; who fails is named."""
    servers = {
        "words": {
            "command": sys.executable,
            "args": [str(Path(tool_server.__file__)), "told: ${WORD_OF_MINE}"],
            "env": {tool_server.VARIABLE: "${WORD_OF_MINE}"},
        },
        "gone": {"command": "/nowhere/at-all"},
    }
    (home / "mcp.json").write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    (home / "alice.env").write_text(f"WORD_OF_MINE={WORD}\n", encoding="utf-8")
    talk = await fleet.add(
        "alice",
        Script(Reply.calling("word", server="words"), lambda heard: Reply(results(heard))),
        mcp=str(home / "mcp.json"),
        env_file=str(home / "alice.env"),
    )
    await fleet.host()
    message = await fleet.fleet.send("alice", "which word?")
    ask = await fleet.asked("alice")
    assert "word" in ask.question.splitlines()[0]
    assert not [line for line in command_lines() if WORD in line and line != f"told: {WORD}"]
    await fleet.answer(ask, "allow")
    await fleet.handled(message)
    assert f"the word is {WORD} told: {WORD}" in results(talk.heard[-1])
    missing = {record["server"] for record in fleet.fleet.logged("harness", "mcp_server_missing")}
    assert missing == (set() if fleet.kind.name == "gemini" else {"gone"}), "Gemini CLI says nothing of it"


def command_lines() -> list[str]:
    """Give the arguments of all that runs on this machine, except those of our small server."""
    found = list[str]()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
    return found


async def test_a_file_that_is_none_stops_the_agent_and_says_why(fleet: RealFleet, home: Path) -> None:
    """[H28] By name, before any turn; the mail waits."""
    (home / "mcp.json").write_text('{"mcpServers": {"queenpost": {"command": "x"}}}', encoding="utf-8")
    await fleet.add("alice", lambda heard: Reply("never"), mcp=str(home / "mcp.json"))
    await fleet.host()
    message = await fleet.fleet.send("alice", "hello")
    parked = await fleet.becomes("alice", lambda agent: agent.state == "parked" and agent.last_turn)
    assert "a server is called 'queenpost', as our own is" in parked.reason
    assert (await fleet.fleet.delivery(message)).state == "queued"


class Deciding:
    """The manager: answers what it is asked."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def __call__(self, heard: Heard) -> Reply:
        """Answer the ask that its mail puts."""
        found = re.search(r'ask="(a\d+)"', heard.prompt)
        if found is None or any(result.tool.name == "answer" for result in heard.results):
            return Reply("decided")
        return Reply.calling("answer", id=found[1], answer=self.answer)


@pytest.mark.parametrize(("answer", "ran"), [("always", True), ("deny", False)])
async def test_the_manager_decides_what_a_rule_leaves_to_it(fleet: RealFleet, answer: str, ran: bool) -> None:
    """[P06] Also in one inherited login, which runs one turn at a time (Codex and opencode here): one lends it.

    The operator is not asked; what is more than the rule names is the operator's.
    """
    tool = re.fullmatch(r"May I use (\w+)\?", fleet.kind.asking.asked[0])
    assert tool is not None
    await fleet.add("boss", Deciding(answer), role="manager")
    run = fleet.kind.asking.run
    await fleet.add(
        "alice",
        Script(run("touch made"), run("touch made && touch other"), lambda heard: Reply(results(heard))),
        delegate={"manager": [f"{tool[1]}(touch *)"]},
    )
    await fleet.host()
    made = fleet.fleet.home.agent_state("alice")
    message = await fleet.fleet.send("alice", "make it")
    with anyio.fail_after(60):
        (second,) = await fleet.fleet.until(
            lambda: operators(fleet), bool
        )  # fmt: skip
    assert "touch made && touch other" in second.question
    assert (made / "made").exists() is ran
    await fleet.answer(second, "deny")
    await fleet.handled(message)
    assert not (made / "other").exists()
    story = await fleet.fleet.operator.call(AsksExplain(ask="a1"), Explained)
    assert "by agent:boss" in " ".join(step.detail for step in story.history)


async def operators(fleet: RealFleet) -> list[Ask]:
    """Give what the operator is asked."""
    listed = await fleet.fleet.operator.call(AsksList(agent="operator"), AsksListed)
    return [ask for ask in listed.asks if ask.target == "operator"]


MEMORY = {"claude": ("CLAUDE_CONFIG_DIR", "", "claude_md"), "gemini": ("GEMINI_CLI_HOME", ".gemini", "gemini_md")}
SKILL = "---\nname: pump\ndescription: How to repair the pump of the left wing.\n---\nUse a wrench.\n"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name in MEMORY], ids=str, indirect=True)
@pytest.mark.parametrize("inherits", [True, False])
async def test_a_folder_of_its_own_has_what_it_inherits(
    fleet: RealFleet, home: Path, monkeypatch: pytest.MonkeyPatch, *, inherits: bool
) -> None:
    """DESIGN 8: the user's memory file and skills reach the model by a link, and only where they are named."""
    variable, below, memory = MEMORY[fleet.kind.name]
    user = home / "user" / below
    (user / "skills" / "pump").mkdir(parents=True)
    (user / "skills" / "pump" / "SKILL.md").write_text(SKILL, encoding="utf-8")
    (user / f"{memory.removesuffix('_md').upper()}.md").write_text("Remember the herring.", encoding="utf-8")
    monkeypatch.setenv(variable, str(home / "user"))
    talk = fleet.models.open("alice", lambda heard: Reply("read"))
    around = surround(fleet.kind.name, home / "alice", talk)
    around.pop(variable, None)
    more = {"inherit": ["skills", memory]} if inherits else {}
    command = list(fleet.program.command)
    await fleet.fleet.add("alice", backend=fleet.kind.name, command=command, env=around, **fleet.kind.settings, **more)
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "what do you know?"))
    told = json.dumps(talk.heard[-1].body)
    assert ("Remember the herring." in told, "pump of the left wing" in told) == (inherits, inherits)
