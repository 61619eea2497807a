"""One app-server over many turns: when it stays, when it goes, what of it is kept.

Long because each way for a process to end is held against what the next turn finds.
"""

import json
import os

import anyio
import pytest

from harness.backends import session_file
from harness.backends.protocol import Began, Ended, NotStartedError, Output, Probe, ToolUse, TurnRequest
from tests.fakes.processes import alive
from tests.harness.backends.codex.conftest import Codex, OpenCodex, said
from tests.harness.backends.playing import Played, ending
from wire.turns import Usage


async def test_one_process_serves_turn_after_turn(codex: Codex) -> None:
    """[H19] It stays while it is warm, on one thread; a tool is called as its model calls it."""
    played = [await codex.play("say hello"), await codex.play("mcp queenpost send", "tool commandExecution", "say on")]
    assert [one.ended.outcome for one in played] == ["completed", "completed"]
    assert said(played[1]) == ["on"]
    events = [event for event in played[1].events if not isinstance(event, Output)]
    assert events[:3] == [Began(), ToolUse("mcp__queenpost__send"), ToolUse("exec_command")]
    assert isinstance(events[3], Ended)
    assert (len(codex.pids), len(codex.threads)) == (1, 1)
    assert alive(codex.pids[0])


async def test_leaving_the_backend_ends_the_process(open_codex: OpenCodex) -> None:
    """Ours: nothing outlives the harness."""
    async with open_codex() as codex:
        await codex.play("say hello")
    assert not alive(codex.pids[0])


async def test_cold_means_a_process_for_each_turn_and_one_thread(open_codex: OpenCodex) -> None:
    """[H19] `warm = false` resumes by thread id; where something may have to be asked it is the app-server still."""
    async with open_codex(warm=False) as codex:
        await codex.play("say hello")
        assert not alive(codex.pids[0])
        assert codex.backend.remembers
        await codex.play("say hello")
    assert len(codex.pids) == 2
    assert [asked["threadId"] for asked in codex.asked("thread/resume")] == codex.threads


async def test_a_new_harness_goes_on_with_the_thread(open_codex: OpenCodex) -> None:
    """[H19] The id is kept in a file; who the agent is has to be said again."""
    async with open_codex() as first:
        await first.play("say hello")
    async with open_codex() as second:
        assert not second.backend.remembers
        await second.play("say hello")
        assert second.backend.remembers
    assert len(second.threads) == 1


async def test_a_thread_that_nobody_knows_is_begun_anew(codex: Codex) -> None:
    """Ours: at once, where the prompt says who the agent is; with the next turn where it does not."""
    await codex.play("say hello")
    (lost,) = codex.threads
    (codex.seat.cwd / "threads" / lost).unlink()
    await codex.play("die 1")
    (codex.seat.cwd / "threads" / lost).unlink()
    assert ending(await codex.play("say hello")) == ("completed", "")
    (found,) = codex.threads
    assert found != lost


async def test_a_short_prompt_is_not_put_to_a_model_that_knows_nothing(open_codex: OpenCodex) -> None:
    """Ours: it was written for a thread that is gone; the next one says it all."""
    async with open_codex(warm=False) as codex:
        await codex.play("say hello")
        (codex.seat.cwd / "threads" / codex.threads[0]).unlink()
        with pytest.raises(NotStartedError, match="does not know its thread any more") as refused:
            await codex.play("say hello")
        assert refused.value.outcome == "interrupted"
        assert not codex.backend.remembers
        assert ending(await codex.play("say hello")) == ("completed", "")
        assert not [pid for pid in codex.pids if alive(pid)]


async def test_who_dies_without_an_end_of_its_turn_was_killed(codex: Codex) -> None:
    """[H20] Whatever the exit status says; the thread goes on in a new process."""
    for status in (0, 3):
        outcome, reason = ending(await codex.play("say well", f"die {status}"))
        assert outcome == "crashed"
        assert reason.endswith("without ending its turn: codex_core: something is wrong")
        assert not codex.backend.remembers
    assert ending(await codex.play("say hello")) == ("completed", "")
    assert len(codex.threads) == 1


async def test_dying_between_turns_costs_nothing(codex: Codex) -> None:
    """Ours: the next turn starts a new process, and says again who the agent is."""
    await codex.play("say hello")
    os.kill(codex.pids[0], 9)
    with anyio.fail_after(10):
        while codex.backend.remembers:
            await anyio.lowlevel.checkpoint()
    assert ending(await codex.play("say hello")) == ("completed", "")
    assert len(codex.threads) == 1


async def test_a_failed_turn_takes_its_process_with_it(codex: Codex) -> None:
    """Ours: the next one starts with the key that is in the file by then."""
    wall = await codex.play('fail {"message": "unexpected status 401", "codexErrorInfo": "unauthorized"}')
    assert ending(wall) == ("auth", "unexpected status 401")
    assert not alive(codex.pids[0])
    assert not codex.backend.remembers


FULL = 'fail {"message": "no room", "codexErrorInfo": "contextWindowExceeded"}'


async def test_a_full_context_is_compacted_in_a_turn_of_its_own(codex: Codex) -> None:
    """[H38] In the same thread; the tokens of both turns of the program are those of ours."""
    await codex.play("say hello", "tokens 100 10")
    assert ending(await codex.play("tokens 50 5", FULL)) == ("context_full", "no room")
    again = await codex.play("say hello", "tokens 20 2")
    assert ending(again) == ("completed", "")
    assert again.ended.usage is not None
    assert (again.ended.usage.input_tokens, again.ended.usage.output_tokens) == (20, 2)
    assert len(codex.threads) == 1
    started = [one["method"] for one in codex.kept("heard") if str(one.get("method")).endswith("/start")]
    assert started[-2:] == ["thread/compact/start", "turn/start"]


async def test_a_compaction_can_be_interrupted_and_takes_no_words_in(open_codex: OpenCodex) -> None:
    """[H20] A silent one is ended as any turn is; the thread stays, and is asked once more."""
    async with open_codex(env={"FAKE_COMPACT": "hang"}) as codex:
        await codex.play("say hello")
        await codex.play(FULL)
        with anyio.fail_after(30):
            async with codex.backend.run(TurnRequest("t1", "say hello")) as program:
                played = Played()
                async for event in program.events():
                    played.events.append(event)
                    if isinstance(event, Output) and b"turn/started" in event.data:
                        assert not await program.nudge("one more thing")
                        await program.interrupt()
        assert (ending(played)[0], played.began) == ("interrupted", False)
        assert len(codex.threads) == 1


async def test_a_history_that_became_a_summary_is_told_again_who_it_is(codex: Codex) -> None:
    """Ours: the summary may have lost it; one turn later it knows again."""
    await codex.play("compact", "say where was I")
    assert not codex.backend.remembers
    await codex.play("say hello")
    assert codex.backend.remembers
    assert len(codex.pids) == 1


async def test_tokens_are_differenced_over_turns_and_processes(open_codex: OpenCodex) -> None:
    """[H38] The program adds up over the thread, over a restart too."""
    spent: list[Usage | None] = []
    for turns in (("tokens 100 10", "tokens 30 3\ntool webSearch"), ("tokens 7 1",)):
        async with open_codex() as codex:
            spent += [(await codex.play(steps)).ended.usage for steps in turns]
    assert spent == [
        Usage(input_tokens=100, output_tokens=10, tool_calls=0),
        Usage(input_tokens=30, output_tokens=3, tool_calls=1, tools={"web_search": 1}),
        Usage(input_tokens=7, output_tokens=1, tool_calls=0),
    ]


async def test_a_quota_says_when_it_is_there_again(codex: Codex) -> None:
    """[H36] By the program's own event; a limit that is not used up says nothing."""
    wall = 'fail {"message": "You\'ve hit your usage limit.", "codexErrorInfo": "usageLimitExceeded"}'
    half = (await codex.play("limit 50 1800000000", wall)).ended
    assert (half.outcome, half.until_ms) == ("rate_limited", None)
    assert (await codex.play("limit 100 1800000000", wall)).ended.until_ms == 1_800_000_000_000
    assert (await codex.play("say hello")).ended.until_ms is None


async def test_without_its_tools_no_turn_runs(open_codex: OpenCodex) -> None:
    """[H19] The server is required; the process is ended, and the reason is short."""
    async with open_codex(env={"FAKE_MCP": "failed"}) as codex:
        with pytest.raises(NotStartedError) as refused:
            await codex.play("say hello")
        assert refused.value.outcome == "mcp_missing"
        assert refused.value.reason == "its MCP server is not connected: HTTP request failed: connection refused"
        assert not alive(codex.pids[0])


async def test_without_a_login_no_turn_runs(open_codex: OpenCodex) -> None:
    """[H35] It is said before the first request, with what to do; a provider of one's own may need none."""
    async with open_codex(env={"FAKE_ACCOUNT": "none"}) as codex:
        with pytest.raises(NotStartedError, match="run `codex login`") as refused:
            await codex.play("say hello")
        assert refused.value.outcome == "auth"
    async with open_codex(env={"FAKE_ACCOUNT": "free"}) as codex:
        assert ending(await codex.play("say hello")) == ("completed", "")


async def test_a_key_is_told_on_its_stdin_and_stays_in_its_memory(open_codex: OpenCodex) -> None:
    """[H33] [H35] Codex finds no key in its environment by itself; a login of the user is not touched."""
    async with open_codex(env={"OPENAI_API_KEY": "sk-of-alice"}) as codex:
        await codex.play("say hello")
    start = codex.kept("starts")[0]
    assert codex.asked("account/login/start") == [{"type": "apiKey", "apiKey": "sk-of-alice"}]
    assert "sk-of-alice" not in json.dumps(start["argv"])
    assert 'cli_auth_credentials_store="ephemeral"' in start["argv"]
    folder = codex.seat.workspace.programs / "codex"
    assert start["env"]["CODEX_HOME"] == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_words_put_in_are_read_in_the_turn(codex: Codex) -> None:
    """[H03] And refused where there is no turn to read them."""
    played = Played()
    with anyio.fail_after(15):
        async with codex.backend.run(TurnRequest("t1", "tool commandExecution\nsteer")) as program:
            async for event in program.events():
                played.events.append(event)
                if isinstance(event, ToolUse):
                    assert await program.nudge("there is mail")
            assert not await program.nudge("too late")
    assert said(played) == ["took there is mail"]
    (asked,) = codex.asked("turn/steer")
    assert asked["threadId"] == codex.threads[0]


async def test_words_put_in_are_no_sign_of_life(codex: Codex) -> None:
    """[H20] The program says them again; a silent model would else be told to finish for ever."""
    lines: list[tuple[str, bool]] = []
    with anyio.fail_after(15):
        async with codex.backend.run(TurnRequest("t1", "tool commandExecution\nsteer")) as program:
            async for event in program.events():
                if isinstance(event, ToolUse):
                    await program.nudge("finish")
                if isinstance(event, Output):
                    lines.append((event.data.decode(), event.alive))
    echoes = [alive for line, alive in lines if "userMessage" in line or "tokenUsage" in line or '"id":' in line[:6]]
    assert (len(echoes) >= 4, set(echoes)) == (True, {False})
    assert {alive for line, alive in lines if "took finish" in line or "turn/completed" in line} == {True}


async def test_an_interrupt_ends_the_turn(codex: Codex) -> None:
    """[H20] By its own word; the thread goes on."""
    outcome = ""
    with anyio.fail_after(15):
        async with codex.backend.run(TurnRequest("t1", "tool commandExecution\nstuck")) as program:
            async for event in program.events():
                if isinstance(event, ToolUse):
                    await program.interrupt()
                if isinstance(event, Ended):
                    outcome = event.outcome
    assert outcome == "interrupted"
    assert ending(await codex.play("say hello")) == ("completed", "")
    assert len(codex.threads) == 1


async def test_what_a_turn_left_running_is_ended(codex: Codex) -> None:
    """Ours: a command in the background would work for a turn that is over."""
    await codex.play("say hello")
    await codex.play("say hello")
    cleaned = [asked["threadId"] for asked in codex.asked("thread/backgroundTerminals/clean")]
    assert set(cleaned) == set(codex.threads)


async def test_a_helper_s_turn_is_not_ours(codex: Codex) -> None:
    """Ours: threads that the program makes for itself end nothing."""
    played = await codex.play("helper", "say hello")
    assert (said(played), played.ended.outcome) == (["hello"], "completed")


async def test_a_turn_that_is_left_ends_the_program_that_ignores_it(codex: Codex) -> None:
    """[H20] The thread is resumed."""
    with anyio.fail_after(15):
        async with codex.backend.run(TurnRequest("t1", "deaf")) as program:
            played = Played()
            async for event in program.events():
                played.events.append(event)
                if isinstance(event, Output) and "deaf" in said(played):
                    break
    assert not alive(program.pid)
    assert ending(await codex.play("say hello")) == ("completed", "")
    assert len(codex.threads) == 1


async def test_a_flood_and_garbage_are_passed_over(codex: Codex) -> None:
    """Ours: it is output, and nothing in it is believed."""
    garbage = [
        '{"id": 1}',
        '{"method": 7}',
        '{"method": "turn/completed"}',
        '{"id": "x", "result": []}',
        "{not json",
        "[1]",
    ]
    played = await codex.play("flood 2048", *(f"raw {line}" for line in garbage), "say on")
    assert said(played)[-1:] == ["on"]
    assert played.ended.outcome == "completed"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"command": ["no-such-codex"]}, "'no-such-codex' was not found; install it with"),
        ({"env": {"FAKE_VERSION": "codex-cli 0.30.1"}}, "0.30.1 of .* is too old; 0.169 or later is needed"),
        ({"env": {"FAKE_VERSION": "I am a teapot"}}, "cannot be read from 'I am a teapot'"),
        ({"env": {"FAKE_STATUS": "2"}}, "does not say its version: it exited with status 2"),
        ({"env_file": "no-such-file"}, "env_file .*no-such-file cannot be read"),
        ({"allowed_tools": ["Bash(git *)"]}, r"'Bash\(git \*\)' is no rule of Codex; write prefix_rule"),
    ],
)
async def test_a_program_that_cannot_be_used_is_refused_by_name(
    open_codex: OpenCodex, settings: dict[str, object], problem: str
) -> None:
    """[H19] By the probe before the first mail, and by every turn; no turn runs with it."""
    async with open_codex(**settings) as codex:
        probe = await codex.backend.probe()
        assert probe.problem is not None
        with pytest.raises(NotStartedError, match=problem) as refused:
            await codex.play("say hello")
        assert refused.value.reason == probe.problem
    assert codex.pids == []


async def test_a_program_that_can_be_used_says_its_version(codex: Codex) -> None:
    """[H19] Without a turn."""
    assert await codex.backend.probe() == Probe("0.169.0")


@pytest.mark.parametrize(
    ("how", "outcome", "reason"),
    [("dead", "missing_program", "it ended at once: Error: failed to load configuration: url is not supported")],
)
async def test_who_ends_before_its_first_turn_says_why(
    open_codex: OpenCodex, how: str, outcome: str, reason: str
) -> None:
    """Ours: in its own words."""
    async with open_codex(env={"FAKE_MCP": how}) as codex:
        with pytest.raises(NotStartedError) as refused:
            await codex.play("say hello")
        assert refused.value.outcome == outcome
        assert refused.value.reason.startswith(reason)


async def test_who_never_answers_is_no_codex(open_codex: OpenCodex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: it is ended."""
    monkeypatch.setattr("harness.backends.codex.greeting.GREETING_S", 2.0)  # it has to be started by then
    async with open_codex(env={"FAKE_MCP": "mute"}) as codex:
        with pytest.raises(NotStartedError, match=r"not ready within 2 s; is `command` Codex\?"):
            await codex.play("say hello")
        assert not alive(codex.pids[0])


async def test_the_thread_is_kept_from_its_first_moment(codex: Codex) -> None:
    """[H19] Killed in its first turn, it is resumed: the model sees what it had done."""
    await codex.play("tool commandExecution", "die 1")
    kept = session_file.read(codex.seat.workspace.session_file, "codex", codex.seat.cwd)
    assert kept is not None
    assert [kept.id] == codex.threads
