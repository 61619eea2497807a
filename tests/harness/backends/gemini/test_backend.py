"""One process over many turns: when it stays, when it goes, what of it is kept."""

import os

import anyio
import pytest

from harness.backends.gemini import backend as module
from harness.backends.protocol import Began, Ended, NotStartedError, Output, ToolUse, TurnRequest
from tests.fakes.processes import alive, gone
from tests.harness.backends.gemini.conftest import Gemini, OpenGemini, said
from tests.harness.backends.playing import Played, ending
from wire.turns import Usage


async def test_one_process_serves_turn_after_turn(gemini: Gemini) -> None:
    """[H38] It stays while it is warm, in one session."""
    played = [await gemini.play("say hello"), await gemini.play("think hm", "tool glob", "say again")]
    assert [ending(one) for one in played] == [("completed", "")] * 2
    assert said(played[1]) == ["again"]
    events = [event for event in played[1].events if not isinstance(event, Output)]
    usage = Usage(input_tokens=7, output_tokens=5, tool_calls=1)
    assert events == [Began(), ToolUse("glob"), Ended("completed", usage=usage)]
    assert len(gemini.pids) == 1
    assert len(set(gemini.sessions)) == 1


async def test_leaving_the_backend_ends_the_process(open_gemini: OpenGemini) -> None:
    """Ours: nothing outlives the harness."""
    async with open_gemini() as gemini:
        await gemini.play("say hello")
        assert alive(gemini.pids[0])
    assert not alive(gemini.pids[0])


async def test_a_process_for_each_turn_goes_on_with_the_session(open_gemini: OpenGemini) -> None:
    """[H38] `warm = false`; what is told again of earlier turns is of none of ours."""
    async with open_gemini(warm=False) as gemini:
        await gemini.play("say hello")
        assert not alive(gemini.pids[0])
        assert not gemini.backend.remembers
        assert said(await gemini.play("say on")) == ["on"]
    assert len(gemini.pids) == 2
    assert len(set(gemini.sessions)) == 1


async def test_a_new_harness_goes_on_with_the_session(open_gemini: OpenGemini) -> None:
    """[H38] The id is kept in a file; who the agent is has to be said again."""
    async with open_gemini() as first:
        await first.play("say hello")
        assert first.backend.remembers
    async with open_gemini() as second:
        assert not second.backend.remembers
        await second.play("say hello")
        assert second.backend.remembers
    assert len(second.heard("session/load")) == 1
    assert len(set(second.sessions)) == 1


async def test_a_session_that_nobody_knows_is_begun_anew(open_gemini: OpenGemini) -> None:
    """Ours: in the same process, at once; the mail waits for nothing."""
    async with open_gemini(warm=False) as gemini:
        await gemini.play("say hello")
        (session,) = (gemini.folder / "sessions").iterdir()
        session.unlink()
        assert ending(await gemini.play("say hello")) == ("completed", "")
        await gemini.play("say hello")
    assert len(gemini.pids) == 3
    first, second, third = gemini.sessions
    assert first != second == third


async def test_who_dies_without_a_result_was_killed(gemini: Gemini) -> None:
    """[H38] Whatever the exit status says; the session goes on in a new process."""
    await gemini.play("say hello")
    for status, words in ((0, "ended"), (3, "exited with status 3")):
        outcome, reason = ending(await gemini.play("say well", f"die {status}"))
        assert (outcome, reason) == ("crashed", f"it {words} without a result: something is wrong")
        assert not gemini.backend.remembers
    assert ending(await gemini.play("say hello")) == ("completed", "")
    assert len(set(gemini.sessions)) == 1


async def test_dying_between_turns_costs_nothing(gemini: Gemini) -> None:
    """Ours: the next turn starts a new process, and says again who the agent is."""
    await gemini.play("say hello")
    os.kill(gemini.pids[0], 9)
    with anyio.fail_after(10):
        while gemini.backend.remembers:
            await anyio.lowlevel.checkpoint()
    assert ending(await gemini.play("say hello")) == ("completed", "")
    assert len(gemini.pids) == 2


async def test_a_failed_turn_takes_its_process_with_it(gemini: Gemini) -> None:
    """Ours: the next one starts with the key that is in the file by then."""
    assert ending(await gemini.play("fail 401 API key not valid")) == ("auth", "API key not valid")
    assert not alive(gemini.pids[0])
    assert not gemini.backend.remembers


async def test_a_full_context_begins_a_new_session(gemini: Gemini) -> None:
    """Ours: one that went on would only fail again."""
    await gemini.play("say hello")
    assert ending(await gemini.play("stop max_tokens")) == ("context_full", "it stopped: max_tokens")
    assert ending(await gemini.play("say hello")) == ("completed", "")
    assert len(set(gemini.sessions)) == 2
    assert gemini.heard("session/load") == []


async def test_a_long_history_is_told_again_who_it_is(gemini: Gemini) -> None:
    """Ours: it may have become a summary, and the program does not say so."""
    await gemini.play("say hello", f"spend {module.MAY_COMPRESS_TOKENS}")
    assert not gemini.backend.remembers
    await gemini.play("say hello", f"spend {module.MAY_COMPRESS_TOKENS - 1}")
    assert gemini.backend.remembers


async def test_a_model_that_says_nothing_has_not_done_its_work(gemini: Gemini) -> None:
    """Ours: the program calls a refusal a finished turn; the mail comes again, and nothing counts against it."""
    played = await gemini.play("stop end_turn")
    assert ending(played) == ("crashed", "the model gave no answer, or refused to")
    assert not played.began


async def test_a_quota_says_when_it_is_there_again(gemini: Gemini, monkeypatch: pytest.MonkeyPatch) -> None:
    """[P08] In its words."""
    monkeypatch.setattr(gemini.backend._clock, "wall_ms", lambda: 5000)  # pyright: ignore[reportPrivateUsage]
    played = await gemini.play("fail 429 Used up. Suggested retry after 600s.")
    assert (played.ended.outcome, played.ended.until_ms) == ("rate_limited", 605_000)


async def test_without_its_tools_no_turn_runs(open_gemini: OpenGemini, monkeypatch: pytest.MonkeyPatch) -> None:
    """[H38] The program says nothing about it; we see that nobody calls, and end it."""
    monkeypatch.setattr(module, "ATTACH_S", 0.05)
    async with open_gemini(attached=anyio.Event) as gemini:
        outcome, reason = ending(await gemini.play("say hello"))
        assert (outcome, reason) == ("mcp_missing", "its MCP server queenpost did not attach within 0.05 s")
        assert not alive(gemini.pids[0])
        assert gemini.sessions == []


async def test_the_first_call_of_our_tools_is_waited_for(open_gemini: OpenGemini) -> None:
    """[H38] The prompt is put behind it."""
    called = anyio.Event()
    async with open_gemini(attached=lambda: called) as gemini, anyio.create_task_group() as tasks:

        async def attach() -> None:
            while not gemini.heard("session/new"):
                await anyio.lowlevel.checkpoint()
            assert gemini.sessions == []
            called.set()

        tasks.start_soon(attach)
        assert ending(await gemini.play("say hello")) == ("completed", "")


@pytest.mark.parametrize(
    ("env", "outcome", "reason"),
    [
        ({"FAKE_READY": "dies"}, "crashed", "it exited with status 1 without a result: no such flag"),
        ({"FAKE_READY": "never"}, "crashed", "it was not ready within 0.3 s"),
        ({"FAKE_OPEN": "Gemini API key is missing"}, "auth", "Gemini API key is missing"),
        ({"FAKE_OPEN": "nothing"}, "crashed", "it opened no session"),
    ],
)
async def test_a_program_that_does_not_get_ready_is_told_apart(
    open_gemini: OpenGemini, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], outcome: str, reason: str
) -> None:
    """Ours: no prompt was put, so nothing has begun; the process is ended."""
    if env.get("FAKE_READY") == "never":
        monkeypatch.setattr(module, "READY_S", 0.3)
    async with open_gemini(env=env) as gemini:
        played = await gemini.play("say hello")
        assert (ending(played), played.began) == ((outcome, reason), False)
        assert not any(alive(pid) for pid in gemini.pids)


async def test_an_interrupt_ends_the_turn(gemini: Gemini) -> None:
    """[H38] By the answer that follows; the session goes on."""
    await gemini.play("say hello")
    outcome = ""
    with anyio.fail_after(15):
        async with gemini.backend.run(TurnRequest("t1", "tool glob\nstuck")) as program:
            async for event in program.events():
                if isinstance(event, ToolUse):
                    assert not await program.nudge("there is mail")
                    await program.interrupt()
                if isinstance(event, Ended):
                    outcome = event.outcome
    assert outcome == "interrupted"
    assert ending(await gemini.play("say hello")) == ("completed", "")
    assert len(set(gemini.sessions)) == 1


async def test_a_turn_that_is_left_ends_the_program_that_ignores_it(gemini: Gemini) -> None:
    """[H38] With its children; the session is resumed."""
    child = 0
    with anyio.fail_after(15):
        async with gemini.backend.run(TurnRequest("t1", "orphan\ndeaf")) as program:
            played = Played()
            async for event in program.events():
                played.events.append(event)
                words = said(played) if isinstance(event, Output) else []
                if "deaf" in words:
                    child = int(words[0].split()[1])
                    break
    assert not alive(program.pid)
    await gone(child)
    assert ending(await gemini.play("say hello")) == ("completed", "")


async def test_a_flood_and_garbage_are_passed_over(gemini: Gemini) -> None:
    """Ours: it is output, and nothing in it is believed."""
    garbage = ("{not json", "[1]", '{"id": 99, "result": {}}', '{"method": "session/update"}', '{"method": 7, "id": 1}')
    played = await gemini.play("flood 2048", *(f"raw {one}" for one in garbage), "say on")
    assert said(played)[-1:] == ["on"]
    assert played.ended.outcome == "completed"


async def test_a_request_that_nobody_knows_is_refused(gemini: Gemini) -> None:
    """Ours: the program would wait for ever."""
    played = await gemini.play("ask fs/read_text_file")
    assert said(played) == ['{"code": -32601, "message": "fs/read_text_file is not supported"}']


async def test_secrets_are_in_no_command_line_and_no_file(open_gemini: OpenGemini) -> None:
    """Ours: the bearer goes through a pipe, to the server that is ours alone."""
    async with open_gemini(env={"GEMINI_API_KEY": "AIza-fake"}) as gemini:
        await gemini.play("say hello")
    (opened,) = gemini.heard("session/new")
    headers = [{"name": "Authorization", "value": "Bearer the-bearer"}]
    server = {"type": "http", "name": "queenpost", "url": "http://127.0.0.1:1/mcp", "headers": headers}
    assert opened["mcpServers"] == [server]
    assert "the-bearer" not in " ".join(gemini.argv)
    written = [path for path in gemini.backend.seat.workspace.programs.rglob("*") if path.is_file()]
    assert [path.name for path in written] == ["settings.json"]
    assert all(secret not in written[0].read_text(encoding="utf-8") for secret in ("the-bearer", "AIza-fake"))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"command": ["no-such-gemini"]}, "'no-such-gemini' was not found; install it with"),
        ({"env": {"FAKE_VERSION": "0.60.9"}}, "0.60.9 of .* is too old; 0.61 or later is needed"),
        ({"env": {"FAKE_VERSION": "I am a teapot"}}, "cannot be read from 'I am a teapot'"),
        ({"env": {"FAKE_STATUS": "2"}}, "does not say its version: it exited with status 2"),
        ({"env_file": "no-such-file"}, "env_file .*no-such-file cannot be read"),
        ({"allowed_tools": ["read_file(a)"]}, r"allowed_tools: 'read_file\(a\)' has to be the name of a tool"),
    ],
)
async def test_a_program_that_cannot_be_used_is_refused_by_name(
    open_gemini: OpenGemini, settings: dict[str, object], problem: str
) -> None:
    """[H38] By the probe before the first mail, and by every turn; no turn runs with it."""
    async with open_gemini(**settings) as gemini:
        probe = await gemini.backend.probe()
        assert probe.problem is not None
        with pytest.raises(NotStartedError, match=problem) as refused:
            await gemini.play("say hello")
        assert refused.value.reason == probe.problem
    assert gemini.pids == []


async def test_the_probe_says_its_version(gemini: Gemini) -> None:
    """Ours."""
    probe = await gemini.backend.probe()
    assert (probe.version, probe.problem) == ("0.61.0", None)
