"""Real Gemini CLIs in a fleet: broker, harness, program; only the model behind them is scripted."""

import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from tests.e2e.claude_fleet import PATIENCE_S, gone
from tests.e2e.gemini_fleet import Geminis, geminis, shell
from tests.fakes.models.brains import Drain, Script
from tests.fakes.models.talk import Failing, Heard, Reply

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]

CALCULATE = "python3 -c 'print(6*7)'"
"""What it only allows if it is told to; `ls` or `expr` it allows by itself."""


@pytest.fixture
async def fleet(home: Path) -> AsyncGenerator[Geminis]:
    """A fleet without agents."""
    async with geminis(home) as opened:
        yield opened


def stuck() -> Reply:
    """An answer that never comes."""
    return Reply("I am about to").once(anyio.Event())


def results(heard: Heard) -> str:
    """Give what the tools gave."""
    return " ".join(result.text for result in heard.results)


async def test_mail_is_handled_in_one_session_of_one_process(fleet: Geminis) -> None:
    """[P02] [H38] From the operator and back; the second turn is told its mail only, in the process of the first."""
    talk = await fleet.add("alice", Drain())
    await fleet.host()
    assert (await fleet.handled(await fleet.fleet.send("alice", "hello"))).attempt == 1
    await fleet.handled(await fleet.fleet.send("alice", "again"))
    await fleet.operator_has("done: hello")
    await fleet.operator_has("done: again")
    first, second = talk.heard[0], talk.heard[-1]
    assert "You are alice" in first.prompt
    assert first.servers == {"queenpost"}
    assert second.prompt.startswith("You have 1 message.")
    assert second.answers > 0
    assert fleet.starts() == 1


async def test_a_process_for_each_turn_where_it_is_not_warm(fleet: Geminis) -> None:
    """[H38] The session is the same."""
    talk = await fleet.add("alice", Drain(), warm=False)
    await fleet.host()
    for body in ("one", "two", "three"):
        await fleet.handled(await fleet.fleet.send("alice", body))
        assert fleet.age_sessions("alice")
    assert fleet.starts() == 3
    answers = [heard.answers for heard in talk.heard if heard.fresh]
    assert 0 == answers[0] < answers[1] < answers[2]


@pytest.mark.parametrize(("words", "ran"), [("allow", True), ("deny", False)])
async def test_a_permission_is_asked_and_the_turn_goes_on(fleet: Geminis, words: str, ran: bool) -> None:
    """[P06] The operator sees who waits for what, under which id; answers; the model goes on with it."""
    talk = await fleet.add("alice", Script(shell(CALCULATE), lambda heard: Reply(f"got {results(heard)}")))
    await fleet.host()
    message = await fleet.fleet.send("alice", "calculate")
    ask = await fleet.asked("alice")
    assert ask.question.splitlines()[:2] == ["May I use run_shell_command?", CALCULATE]
    await fleet.answer(ask, words)
    await fleet.handled(message)
    assert ("42" in results(talk.heard[-1])) is ran
    assert ("canceled by the user" in results(talk.heard[-1])) is not ran


async def test_always_is_asked_once_even_over_a_restart(fleet: Geminis) -> None:
    """[P06] For the session: in the same process, in the next one, behind a new harness."""

    def brain(heard: Heard) -> Reply:
        return shell(CALCULATE) if heard.fresh else Reply(f"got {results(heard)}")

    talk = await fleet.add("alice", brain)
    await fleet.host()
    message = await fleet.fleet.send("alice", "calculate")
    ask = await fleet.asked("alice")
    assert f"`always` would allow, for this session: run_shell_command({CALCULATE})" in ask.question
    await fleet.answer(ask, "always")
    await fleet.handled(message)
    await fleet.handled(await fleet.fleet.send("alice", "again"))
    await fleet.harness.stop()
    fleet.age_sessions("alice")
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "and again"))
    assert ["42" in results(heard) for heard in talk.heard if heard.results] == [True] * 3


async def test_what_is_not_allowed_is_denied_without_a_question(fleet: Geminis) -> None:
    """[P06] `deny`, and what the list allows in the program's own grammar: each part of a command has to be."""
    commands = ["touch made", f"touch also && {CALCULATE}", CALCULATE]
    talk = await fleet.add(
        "alice",
        Script(*map(shell, commands), Reply("so be it")),
        permissions="deny",
        allowed_tools=["run_shell_command(touch)"],
    )
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "try"))
    state = fleet.fleet.home.agent_state("alice")
    assert ((state / "made").exists(), (state / "also").exists()) == (True, False)
    assert not any("42" in results(heard) for heard in talk.heard)


@pytest.mark.parametrize(("permissions", "ran"), [("edits", False), ("bypass", True)])
async def test_its_modes(fleet: Geminis, permissions: str, ran: bool) -> None:
    """[H38] Edits in its folder go through, and a command is asked for; or nothing is checked."""
    steps = [Reply.calling("write_file", server=None, file_path="a.txt", content="hello"), shell(CALCULATE)]
    talk = await fleet.add("alice", Script(*steps, Reply("done")), permissions=permissions)
    await fleet.host()
    message = await fleet.fleet.send("alice", "write")
    if not ran:
        await fleet.answer(await fleet.asked("alice"), "deny")
    await fleet.handled(message)
    assert (fleet.fleet.home.agent_state("alice") / "a.txt").read_text(encoding="utf-8") == "hello"
    assert ("42" in results(talk.heard[-1])) is ran


async def test_a_killed_program_gets_its_mail_again(fleet: Geminis) -> None:
    """[H21] kill -9 in its first turn, with a tool behind it; the banner says so, and it is told again who it is."""
    talk = await fleet.add("alice", Script(Reply.calling("whoami"), stuck(), then=Drain()))
    await fleet.host()
    message = await fleet.fleet.send("alice", "count to three")
    with anyio.fail_after(PATIENCE_S):
        await talk.next()
        await talk.next()
    await gone(await fleet.kill("alice"))
    story = await fleet.handled(message)
    assert (story.attempt, story.failures) == (2, 1)
    await fleet.operator_has("done: count to three")
    again = talk.heard[2]
    assert "(redelivered, attempt 2" in again.prompt
    assert "You are alice" in again.prompt


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_harness_that_goes_leaves_no_program_and_no_mail(fleet: Geminis, how: signal.Signals) -> None:
    """[H21] In the middle of a turn; the next one goes on with the session, and restates who the agent is."""
    talk = await fleet.add("alice", Script(Reply("hello"), stuck(), then=Drain()))
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "first"))
    message = await fleet.fleet.send("alice", "second")
    pid = await fleet.pid("alice")
    with anyio.fail_after(PATIENCE_S):
        await talk.next()
        await talk.next()
    fleet.harness.process.send_signal(how)
    await fleet.harness.ends()
    fleet.age_sessions("alice")
    await fleet.host()
    assert (await fleet.handled(message)).failures == 0
    await gone(pid)
    assert "You are alice" in talk.heard[2].prompt
    assert talk.heard[2].answers > 0


@pytest.mark.parametrize(
    ("kind", "outcome"), [("rate_limit", "rate_limited"), ("bad_key", "auth"), ("no_model", "bad_model")]
)
async def test_a_wall_parks_the_agent_and_blames_no_mail(fleet: Geminis, kind: Failing, outcome: str) -> None:
    """[P08] Said in the program's own words; nothing runs against it."""
    await fleet.add("alice", lambda heard: Reply.failing(kind))
    await fleet.host()
    message = await fleet.fleet.send("alice", "hello")
    parked = await fleet.becomes("alice", lambda agent: agent.state == "parked" and agent.last_turn)
    assert parked.last_turn is not None
    assert parked.last_turn.outcome == outcome
    story = await fleet.fleet.delivery(message)
    assert (story.state, story.failures) == ("queued", 0)


@pytest.mark.parametrize("kind", ["overloaded", "disconnect"])
async def test_what_passes_is_tried_again_by_itself(fleet: Geminis, kind: Failing) -> None:
    """[P08] The mail is handled when the API is there again."""
    talk = await fleet.add("alice", lambda heard: Reply.failing(kind))
    await fleet.host()
    message = await fleet.fleet.send("alice", "hello")
    await fleet.becomes("alice", lambda agent: agent.state == "parked")
    talk.brain = Drain()
    assert (await fleet.handled(message)).failures == 0


async def test_a_silent_model_is_interrupted_and_the_mail_comes_again(fleet: Geminis) -> None:
    """[H38] By the program's own cancel."""
    await fleet.add("alice", Script(Reply.calling("whoami"), stuck(), then=Drain()), silence_s=5)
    await fleet.host()
    story = await fleet.handled(await fleet.fleet.send("alice", "hello"))
    assert (story.attempt, story.failures) == (2, 1)
    assert [record["outcome"] for record in fleet.fleet.logged("harness", "turn_ended")] == ["hung", "completed"]


async def test_a_login_of_the_user_is_used_and_nothing_of_it_changed(fleet: Geminis, home: Path) -> None:
    """Ours: inherited: its settings stay as they are, and its own MCP servers are not started."""
    talk = await fleet.add("alice", Drain())
    around = home / "alice"
    settings = around / ".gemini/settings.json"
    ours = settings.read_text(encoding="utf-8")
    with_server = ours[:-1] + ', "mcpServers": {"mine": {"command": "touch", "args": ["' + str(around) + '/started"]}}}'
    settings.write_text(with_server, encoding="utf-8")
    await fleet.fleet.add(
        "bob",
        backend="gemini",
        command=list(fleet.program.command),
        model="gemini-2.5-pro",
        env={"HOME": str(around), "GOOGLE_GEMINI_BASE_URL": talk.url, "GEMINI_CLI_HOME": str(around)},
        env_file=str(key_file(home)),
    )
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("bob", "hello"))
    assert settings.read_text(encoding="utf-8") == with_server
    assert not (around / "started").exists()
    assert talk.heard[0].servers == {"queenpost"}


def key_file(home: Path) -> Path:
    """Write a key where only the harness reads it."""
    path = home / "alice.env"
    path.write_text("GEMINI_API_KEY=AIza-fake-000000\n", encoding="utf-8")
    return path
