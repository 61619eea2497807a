"""Real Claude Codes in a fleet: broker, harness, program; only the model behind them is scripted."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from harness.checkpoints import STEPS
from tests.e2e.claude_fleet import PATIENCE_S, Claudes, bash, claudes, gone, once
from tests.fakes.models.brains import Drain, Script
from tests.fakes.models.talk import Failing, Heard, Reply

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
async def fleet(home: Path) -> AsyncGenerator[Claudes]:
    """A fleet without agents."""
    async with claudes(home) as opened:
        yield opened


def stuck(heard: Heard) -> Reply:
    """Never answer."""
    return Reply("I am about to").once(anyio.Event())


def results(heard: Heard) -> str:
    """Give what the tools gave."""
    return " ".join(result.text for result in heard.results)


async def test_mail_is_handled_in_one_session_of_one_process(fleet: Claudes) -> None:
    """[P02] [H38] From the operator and back; the second turn is told its mail only, in the process of the first."""
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


async def test_a_process_for_each_turn_where_it_is_not_warm(fleet: Claudes) -> None:
    """[H38] The session is the same."""
    talk = await fleet.add("alice", Drain(), warm=False)
    await fleet.host()
    for body in ("one", "two"):
        await fleet.handled(await fleet.fleet.send("alice", body))
    assert fleet.starts() == 2
    assert talk.heard[-1].answers > 0


async def test_mail_that_comes_meanwhile_is_announced_and_drained(fleet: Claudes) -> None:
    """[P03] At a tool boundary: how much, not what; taken and answered in the same turn."""
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
    told = [note for heard in talk.heard for note in heard.notes if "come for you meanwhile" in note]
    assert "1 message has come for you meanwhile" in told[0]
    assert "the second" not in told[0]


def announced(heard: Heard) -> Reply:
    """Use a tool until mail is announced, take it, and come to an end."""
    if "come for you meanwhile" in heard.news:
        return Reply.calling("recv_batch")
    if any(result.tool.name == "recv_batch" for result in heard.results):
        return Reply("I have both.")
    return Reply.calling("whoami")


@pytest.mark.parametrize(("words", "ran"), [("allow", True), ("deny", False)])
async def test_a_permission_is_asked_and_the_turn_goes_on(fleet: Claudes, words: str, ran: bool) -> None:
    """[P06] The operator sees who waits for what, under which id; answers; the model goes on with it."""
    talk = await fleet.add("alice", Script(bash("python3 -c 'print(6*7)'"), lambda heard: Reply(results(heard))))
    await fleet.host()
    message = await fleet.fleet.send("alice", "calculate")
    ask = await fleet.asked("alice")
    assert ask.question.splitlines()[:2] == ["May I use Bash?", "python3 -c 'print(6*7)'"]
    (shown,) = [agent for agent in await fleet.status() if agent["name"] == "alice"]
    assert (shown["state"], shown["reason"]) == ("waiting_permission", f"{ask.id}: Bash python3 -c 'print(6*7)'")
    await fleet.answer(ask, words)
    await fleet.handled(message)
    assert ("42" in results(talk.heard[-1])) is ran
    assert ("denied by" in results(talk.heard[-1])) is not ran


async def test_always_is_asked_once_even_over_a_restart(fleet: Claudes) -> None:
    """[P06] For the session: in the same process, in the next one, behind a new harness."""
    command = "python3 -c 'print(6*7)'"

    def brain(heard: Heard) -> Reply:
        return bash(command) if heard.fresh else Reply(results(heard))

    talk = await fleet.add("alice", brain)
    await fleet.host()
    message = await fleet.fleet.send("alice", "calculate")
    ask = await fleet.asked("alice")
    assert "`always` would allow, for this session: Bash(python3 -c 'print(6*7)')" in ask.question
    await fleet.answer(ask, "always")
    await fleet.handled(message)
    await fleet.handled(await fleet.fleet.send("alice", "again"))
    await fleet.harness.stop()
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "and again"))
    assert [results(heard) for heard in talk.heard if heard.results] == ["42"] * 3


async def test_what_is_not_allowed_is_denied_without_a_question(fleet: Claudes) -> None:
    """[H26] `deny`, and what the list allows in the program's own grammar."""
    replies = [bash("touch made"), bash("python3 -c 'print(6*7)'")]
    talk = await fleet.add(
        "alice",
        Script(*replies, lambda heard: Reply(results(heard))),
        permissions="deny",
        allowed_tools=["Bash(touch *)"],
    )
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "try"))
    assert (fleet.fleet.home.agent_state("alice") / "made").exists()
    assert "42" not in results(talk.heard[-1])


async def test_a_killed_program_gets_its_mail_again_and_remembers(fleet: Claudes) -> None:
    """[H21] kill -9 in its first turn, with a tool behind it; the banner says so, the session goes on."""
    talk = await fleet.add("alice", Script(Reply.calling("whoami"), stuck, then=Drain()))
    await fleet.host()
    message = await fleet.fleet.send("alice", "count to three")
    with anyio.fail_after(PATIENCE_S):
        await talk.next()
        await talk.next()
        await fleet.remembers("alice", "tool_result")
    await gone(await fleet.kill("alice"))
    story = await fleet.handled(message)
    assert (story.attempt, story.failures) == (2, 1)
    await fleet.operator_has("done: count to three")
    again = talk.heard[2]
    assert "(redelivered, attempt 2" in again.prompt
    assert "You are alice" in again.prompt
    assert again.answers > 0, "the session was resumed"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_harness_that_goes_leaves_no_program_and_no_mail(fleet: Claudes, how: signal.Signals) -> None:
    """[H21] In the middle of a turn; the next one goes on with the session, and restates who the agent is."""
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


@pytest.mark.parametrize("step", STEPS)
async def test_a_harness_that_dies_at_any_step_loses_nothing(fleet: Claudes, step: str) -> None:
    """[H21] kill -9 of it there, and of no other; the next one handles the mail, and no program is left over."""
    await fleet.add("alice", Drain())
    message = await fleet.fleet.send("alice", "hello")
    mortal = await fleet.fleet.start_harness("--takeover", mortal_at=step)
    with anyio.fail_after(PATIENCE_S):
        assert await mortal.ends() == -signal.SIGKILL
    await fleet.host()
    assert (await fleet.handled(message)).failures == 0
    await fleet.operator_has("done: hello")
    assert (await fleet.fleet.account()).lost == 0
    assert len(children_of(fleet.harness.process.pid)) <= 1


async def test_a_warm_program_ends_with_a_harness_that_was_killed(fleet: Claudes) -> None:
    """Ours: idle, nothing notes it in a file; it ends because its stdin does."""
    await fleet.add("alice", Drain())
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "hello"))
    pids = children_of(fleet.harness.process.pid)
    assert len(pids) == 1
    await fleet.harness.kill()
    await gone(pids[0])


def children_of(pid: int) -> list[int]:
    """Give the processes that a process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]


@pytest.mark.parametrize(
    ("kind", "outcome", "words"),
    [
        ("rate_limit", "rate_limited", "Request rejected (429)"),
        ("bad_key", "auth", "Invalid API key"),
        ("credit", "credit", "Credit balance is too low"),
        ("no_model", "bad_model", "issue with the selected model"),
    ],
)
async def test_a_wall_parks_the_agent_and_blames_no_mail(
    fleet: Claudes, kind: Failing, outcome: str, words: str
) -> None:
    """[P08] Said in the program's own words; nothing runs against it."""
    talk = await fleet.add("alice", lambda heard: Reply.failing(kind))
    await fleet.host()
    message = await fleet.fleet.send("alice", "hello")
    parked = await fleet.becomes("alice", lambda agent: agent.state == "parked" and agent.last_turn)
    assert parked.last_turn is not None
    assert parked.last_turn.outcome == outcome
    assert words in parked.reason
    assert '"type"' not in parked.reason
    story = await fleet.fleet.delivery(message)
    assert (story.state, story.failures) == ("queued", 0)
    assert len(talk.heard) <= 8


@pytest.mark.parametrize("kind", ["overloaded", "disconnect"])
async def test_what_passes_is_tried_again_by_itself(fleet: Claudes, kind: Failing) -> None:
    """[P08] The mail is handled when the API is there again."""
    talk = await fleet.add("alice", lambda heard: Reply.failing(kind))
    await fleet.host()
    message = await fleet.fleet.send("alice", "hello")
    await fleet.becomes("alice", lambda agent: agent.state == "parked")
    talk.brain = Drain()
    assert (await fleet.handled(message)).failures == 0


async def test_a_silent_model_is_told_interrupted_and_the_mail_comes_again(fleet: Claudes) -> None:
    """[H38] By the program's own interrupt."""
    talk = await fleet.add("alice", Script(Reply.calling("whoami"), stuck, then=Drain()), silence_s=3)
    await fleet.host()
    story = await fleet.handled(await fleet.fleet.send("alice", "hello"))
    assert (story.attempt, story.failures) == (2, 1)
    assert [record["outcome"] for record in fleet.fleet.logged("harness", "turn_ended")] == ["hung", "completed"]
    assert talk.heard[-1].answers > 0


async def test_a_history_that_was_compacted_is_told_again_who_it_is(fleet: Claudes) -> None:
    """[P13] The summary may have lost it; the turn behind that one is short again."""
    replies = [Reply("one"), Reply("two"), Reply.failing("context")]
    talk = await fleet.add("alice", Script(*replies, then=Reply("yes")))
    await fleet.host()
    for body in ("a", "b", "c", "d", "e"):
        await fleet.handled(await fleet.fleet.send("alice", body))
    assert len(talk.asides) == 1
    prompts = [heard.prompt for heard in talk.heard if heard.fresh]
    assert ["You are alice" in prompt for prompt in (prompts[1], prompts[-2], prompts[-1])] == [False, True, False]
    assert fleet.starts() == 1


async def test_bypass_as_root_is_named_before_any_turn(fleet: Claudes) -> None:
    """[H28] The program refuses it; nothing is started, and the agent says why."""
    if os.geteuid() != 0:
        pytest.skip("only root is refused")
    talk = await fleet.add("alice", Drain(), permissions="bypass")
    await fleet.host()
    await fleet.fleet.send("alice", "hello")
    parked = await fleet.becomes("alice", lambda agent: agent.state == "parked" and agent.reason)
    assert "IS_SANDBOX" in parked.reason
    assert talk.heard == []


async def test_a_folder_in_which_its_user_is_another_agent(fleet: Claudes, home: Path) -> None:
    """Ours: hooks of an interactive session lie there; who is hosted is not told that it is that one."""
    project = home / "project"
    project.mkdir()
    await fleet.fleet.add("me")
    queenpost = str(Path(sys.executable).with_name("queenpost"))
    install = ["mcp", "install", "--client", "claude", "--agent", "me", "--hooks"]
    await anyio.run_process([queenpost, *install, "--home", str(fleet.fleet.home.root)], cwd=project)
    assert "SessionStart" in (project / ".claude" / "settings.local.json").read_text(encoding="utf-8")
    talk = await fleet.add("alice", Drain(), workdir=str(project))
    await fleet.host()
    await fleet.handled(await fleet.fleet.send("alice", "hello"))
    said = json.dumps([heard.body["messages"] for heard in talk.heard])
    assert "You are alice" in said
    assert "You are me" not in said
