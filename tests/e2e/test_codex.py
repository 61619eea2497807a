"""Real Codexes in a fleet: broker, harness, program; only the model behind them is scripted.

Long because all of it is one table: what a fleet promises of an agent, shown with this program.
"""

import json
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from tests.e2e.claude_fleet import PATIENCE_S, gone, once
from tests.e2e.codex_fleet import Codexes, codexes, results, run
from tests.fakes.models.brains import Drain, Script
from tests.fakes.models.talk import Failing, Heard, Reply

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
async def fleet(home: Path) -> AsyncGenerator[Codexes]:
    """A fleet without agents."""
    async with codexes(home) as opened:
        yield opened


def stuck(heard: Heard) -> Reply:
    """Never answer."""
    return Reply("I am about to").once(anyio.Event())


async def test_mail_is_handled_on_one_thread_of_one_process(fleet: Codexes) -> None:
    """[H02] [H19] From the operator and back; the second turn is told its mail only, in the process of the first."""
    talk = await fleet.add("alice", Drain())
    await fleet.host()
    assert (await fleet.handled(await fleet.fleet.send("alice", "hello"))).attempt == 1
    await fleet.handled(await fleet.fleet.send("alice", "again"))
    await fleet.operator_has("done: hello")
    await fleet.operator_has("done: again")
    first, second = talk.heard[0], talk.heard[-1]
    assert "You are alice" in first.prompt
    assert second.prompt.startswith("You have 1 message.")
    assert second.answers > 0
    assert fleet.starts() == 1
    agent = await fleet.fleet.agent("alice")
    assert (agent.state, agent.last_turn and agent.last_turn.outcome) == ("idle", "completed")


@pytest.mark.parametrize("permissions", ["ask", "bypass"])
async def test_a_process_for_each_turn_where_it_is_not_warm(fleet: Codexes, permissions: str) -> None:
    """[H19] The thread is the same: of the app-server where something may be asked, of `codex exec` where not."""
    talk = await fleet.add("alice", Drain(), warm=False, permissions=permissions)
    await fleet.host()
    for body in ("one", "two"):
        await fleet.handled(await fleet.fleet.send("alice", body))
    assert talk.heard[-1].answers > 0
    text = await fleet.fleet.transcripts("alice")
    assert ('"thread.started"' in text) is (permissions == "bypass")
    assert fleet.starts() == (0 if permissions == "bypass" else 2)


async def test_mail_that_comes_meanwhile_is_announced_and_drained(fleet: Codexes) -> None:
    """[H03] At a tool boundary: how much, not what; taken and answered in the same turn."""
    held = anyio.Event()
    talk = await fleet.add("alice", once(Reply.calling("whoami").once(held), Drain()))
    await fleet.host()
    first = await fleet.fleet.send("alice", "the first")
    with anyio.fail_after(PATIENCE_S):
        await talk.next()
    second = await fleet.fleet.send("alice", "the second")
    talk.brain = announced
    held.set()
    stories = [await fleet.handled(first), await fleet.handled(second)]
    assert len({story.turn for story in stories}) == 1
    told = [heard.prompt for heard in talk.heard if "come for you meanwhile" in heard.prompt]
    assert "1 message has come for you meanwhile" in told[0]
    assert "the second" not in told[0]


def announced(heard: Heard) -> Reply:
    """Use a tool until mail is announced, take it, and come to an end."""
    if any(result.tool.name == "recv_batch" for result in heard.results):
        return Reply("I have both.")
    if "come for you meanwhile" in heard.news:
        return Reply.calling("recv_batch")
    return Reply.calling("whoami")


@pytest.mark.parametrize(("words", "ran"), [("allow", True), ("deny", False)])
async def test_a_permission_is_asked_and_the_turn_goes_on(fleet: Codexes, words: str, ran: bool) -> None:
    """[P02] The operator sees who waits for what; answers; the model goes on with it, and is told who said no."""
    talk = await fleet.add("alice", Script(run("touch made", outside=True), then=lambda heard: Reply(results(heard))))
    await fleet.host()
    message = await fleet.fleet.send("alice", "make it")
    ask = await fleet.asked("alice")
    assert ask.question.splitlines()[:3] == ["May I use exec_command?", "touch made", "it says: It is my work."]
    await fleet.answer(ask, words)
    await fleet.handled(message)
    assert (fleet.fleet.home.agent_state("alice") / "made").exists() is ran
    assert any("denied by operator" in heard.news for heard in talk.heard) is not ran


async def test_always_is_asked_once_even_over_a_restart(fleet: Codexes) -> None:
    """[P02] For the session: in the same process, in the next one, behind a new harness; in no file of Codex."""

    def brain(heard: Heard) -> Reply:
        return run("touch made", outside=True) if heard.fresh else Reply(results(heard))

    talk = await fleet.add("alice", brain)
    await fleet.host()
    message = await fleet.fleet.send("alice", "make it")
    ask = await fleet.asked("alice")
    assert '`always` would allow, for this session: prefix_rule(pattern=["touch", "made"])' in ask.question
    await fleet.answer(ask, "always")
    await fleet.handled(message)
    await fleet.handled(await fleet.fleet.send("alice", "again"))
    await fleet.harness.stop()
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "and again"))
    assert ["exited with code 0" in results(heard) for heard in talk.heard if heard.results] == [True] * 3
    assert not list(fleet.folder("alice").glob("rules/*"))


async def test_what_is_not_allowed_is_denied_without_a_question(fleet: Codexes) -> None:
    """[P02] `deny`, and what the list allows in the program's own grammar; the sandbox keeps the rest."""
    replies = [run("touch made", outside=True), run("touch other", outside=True), run("touch third")]
    talk = await fleet.add(
        "alice",
        Script(*replies, then=lambda heard: Reply(results(heard))),
        permissions="deny",
        allowed_tools=['prefix_rule(pattern=["touch", "made"])'],
    )
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "try"))
    state = fleet.fleet.home.agent_state("alice")
    assert [(state / name).exists() for name in ("made", "other", "third")] == [True, False, False]
    assert any("not among the tools" in heard.news for heard in talk.heard)


async def test_edits_go_through_in_the_workdir_only(fleet: Codexes, home: Path) -> None:
    """[H19] By the program's own sandbox."""
    outside = home / "outside"
    replies = [run("touch inside"), run(f"touch {outside}")]
    await fleet.add("alice", Script(*replies, then=Reply("done")), permissions="edits")
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "try"))
    assert (fleet.fleet.home.agent_state("alice") / "inside").exists()
    assert not outside.exists()


async def test_a_killed_program_gets_its_mail_again_and_remembers(fleet: Codexes) -> None:
    """[H21] kill -9 in its first turn, with a tool behind it; the banner says so, the thread goes on."""
    talk = await fleet.add("alice", Script(Reply.calling("whoami"), stuck, then=Drain()))
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
    assert again.answers > 0, "the thread was resumed"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_harness_that_goes_leaves_no_program_and_no_mail(fleet: Codexes, how: signal.Signals) -> None:
    """[H21] In the middle of a turn; the next one goes on with the thread, and restates who the agent is."""
    talk = await fleet.add("alice", Script(Reply("hello"), stuck, then=Drain()))
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "first"))
    message = await fleet.fleet.send("alice", "second")
    pid = await fleet.pid("alice")
    with anyio.fail_after(PATIENCE_S):
        await talk.next()
        await talk.next()
    fleet.harness.process.send_signal(how)
    await fleet.harness.ends()
    await fleet.host()
    assert (await fleet.handled(message)).failures == 0
    await gone(pid)
    assert "You are alice" in talk.heard[2].prompt
    assert talk.heard[2].answers > 0


@pytest.mark.parametrize(
    ("kind", "outcome", "words"),
    [
        ("rate_limit", "rate_limited", "429 Too Many Requests"),
        ("bad_key", "auth", "401 Unauthorized"),
        ("credit", "credit", "Quota exceeded"),
        ("no_model", "bad_model", "does not exist"),
    ],
)
async def test_a_wall_parks_the_agent_and_blames_no_mail(
    fleet: Codexes, kind: Failing, outcome: str, words: str
) -> None:
    """[H36] Said in the program's own words; nothing runs against it."""
    talk = await fleet.add("alice", lambda heard: Reply.failing(kind))
    await fleet.host()
    message = await fleet.fleet.send("alice", "hello")
    parked = await fleet.becomes("alice", lambda agent: agent.state == "parked" and agent.last_turn)
    assert parked.last_turn is not None
    assert parked.last_turn.outcome == outcome
    assert words in parked.reason
    story = await fleet.fleet.delivery(message)
    assert (story.state, story.failures) == ("queued", 0)
    assert len(talk.heard) <= 8


@pytest.mark.parametrize("kind", ["overloaded", "disconnect"])
async def test_what_passes_is_tried_again_by_itself(fleet: Codexes, kind: Failing) -> None:
    """[H36] The mail is handled when the API is there again."""
    talk = await fleet.add("alice", lambda heard: Reply.failing(kind))
    await fleet.host()
    message = await fleet.fleet.send("alice", "hello")
    await fleet.becomes("alice", lambda agent: agent.state == "parked")
    talk.brain = Drain()
    assert (await fleet.handled(message)).failures == 0


async def test_a_silent_model_is_told_interrupted_and_the_mail_comes_again(fleet: Codexes) -> None:
    """[H20] Told so, it is asked once more; then by the program's own interrupt."""
    talk = await fleet.add("alice", Script(Reply.calling("whoami"), stuck, stuck, then=Drain()), silence_s=3)
    await fleet.host()
    story = await fleet.handled(await fleet.fleet.send("alice", "hello"))
    assert (story.attempt, story.failures) == (2, 1)
    assert [record["outcome"] for record in fleet.fleet.logged("harness", "turn_ended")] == ["hung", "completed"]
    assert talk.heard[-1].answers > 0


@pytest.mark.parametrize("permissions", ["ask", "bypass"])
async def test_a_command_in_the_background_ends_with_its_turn(fleet: Codexes, permissions: str) -> None:
    """[H20] It would work for a turn that is over; in a sandbox and without one. The program stays."""
    talk = await fleet.add("alice", Script(run(LONG, yield_time_ms=250), then=Drain()), permissions=permissions)
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "hello"))
    assert "Process running" in results(talk.heard[1])
    with anyio.fail_after(PATIENCE_S):
        while [path for path in Path("/proc").glob("[0-9]*/cmdline") if LONG.encode() in said_by(path)]:
            await anyio.lowlevel.checkpoint()
    await fleet.handled(await fleet.fleet.send("alice", "again"))
    assert fleet.starts() == 1


LONG = "true that-is-only-run-here; sleep 900"


def said_by(cmdline: Path) -> bytes:
    """Give the command line of a process; nothing of one that has ended."""
    try:
        return cmdline.read_bytes()
    except OSError:
        return b""


async def test_a_full_context_is_followed_by_a_new_thread(fleet: Codexes) -> None:
    """[H36] It is told who it is, and remembers nothing."""
    talk = await fleet.add("alice", Script(Reply("one"), Reply.failing("context"), then=Drain()))
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "a"))
    await fleet.handled(await fleet.fleet.send("alice", "b"))
    again = talk.heard[2]
    assert "You are alice" in again.prompt
    assert again.answers == 0


async def test_a_key_of_its_own_is_used_and_left_in_no_file(fleet: Codexes) -> None:
    """[H33] [H35] With a folder of its own, where no login lies either; the user's folder is not touched."""
    talk = await fleet.add("alice", Drain(), env={"OPENAI_API_KEY": "sk-of-alice-0001"}, args=fleet.paid("alice"))
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "hello"))
    assert {heard.key for heard in talk.heard} == {"sk-of-alice-0001"}
    folder = fleet.folder("alice")
    assert not (folder / "auth.json").exists()
    assert "sk-of-alice-0001" not in json.dumps([path.name for path in folder.rglob("*")])
    assert "sk-of-alice-0001" not in await fleet.fleet.transcripts("alice")


async def test_no_login_is_said_before_any_request(fleet: Codexes) -> None:
    """[H35] With what to do."""
    talk = await fleet.add("alice", Drain(), args=fleet.paid("alice"))
    await fleet.host()
    await fleet.fleet.send("alice", "hello")
    parked = await fleet.becomes("alice", lambda agent: agent.state == "parked" and agent.reason)
    assert "codex login" in parked.reason
    assert talk.heard == []


async def test_servers_of_the_user_are_not_the_agent_s(fleet: Codexes) -> None:
    """[H33] Also one that is called as ours, which `queenpost mcp install` makes: Codex would refuse to start."""
    talk = await fleet.add("alice", Drain())
    config = fleet.folder("alice") / "config.toml"
    mine = '\n[mcp_servers.queenpost]\ncommand = "/bin/false"\n[mcp_servers.files]\nurl = "http://127.0.0.1:1/mcp"\n'
    config.write_text(config.read_text(encoding="utf-8") + mine, encoding="utf-8")
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "hello"))
    assert talk.heard[0].servers == {"queenpost_fleet"}
