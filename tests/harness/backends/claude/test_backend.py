"""One process over many turns: when it stays, when it goes, what of it is kept."""

import json
import os
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from harness.backends.claude import shapes
from harness.backends.claude.outcomes import judge_compaction
from harness.backends.protocol import (
    Began,
    Ended,
    NotStartedError,
    Output,
    Permission,
    Permitted,
    Probe,
    ToolUse,
    TurnRequest,
)
from harness.backends.session_file import read
from tests.fakes.processes import alive, gone
from tests.harness.backends.claude.conftest import Claude, OpenClaude, said
from tests.harness.backends.playing import Played, ending
from wire.turns import Usage


async def test_one_process_serves_turn_after_turn(claude: Claude) -> None:
    """[H38] It stays while it is warm, and begins with the session that it was given."""
    played = [await claude.play("say hello"), await claude.play("tool Bash", "say again")]
    assert [one.ended.outcome for one in played] == ["completed", "completed"]
    assert said(played[1]) == ["again"]
    assert [type(event) for event in played[1].events if not isinstance(event, Output)] == [Began, ToolUse, Ended]
    assert len(claude.pids) == 1
    assert alive(claude.pids[0])


async def test_leaving_the_backend_ends_the_process(open_claude: OpenClaude) -> None:
    """Ours: nothing outlives the harness."""
    async with open_claude() as claude:
        await claude.play("say hello")
    assert not alive(claude.pids[0])


async def test_cold_means_a_process_for_each_turn_and_one_session(open_claude: OpenClaude) -> None:
    """[H38] `warm = false` resumes by session id; and the model remembers."""
    async with open_claude(warm=False) as claude:
        await claude.play("say hello")
        assert not alive(claude.pids[0])
        assert claude.backend.remembers
        await claude.play("say hello")
    assert claude.flag("--session-id", 0) == claude.flag("--resume", 1)


async def test_a_new_harness_goes_on_with_the_session(open_claude: OpenClaude) -> None:
    """[H38] The id is kept in a file; who the agent is has to be said again."""
    async with open_claude() as first:
        await first.play("say hello")
    async with open_claude() as second:
        assert not second.backend.remembers
        await second.play("say hello")
        assert second.backend.remembers
    assert second.flag("--resume") == first.flag("--session-id", 0)


async def test_a_session_that_nobody_knows_is_begun_anew(claude: Claude) -> None:
    """Ours: the mail comes again at once, and counts for nothing."""
    await claude.play("say hello")
    (session,) = (claude.folder / "sessions").iterdir()
    session.unlink()
    await claude.play("die 1")
    assert ending(await claude.play("say hello")) == (
        "interrupted",
        "it does not know its session any more; a new one begins",
    )
    assert ending(await claude.play("say hello")) == ("completed", "")
    assert claude.flag("--session-id") not in (None, session.name)


async def test_who_dies_without_a_result_was_killed(claude: Claude) -> None:
    """[H38] Whatever the exit status says; the session goes on in a new process."""
    for status in (0, 3):
        outcome, reason = ending(await claude.play("say well", f"die {status}"))
        assert outcome == "crashed"
        assert reason.endswith("without a result: something is wrong")
        assert not claude.backend.remembers
    assert ending(await claude.play("say hello")) == ("completed", "")
    assert claude.flag("--resume") == claude.flag("--session-id", 0)


async def test_dying_between_turns_costs_nothing(claude: Claude) -> None:
    """Ours: the next turn starts a new process, and says again who the agent is."""
    await claude.play("say hello")
    (pid,) = claude.pids
    os.kill(pid, 9)
    with anyio.fail_after(10):
        while claude.backend.remembers:
            await anyio.lowlevel.checkpoint()
    assert ending(await claude.play("say hello")) == ("completed", "")
    assert claude.flag("--resume") == claude.flag("--session-id", 0)


async def test_a_failed_turn_takes_its_process_with_it(claude: Claude) -> None:
    """Ours: the next one starts with the key that is in the file by then."""
    outcome, reason = ending(await claude.play('fail {"api_error_status": 401, "result": "Invalid API key"}'))
    assert (outcome, reason) == ("auth", "Invalid API key")
    assert not alive(claude.pids[0])
    assert not claude.backend.remembers


FULL = 'fail {"terminal_reason": "prompt_too_long"}'


async def test_a_full_context_is_compacted_and_charged_once(claude: Claude) -> None:
    """[H38] By a command of its own, in a process that resumes the session; what that cost is in the turn behind it."""
    assert (await claude.play("cost 0.5")).ended.usage == Usage(
        input_tokens=10, output_tokens=5, cost_usd=0.5, tool_calls=0
    )
    full = await claude.play("cost 0.75", FULL)
    assert full.ended.outcome == "context_full"
    assert full.ended.usage is not None
    assert full.ended.usage.cost_usd == 0.25
    again = await claude.play("cost 1", "say hello")
    assert ending(again) == ("completed", "")
    assert again.ended.usage is not None
    assert again.ended.usage.cost_usd == 0.25
    assert claude.flag("--resume", -1) == claude.flag("--session-id", 0)
    words = [one["message"]["content"] for one in claude.kept("heard") if one["type"] == "user"]
    assert words[-2:] == ["/compact", "cost 1\nsay hello"]


async def test_nothing_is_put_into_a_compaction(open_claude: OpenClaude) -> None:
    """Ours: it would be a turn of its own, before the mail; an interrupt is told to the program."""
    async with open_claude(env={"FAKE_COMPACT": "hang"}) as claude:
        await claude.play(FULL)
        with anyio.fail_after(30):
            async with claude.backend.run(TurnRequest("t1", "say hello")) as program:
                while not claude.kept("compacted"):
                    await anyio.lowlevel.checkpoint()  # nothing announces it
                assert not await program.nudge("one more thing")
        words = [one["message"]["content"] for one in claude.kept("heard") if one["type"] == "user"]
        assert words == [FULL, "/compact"]


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ("Compaction failed · conversation could not be reduced below the context limit", "context_full"),
        ("Error during compaction: API Error: Request rejected (429) · This would exceed your limit.", "rate_limited"),
        ("Error during compaction: API Error: 529 Overloaded. Try again in a moment (127.0.0.1:343).", "overloaded"),
        ("Error during compaction: API Error: Connection to the API was lost (ECONNRESET).", "offline"),
        ("Error during compaction: Invalid API key · Fix external API key", "auth"),
        ("You've hit your session limit · resets 3pm", "rate_limited"),
        ("", "context_full"),
    ],
)
def test_why_nothing_became_shorter_stands_in_words_only(words: str, outcome: str) -> None:
    """[P08] As the real one said it; its `result` is no error."""
    result = {"type": "result", "subtype": "success", "is_error": False, "num_turns": 0, "result": words}
    assert judge_compaction(result).outcome == outcome


async def test_a_history_that_became_a_summary_is_told_again_who_it_is(claude: Claude) -> None:
    """[P13] the summary may have lost it; one turn later it knows again."""
    await claude.play("compact", "say where was I")
    assert not claude.backend.remembers
    await claude.play("say hello")
    assert claude.backend.remembers
    assert len(claude.pids) == 1


async def test_a_sum_that_begins_anew_is_taken_as_it_is(claude: Claude) -> None:
    """[H38] Claude Code 2.1.197 loses it with its process; the day's budget does not."""
    usages = [(await claude.play(f"cost {total}")).ended.usage for total in (0.5, 0.25, 0.75)]
    assert [usage.cost_usd for usage in usages if usage] == [0.5, 0.25, 0.5]


async def test_costs_are_differenced_over_turns_and_processes(open_claude: OpenClaude) -> None:
    """[H38] The program adds up over the session, over a restart too."""
    costs: list[float | None] = []
    for turns in (("cost 0.25", "cost 0.75"), ("cost 1.0",)):
        async with open_claude() as claude:
            for steps in turns:
                usage = (await claude.play(steps)).ended.usage
                assert usage is not None
                costs.append(usage.cost_usd)
    assert costs == [0.25, 0.5, 0.25]


async def test_a_quota_says_when_it_is_there_again(claude: Claude) -> None:
    """[P08] By the program's own event; an old one of another turn is forgotten."""
    wall = 'fail {"api_error_status": 429, "result": "You\'ve hit your 5-hour limit"}'
    assert (await claude.play("limit 1800000000", wall)).ended.until_ms == 1_800_000_000_000
    assert (await claude.play(wall)).ended.until_ms is None


@pytest.mark.parametrize("status", ["failed", "pending", "needs-auth"])
async def test_without_its_tools_no_turn_runs(open_claude: OpenClaude, status: str) -> None:
    """[H38] The program would go on without them; the process is ended."""
    async with open_claude(env={"FAKE_MCP": status}) as claude:
        assert ending(await claude.play("stuck")) == ("mcp_missing", f"its MCP server queenpost is {status}")
        assert not alive(claude.pids[0])


async def test_a_server_of_its_own_that_does_not_attach_is_named_once(
    open_claude: OpenClaude, caplog: pytest.LogCaptureFixture
) -> None:
    """DESIGN 10: the agent works on without it; one that has not answered yet is not missing."""
    further = [{"name": "db", "status": "failed"}, {"name": "slow", "status": "pending"}]
    async with open_claude(env={"FAKE_FURTHER": json.dumps(further)}) as claude:
        assert (await claude.play("say a")).ended.outcome == "completed"
        await claude.play("say b")
    named = [record for record in caplog.records if record.message == "mcp_server_missing"]
    assert [getattr(record, "fields", {}) for record in named] == [{"server": "db", "reason": "failed"}]


async def test_a_line_put_in_is_taken_up_in_the_turn(claude: Claude) -> None:
    """[P03] With the next tool's result; the turn ends with its one result."""
    played = Played()
    with anyio.fail_after(15):
        async with claude.backend.run(TurnRequest("t1", "tool Bash\nqueue")) as program:
            async for event in program.events():
                played.events.append(event)
                if isinstance(event, ToolUse):
                    assert await program.nudge("there is mail")
            assert not await program.nudge("too late")
    assert said(played) == ["took there is mail"]
    assert played.ended.outcome == "completed"


async def test_a_line_that_comes_too_late_makes_a_further_result(claude: Claude) -> None:
    """[P03] The turn goes on until that one; the tokens of both are counted."""
    played, was_put_in = Played(), anyio.Event()

    async def decide(permission: Permission) -> Permitted:
        await was_put_in.wait()
        return Permitted(allow=True)

    with anyio.fail_after(15):
        async with claude.backend.run(TurnRequest("t1", "tool Bash\nmay ls", decide)) as program:
            async for event in program.events():
                played.events.append(event)
                if isinstance(event, ToolUse):
                    await program.nudge("say you are late")
                    was_put_in.set()
    assert said(played)[-1] == "you are late"
    assert played.ended.usage == Usage(input_tokens=20, output_tokens=10, cost_usd=None, tool_calls=1)
    assert len(claude.pids) == 1


async def test_an_interrupt_ends_the_turn(claude: Claude) -> None:
    """[H38] By the result that follows; the session goes on."""
    outcome = ""
    with anyio.fail_after(15):
        async with claude.backend.run(TurnRequest("t1", "tool Bash\nstuck")) as program:
            async for event in program.events():
                if isinstance(event, ToolUse):
                    await program.interrupt()
                if isinstance(event, Ended):
                    outcome = event.outcome
    assert outcome == "interrupted"
    assert ending(await claude.play("say hello")) == ("completed", "")


async def test_what_was_put_in_before_an_interrupt_is_of_no_later_turn(claude: Claude) -> None:
    """Ours: the program would begin a turn of its own with it, and end ours with its result."""
    with anyio.fail_after(15):
        async with claude.backend.run(TurnRequest("t1", "tool Bash\nstuck")) as program:
            async for event in program.events():
                if isinstance(event, ToolUse):
                    await program.nudge("say I am of the turn before")
                    await program.interrupt()
    assert said(await claude.play("say hello")) == ["hello"]
    assert len(claude.pids) == 2


async def test_two_processes_are_never_there_for_one_agent(claude: Claude) -> None:
    """Ours: the one before is gone before the next one starts."""
    for steps in ("say a", "die 1", "say b", "flood 1", "die 0"):
        await claude.play(steps)
        assert sum(alive(pid) for pid in claude.pids) <= 1
    assert len(claude.pids) == 2


async def test_a_turn_that_is_left_ends_the_program_that_ignores_it(claude: Claude) -> None:
    """[H38] With its children; the session is resumed."""
    child = 0
    with anyio.fail_after(15):
        async with claude.backend.run(TurnRequest("t1", "orphan\ndeaf")) as program:
            played = Played()
            async for event in program.events():
                played.events.append(event)
                words = said(played) if isinstance(event, Output) else []
                if "deaf" in words:
                    child = int(words[0].split()[1])
                    break
    assert not alive(program.pid)
    await gone(child)
    assert ending(await claude.play("say hello")) == ("completed", "")


async def test_who_reads_nothing_blocks_nobody(claude: Claude) -> None:
    """Ours: a prompt longer than a pipe holds, to a program that is deaf: the turn can be told, and ended."""
    with anyio.fail_after(15):
        async with claude.backend.run(TurnRequest("t1", "deaf")) as program:
            told = [await program.nudge("x" * 100_000) for _ in range(200)]
            await program.interrupt()
    assert told[0] is True
    assert told[-1] is False
    assert not alive(program.pid)


async def test_a_flood_and_garbage_are_passed_over(claude: Claude) -> None:
    """Ours: it is output, and nothing in it is believed."""
    played = await claude.play(
        "flood 2048", "raw {not json", "raw [1]", 'raw {"type": 7}', 'raw {"type": "user"}', "say on"
    )
    assert said(played)[-1:] == ["on"]
    assert played.ended.outcome == "completed"


async def test_secrets_are_in_no_command_line_and_no_file(open_claude: OpenClaude) -> None:
    """Ours: The bearer comes from the environment; the list of servers names the variable."""
    async with open_claude() as claude:
        await claude.play("say hello")
    start = claude.kept("starts")[0]
    servers = json.loads(Path(str(claude.flag("--mcp-config"))).read_text(encoding="utf-8"))
    assert start["env"]["QUEENPOST_MCP_TOKEN"] == "the-bearer"
    assert "the-bearer" not in json.dumps([start["argv"], servers])
    assert servers["mcpServers"]["queenpost"]["headers"] == {"Authorization": "Bearer ${QUEENPOST_MCP_TOKEN}"}


async def test_a_key_of_its_own_means_a_folder_of_its_own(open_claude: OpenClaude) -> None:
    """Ours: A login of the user is not touched; without a key it is the user's."""
    async with open_claude(env={"ANTHROPIC_API_KEY": "sk-fake"}) as own:
        await own.play("say hello")
        folder = own.backend.seat.workspace.programs / "claude"
    assert own.kept("starts")[-1]["env"]["CLAUDE_CONFIG_DIR"] == str(folder)
    async with open_claude() as inherited:
        await inherited.play("say hello")
    assert inherited.kept("starts")[-1]["env"].get("CLAUDE_CONFIG_DIR") == os.environ.get("CLAUDE_CONFIG_DIR")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"command": ["no-such-claude"]}, "'no-such-claude' was not found; install it with"),
        ({"env": {"FAKE_VERSION": "2.0.99 (Claude Code)"}}, "2.0.99 of .* is too old; 2.1 or later is needed"),
        ({"env": {"FAKE_VERSION": "I am a teapot"}}, "cannot be read from 'I am a teapot'"),
        ({"env": {"FAKE_STATUS": "2"}}, "does not say its version: it exited with status 2"),
        ({"env_file": "no-such-file"}, "env_file .*no-such-file cannot be read"),
    ],
)
async def test_a_program_that_cannot_be_used_is_refused_by_name(
    open_claude: OpenClaude, settings: dict[str, object], problem: str
) -> None:
    """[H28] By the probe before the first mail, and by every turn; no turn runs with it."""
    async with open_claude(**settings) as claude:
        probe = await claude.backend.probe()
        assert probe.problem is not None
        with pytest.raises(NotStartedError, match=problem) as refused:
            await claude.play("say hello")
        assert refused.value.reason == probe.problem
    assert claude.pids == []


async def test_a_program_that_was_mended_runs(open_claude: OpenClaude) -> None:
    """Ours: it is looked at again with each turn, no restart is needed."""
    async with open_claude(env_file="its.env") as claude:
        assert (await claude.backend.probe()).problem
        path = claude.backend.seat.workspace.resolve("its.env")
        path.write_text("FAKE_VERSION=1.9.9\n", encoding="utf-8")
        with pytest.raises(NotStartedError, match="too old"):
            await claude.play("say hello")
        path.write_text("A=b\n", encoding="utf-8")
        assert ending(await claude.play("say hello")) == ("completed", "")
        assert await claude.backend.probe() == Probe("2.1.329")


async def test_bypass_as_root_is_refused_by_name(open_claude: OpenClaude, monkeypatch: pytest.MonkeyPatch) -> None:
    """[H28] The program itself would die with a line on stderr; with IS_SANDBOX it runs."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    async with open_claude(permissions="bypass") as claude:
        problem = (await claude.backend.probe()).problem
        assert problem is not None
        assert 'IS_SANDBOX = "1"' in problem
        with pytest.raises(NotStartedError):
            await claude.play("say hello")
    async with open_claude(permissions="bypass", env={"IS_SANDBOX": "1"}) as claude:
        assert ending(await claude.play("say hello")) == ("completed", "")
        assert claude.flag("--permission-mode") == "bypassPermissions"


async def test_the_session_is_kept_from_its_first_moment(claude: Claude) -> None:
    """[H21] Killed in its first turn, it is resumed: the model sees what it had done."""
    await claude.play("tool Bash", "die 1")
    workspace = claude.backend.seat.workspace
    kept = read(workspace.session_file, "claude", claude.folder)
    assert kept is not None
    assert kept.id == claude.flag("--session-id", 0)


async def test_hearing_us_is_no_sign_of_life(claude: Claude) -> None:
    """[H38] A model that hangs would be told to finish for ever: the program confirms each line at once."""
    alive: list[bool] = []
    with anyio.fail_after(15):
        async with claude.backend.run(TurnRequest("t1", "tool Bash\nstuck")) as program:
            async for event in program.events():
                if isinstance(event, ToolUse):
                    assert await program.nudge("please finish")
                if isinstance(event, Output) and b"queued" in event.data:
                    alive.append(event.alive)
                if len(alive) == 2:
                    break
    assert alive[-1] is False


@pytest.mark.parametrize(
    ("data", "confirming"),
    [
        (b'{"type": "command_lifecycle"}\n{"type": "control_response"}\n', True),
        (b'{"type": "command_lifecycle"}\n{"type": "assistant"}\n', False),
        (b'{"type": "command_lifecycle"}', False),
        (b'{"type": "command_lif\n', False),
        (b"7\n", False),
        (b'{"type": "command_lifecycle"}\n' * 1000, False),
    ],
)
def test_what_confirms_and_what_speaks(data: bytes, confirming: bool) -> None:
    """Ours: in doubt it is a sign of life."""
    assert shapes.confirms(data) is confirming
