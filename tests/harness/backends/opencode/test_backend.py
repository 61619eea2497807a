"""One server over many turns: when it stays, when it goes, what of it is kept."""

import json
import sys

import anyio
import pytest

from harness.backends.opencode import launch
from harness.backends.protocol import (
    Began,
    Ended,
    NotStartedError,
    Output,
    Permission,
    Permitted,
    ToolUse,
    TurnRequest,
)
from harness.backends.session_file import read
from harness.warmth import Place, Warmth
from tests.fakes.processes import alive, gone
from tests.harness.backends.opencode.conftest import Opencode, OpenOpencode, said
from tests.harness.backends.playing import Played, ending, lines
from wire.turns import Usage

SHORT_LIVED = """
import os, subprocess, sys
started = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
started.stdout.readline()
print(started.pid, flush=True)
os._exit(1)
"""
"""A harness that begins a server, and is killed."""


async def test_one_server_serves_turn_after_turn(opencode: Opencode) -> None:
    """[H19] It stays while it is warm, in one session."""
    played = [await opencode.play("say hello"), await opencode.play("tool bash", "say again")]
    assert [one.ended.outcome for one in played] == ["completed", "completed"]
    assert said(played[1]) == ["again"]
    told = [event for event in played[1].events if not isinstance(event, Output)]
    assert told == [Began(), ToolUse("bash"), played[1].ended]
    assert len(opencode.pids) == 1
    assert alive(opencode.pids[0])
    assert len(set(opencode.sessions())) == 1


async def test_leaving_the_backend_ends_the_server(open_opencode: OpenOpencode) -> None:
    """Ours: nothing outlives the harness, not even what it left behind."""
    async with open_opencode() as opencode:
        await opencode.play("orphan", "say hello")
    assert not alive(opencode.pids[0])
    await gone(int((opencode.folder / "orphans.jsonl").read_text()))


async def test_cold_means_a_server_for_each_turn_and_one_session(open_opencode: OpenOpencode) -> None:
    """[H19] `warm = false` finds the session again; and the model remembers."""
    async with open_opencode(warm=False) as opencode:
        await opencode.play("say hello")
        assert not alive(opencode.pids[0])
        assert opencode.backend.remembers
        await opencode.play("say hello")
    assert len(opencode.pids) == 2
    assert len(set(opencode.sessions())) == 1


async def test_making_room_ends_the_server_and_the_session_goes_on(open_opencode: OpenOpencode) -> None:
    """DESIGN 8: reaped between two turns, with all that it left behind; found again with the next."""
    warmth = Warmth(1)
    place = Place(warmth, "alice")
    async with open_opencode(place=place) as opencode:
        with place.turn():
            await opencode.play("orphan", "say hello")
        Place(warmth, "bob").started(lambda: None)
        with place.turn():
            await opencode.play("say hello")
        assert not alive(opencode.pids[0])
        await gone(int((opencode.folder / "orphans.jsonl").read_text()))
    assert len(opencode.pids) == 2
    assert len(set(opencode.sessions())) == 1


async def test_a_new_harness_goes_on_with_the_session(open_opencode: OpenOpencode) -> None:
    """[H19] The id is kept in a file; who the agent is has to be said again."""
    async with open_opencode() as first:
        await first.play("say hello")
    async with open_opencode() as second:
        assert not second.backend.remembers
        await second.play("say hello")
        assert second.backend.remembers
    assert len(second.calls("POST", "/session")) == 1
    assert len(set(second.sessions())) == 1
    assert not second.calls("PATCH", second.sessions()[0])


async def test_rules_that_changed_are_told_to_the_session(open_opencode: OpenOpencode) -> None:
    """Ours: the program adds them to those that it has, and the last one that fits counts."""
    async with open_opencode() as first:
        await first.play("say hello")
    async with open_opencode(permissions="deny") as second:
        await second.play("say hello")
    (told,) = second.calls("PATCH", second.sessions()[0])
    assert told["permission"][0] == {"permission": "*", "pattern": "*", "action": "deny"}


async def test_a_session_that_nobody_knows_is_begun_anew(open_opencode: OpenOpencode) -> None:
    """Ours: and the model is told who it is."""
    async with open_opencode() as first:
        await first.play("say hello")
    (first.folder / "sessions.json").unlink()
    async with open_opencode() as second:
        assert not second.backend.remembers
        assert (await second.play("say hello")).ended.outcome == "completed"
    assert len(set(second.sessions())) == 2
    kept = read(second.backend.seat.workspace.session_file, "opencode", second.folder)
    assert kept is not None
    assert kept.id == second.sessions()[-1]


async def test_the_model_forgets_with_the_history(opencode: Opencode) -> None:
    """[H21] After a summary the next prompt says again who it is."""
    await opencode.play("compact", "say hello")
    assert not opencode.backend.remembers
    await opencode.play("say hello")
    assert opencode.backend.remembers


async def test_what_a_turn_cost_is_its_own(opencode: Opencode) -> None:
    """[P02] Tokens of the cache went in, those of thinking came out."""
    first, second = await opencode.play("cost 0.25", "tool bash"), await opencode.play("cost 0.5")
    assert first.ended.usage == Usage(
        input_tokens=100, output_tokens=10, cost_usd=0.25, tool_calls=1, tools={"bash": 1}
    )
    assert second.ended.usage == Usage(input_tokens=100, output_tokens=10, cost_usd=0.5, tool_calls=0)


async def test_a_server_whose_harness_was_killed_ends_with_what_it_started(open_opencode: OpenOpencode) -> None:
    """Ours: nobody is left to end it; it hears that its stdin ends."""
    async with open_opencode() as opencode:
        await opencode.play("orphan", "say hello")
        argv, (start,) = launch.argv_of(opencode.backend.seat), opencode.kept("starts")
        command = [sys.executable, "-c", SHORT_LIVED, *argv]
        done = await anyio.run_process(command, env=start["env"], cwd=opencode.folder, check=False)
        await gone(int(done.stdout))


# --- permissions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decided", "reply"),
    [
        (Permitted(allow=True), "once"),
        (Permitted(allow=False, why="not today"), "reject not today"),
        (Permitted(allow=False), "reject denied"),
    ],
)
async def test_a_prompt_is_decided_by_whoever_is_asked(opencode: Opencode, decided: Permitted, reply: str) -> None:
    """[H33] A refusal always has a reason: without one the program would stop in the middle."""
    asked: list[Permission] = []

    async def permit(permission: Permission) -> Permitted:
        asked.append(permission)
        return decided

    played = await opencode.play("may bash git push", permit=permit)
    assert asked == [Permission("bash", "git push", "bash(git *)")]
    assert said(played) == [reply]
    assert played.ended.outcome == "completed"


async def test_always_holds_for_the_session(open_opencode: OpenOpencode) -> None:
    """[H33] It is kept by us, beyond the server; the program would write it into its project."""
    asked: list[Permission] = []

    async def permit(permission: Permission) -> Permitted:
        asked.append(permission)
        return Permitted(allow=True, always=True)

    async with open_opencode() as first:
        assert said(await first.play("may bash git push", "may bash git pull", permit=permit)) == ["once", "once"]
    async with open_opencode() as second:
        assert said(await second.play("may bash git fetch", "may bash rm x", permit=permit)) == ["once", "once"]
    assert [permission.detail for permission in asked] == ["git push", "rm x"]


async def test_a_turn_that_ends_waits_for_no_decision(opencode: Opencode) -> None:
    """Ours: whoever is asked is not asked any more."""
    ended = anyio.Event()

    async def permit(permission: Permission) -> Permitted:
        try:
            await anyio.Event().wait()
        finally:
            ended.set()
        return Permitted(allow=True)

    with anyio.fail_after(15):
        async with opencode.backend.run(TurnRequest("t1", "say on\nmay bash x", permit)) as program:
            async for line in lines(program):
                if "permission.asked" in line:
                    break
        await ended.wait()
    assert not alive(opencode.pids[0])


# --- during a turn ----------------------------------------------------------------------------------


async def test_a_word_in_between_reaches_the_running_model(opencode: Opencode) -> None:
    """[H26] The turn ends when both are dealt with."""
    played = Played()
    with anyio.fail_after(15):
        async with opencode.backend.run(TurnRequest("t1", "wait")) as program:
            async for event in program.events():
                played.events.append(event)
                if isinstance(event, Output) and b'"waiting"' in event.data:
                    assert await program.nudge("mail for you")
            assert not await program.nudge("too late")
    assert said(played) == ["waiting", "mail for you"]
    assert played.ended.outcome == "completed"
    outputs = [event for event in played.events if isinstance(event, Output)]
    assert [b'"mail for you"' in event.data for event in outputs if event.alive].count(True) == 1
    repeated = [event for event in outputs if b'"role": "user"' in event.data]
    assert len(repeated) == 2
    assert not any(event.alive for event in repeated), "a silent turn stays silent with it"


async def test_an_interrupt_ends_the_turn(opencode: Opencode) -> None:
    """Ours: by the program's own word; the session is resumed."""
    played = Played()
    with anyio.fail_after(15):
        async with opencode.backend.run(TurnRequest("t1", "stuck")) as program:
            async for event in program.events():
                played.events.append(event)
                if isinstance(event, Output) and b'"stuck"' in event.data:
                    await program.interrupt()
    assert ending(played) == ("interrupted", "Aborted")
    assert (await opencode.play("say hello")).ended.outcome == "completed"
    assert len(set(opencode.sessions())) == 1


async def test_leaving_a_turn_before_its_end_takes_the_server_with_it(open_opencode: OpenOpencode) -> None:
    """Ours: even one that does not listen to SIGTERM."""
    async with open_opencode(env={"FAKE_START": "deaf"}) as opencode:
        with anyio.fail_after(15):
            async with opencode.backend.run(TurnRequest("t1", "stuck")) as program:
                async for event in program.events():
                    if isinstance(event, Output) and b'"stuck"' in event.data:
                        break
        assert not alive(program.pid)


# --- how it goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "outcome", "reason"),
    [
        (["say so", "die 3"], "crashed", "exited with status 3 without an answer: something broke"),
        (["say so", "die 0"], "crashed", "exited with status 0 without an answer: something broke"),
        (["finish tool-calls"], "crashed", "it stopped in the middle (finish reason tool-calls)"),
        (["mute"], "crashed", "its stream of events broke off"),
        (["refuse 500"], "crashed", "it answered 500: No."),
        (['error {"name": "UnknownError", "data": {"message": "Model not found: a/b."}}', "refuse 500"],
         "bad_model", "Model not found: a/b."),
        (['fail {"name": "ProviderAuthError", "data": {"message": "log in"}}'], "auth", "log in"),
        (["retry 3 Too Many Requests", "stuck"], "rate_limited", "Too Many Requests"),
        (["retry 1 Incorrect API key provided", "stuck"], "auth", "Incorrect API key provided"),
        (["retry 3 something new", "stuck"], "overloaded", "something new"),
    ],
)  # fmt: skip
async def test_an_end_without_an_answer_is_none(
    opencode: Opencode, steps: list[str], outcome: str, reason: str
) -> None:
    """[H36] Whatever its exit status; its endless retries are ended. The next turn has a server again."""
    assert ending(await opencode.play(*steps)) == (outcome, reason)
    assert not opencode.backend.remembers
    assert (await opencode.play("say hello")).ended.outcome == "completed"
    assert len(opencode.pids) == 2


async def test_first_retries_are_its_own_affair(opencode: Opencode) -> None:
    """Ours: a provider has a bad moment now and then."""
    played = await opencode.play("retry 1 Too Many Requests", "retry 2 Too Many Requests", "say hello")
    assert played.ended.outcome == "completed"


OVERFLOW = 'error {"name": "ContextOverflowError", "data": {"message": "too long"}}'


async def test_a_full_history_is_summarized(opencode: Opencode) -> None:
    """[H21] [H38] It mends that itself once, then would go on for ever, and is told to before the mail comes again."""
    assert (await opencode.play(OVERFLOW, "compact", "say hello")).ended.outcome == "completed"
    assert ending(await opencode.play(OVERFLOW, OVERFLOW, "stuck")) == ("context_full", "too long")
    assert (await opencode.play("say hello", OVERFLOW)).ended.outcome == "completed"
    assert len(set(opencode.sessions())) == 1
    (asked,) = opencode.calls("POST", "/summarize")
    assert asked == {"providerID": "fake", "modelID": "large", "auto": False}
    assert opencode.backend.remembers


@pytest.mark.parametrize("status", ['{"status": "failed", "error": "refused"}', "{}", '{"status": "needs_auth"}'])
async def test_without_our_tools_no_turn_begins(open_opencode: OpenOpencode, status: str) -> None:
    """[H18] The mail stays; the model is not asked."""
    async with open_opencode(env={"FAKE_MCP": status}) as opencode:
        played = await opencode.play("say hello")
    assert played.ended.outcome == "mcp_missing"
    assert str(json.loads(status).get("status", "missing")) in played.ended.reason
    assert not played.began
    assert not opencode.calls("POST", "/message")


async def test_a_server_that_dies_at_once_says_why(open_opencode: OpenOpencode) -> None:
    """Bad input: its last words are the reason."""
    async with open_opencode(env={"FAKE_START": "die"}) as opencode:
        played = await opencode.play("say hello")
    assert ending(played) == (
        "crashed",
        "exited with status 1 without an answer: Error: Configuration is invalid",
    )
    assert not played.began


async def test_a_server_that_never_listens_is_not_waited_for(
    open_opencode: OpenOpencode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad input: it is ended, and the turn was none."""
    monkeypatch.setattr("harness.backends.opencode.backend.LISTENING_S", 0.2)
    async with open_opencode(env={"FAKE_START": "silent"}) as opencode:
        with anyio.fail_after(15):
            async with opencode.backend.run(TurnRequest("t1", "say hello")) as program:
                events = [event async for event in program.events()]
        assert events == [Ended("crashed", "it did not say within 0.2 s where it listens")]
        assert not alive(program.pid)


async def test_strange_events_harm_nobody(opencode: Opencode) -> None:
    """Bad input: what has another shape reads as empty."""
    strange = ['{"type": "message.updated"}', '{"type": "session.status", "properties": {"status": 7}}',
               '{"type": "message.part.updated", "properties": {"part": [1]}}', '{"type": "permission.asked"}',
               '{"type": "brand.new", "properties": {"x": null}}']  # fmt: skip
    assert (await opencode.play(*(f"raw {event}" for event in strange), "say hello")).ended.outcome == "completed"


# --- before a turn ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "problem"),
    [("1.18.33", None), ("2.0.1", None), ("1.17.9", "too old; 1.18 or later is needed"), ("what?", "cannot be read")],
)
async def test_the_probe_knows_versions(open_opencode: OpenOpencode, version: str, problem: str | None) -> None:
    """[H18] By name, before the first mail."""
    async with open_opencode(env={"FAKE_VERSION": version}) as opencode:
        probe = await opencode.backend.probe()
    assert (probe.problem is None) == (problem is None)
    assert problem is None or problem in str(probe.problem)


async def test_a_program_that_is_missing_is_named(open_opencode: OpenOpencode) -> None:
    """[H18] With what to do."""
    async with open_opencode(command=["no-such-opencode"]) as opencode:
        problem = (await opencode.backend.probe()).problem
        assert problem is not None
        assert "'no-such-opencode' was not found; install it with `npm install -g opencode-ai`" in problem
        with pytest.raises(NotStartedError):
            await opencode.play("say hello")


async def test_the_password_is_new_each_time_and_in_no_transcript(opencode: Opencode) -> None:
    """[H18] It goes through the environment alone."""
    await opencode.play("die 1")
    await opencode.play("say hello")
    starts = opencode.kept("starts")
    old, new = (start["env"]["OPENCODE_SERVER_PASSWORD"] for start in starts)
    assert old != new
    assert not any(secret in " ".join(start["argv"]) for start in starts for secret in (old, new, "the-bearer"))
    assert said(await opencode.play(f"say it is {new}")) == ["it is [masked]"]
