"""The turn loop: wait → compose → run → record → close, and what happens between turns."""

from dataclasses import replace

import anyio
import pytest

from harness.backends.protocol import NotStartedError
from harness.crashes import CRASHES
from harness.turn_loop import FAILED_REST_S, LONGEST_REST_S
from tests.harness.conftest import MakeStage, Stage
from wire.agents import AgentsWhoami
from wire.errors import Stale, Unavailable
from wire.turns import Outcome, TurnsClose, TurnsOpen


async def test_mail_wakes_the_agent_and_a_finished_turn_handles_it(stage: Stage) -> None:
    """[P02]: mail starts the program; only its finished turn makes the mail handled."""
    with anyio.fail_after(10):
        async with stage.running():
            mail = stage.office.put("alice", "please count the files")
            program = await stage.backend.next_program()
            assert "please count the files" in program.prompt
            assert stage.box.handled == []
            program.begins()
            program.ends()
            await stage.handled(mail)
            await stage.office.until(lambda: len(stage.box.reports) == 3)
    assert [report.state for report in stage.box.reports] == ["idle", "working", "idle"]
    assert stage.box.closes[0].begun


async def test_without_mail_no_program_runs(stage: Stage) -> None:
    """[P04]: an empty inbox costs no model call."""
    with anyio.fail_after(10):
        async with stage.running():
            await stage.office.until(lambda: "turns.open" in stage.office.asked)
            for _ in range(5):
                stage.office.change()
                await anyio.lowlevel.checkpoint()
    assert stage.backend.started == 0


async def test_a_burst_is_one_turn(stage: Stage) -> None:
    """[P04]: what waits when the turn opens is handed over together, and the prompt says how much is left."""
    ids = [stage.office.put("alice") for _ in range(35)]
    with anyio.fail_after(10):
        async with stage.running():
            first = await stage.backend.next_program()
            assert first.prompt.count("</mail-") == 32 + 1  # one more in the words around them
            assert "(+3 more queued; consider draining before acting)" in first.prompt
            first.ends()
            (await stage.backend.next_program()).ends()
            await stage.handled(*ids)


async def test_mail_of_a_failed_turn_comes_again_and_says_so(stage: Stage) -> None:
    """[H21]: handed over is not handled."""
    mail = stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            program = await stage.backend.next_program()
            program.begins()
            program.ends("crashed", "exited with status 1")
            again = await stage.backend.next_program()
            assert "(redelivered, attempt 2: an earlier turn with m1 did not finish" in again.prompt
            again.ends()
            await stage.handled(mail)
    assert [close.outcome for close in stage.box.closes] == ["crashed", "completed"]


async def test_the_reason_of_a_crash_holds_the_last_words(stage: Stage) -> None:
    """Ours: whoever reads `explain` sees what the program said last."""
    stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            program = await stage.backend.next_program()
            program.begins(b"Traceback: no such colour\n")
            program.ends("crashed", "exited with status 1")
            await stage.office.until(lambda: stage.box.closes)
    assert "exited with status 1; last words: Traceback: no such colour" in stage.box.closes[0].reason


async def test_events_in_json_are_no_words_for_people(stage: Stage) -> None:
    """Ours: a program that speaks in events has given its reason; a line on stderr is shown beside it."""
    stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            program = await stage.backend.next_program()
            program.begins(b'{"type": "assistant"}\nno such flag\n{"type": "result", "is_error": true}\n')
            program.ends("crashed", "it was refused")
            await stage.office.until(lambda: stage.box.closes)
    assert stage.box.closes[0].reason == "crashed: it was refused; last words: no such flag"


@pytest.mark.parametrize("outcome", ["rate_limited", "overloaded", "auth", "offline", "mcp_missing", "crashed"])
async def test_an_uncounted_failure_parks_longer_and_longer(stage: Stage, outcome: Outcome) -> None:
    """Ours: nothing is respawned against a wall; `crashed` here is a program that never began to answer."""
    stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            for _ in range(3):
                (await stage.backend.next_program()).ends(outcome, "no")
            (await stage.backend.next_program()).ends()
            await stage.office.until(lambda: stage.box.handled)
    assert len(stage.sleeps) == 3
    assert sorted(stage.sleeps) == stage.sleeps
    assert "parked" in [report.state for report in stage.box.reports]


async def test_rests_are_bounded_and_end_with_success(stage: Stage) -> None:
    """Ours: 1 s, 2 s, 4 s … 60 s, and after a finished turn 1 s again."""
    stage.backend.refusals = [NotStartedError("missing_program", "not there")] * 8
    stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            (await stage.backend.next_program()).ends()
            await stage.office.until(lambda: stage.box.handled)
            stage.backend.refusals = [NotStartedError("missing_program", "not there")]
            stage.office.put("alice")
            (await stage.backend.next_program()).ends()
    assert stage.sleeps == [1, 2, 4, 8, 16, 32, LONGEST_REST_S, LONGEST_REST_S, 1]


async def test_a_missing_program_is_reported_with_its_reason(stage: Stage) -> None:
    """Ours: the state says what a person has to do."""
    stage.backend.refusals = [NotStartedError("missing_program", "'nosuch' cannot be started")]
    stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            await stage.office.until(lambda: stage.box.closes)
            (await stage.backend.next_program()).ends()
    parked = next(report for report in stage.box.reports if report.state == "parked")
    assert "missing_program: 'nosuch' cannot be started" in parked.reason
    assert parked.until_ms is not None
    assert not stage.box.closes[0].begun


async def test_a_crash_loop_is_left_alone(stage: Stage) -> None:
    """Ours: five crashes in a minute, and the agent rests for minutes with its last words shown."""
    stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            for number in range(CRASHES):
                program = await stage.backend.next_program()
                program.begins(f"crash {number}\n".encode())
                program.ends("crashed", "killed by SIGSEGV")
            (await stage.backend.next_program()).ends()
    failed = next(report for report in stage.box.reports if report.state == "failed")
    assert "last words: crash 4" in failed.reason
    assert stage.sleeps == [FAILED_REST_S]


async def test_news_end_a_rest(stage: Stage) -> None:
    """Ours: after `apply` nobody waits five minutes for a corrected setting."""
    resting = anyio.Event()

    async def sleep(_: float) -> None:
        resting.set()
        await anyio.sleep_forever()

    object.__setattr__(stage.hosted, "sleep", sleep)
    stage.backend.refusals = [NotStartedError("missing_program", "not there")]
    mail = stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            await resting.wait()
            assert stage.loop.resting
            stage.loop.wake()
            (await stage.backend.next_program()).ends()
            await stage.handled(mail)


async def test_a_broker_that_is_away_is_waited_for(stage: Stage) -> None:
    """[H21]: a transient error ends no loop, and a finished turn is closed however late."""
    away = Unavailable("starting")
    mail = stage.office.put("alice")
    stage.office.refuse(TurnsOpen, away)
    stage.office.refuse(AgentsWhoami, away)
    stage.office.refuse(TurnsClose, away, away)
    with anyio.fail_after(20):
        async with stage.running():
            (await stage.backend.next_program()).ends()
            await stage.handled(mail)
    assert stage.office.asked.count("turns.close") == 3


async def test_a_fenced_instance_ends_its_loop(stage: Stage) -> None:
    """[P14]: another instance took over; this one opens no further turn."""
    with anyio.fail_after(10):
        ended: list[Stale] = []
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                try:
                    await stage.loop.run()
                except Stale as exc:
                    ended.append(exc)

            tasks.start_soon(run)
            await stage.office.until(lambda: "turns.open" in stage.office.asked)
            stage.office.take_over("alice")
    assert ended


async def test_stopping_ends_the_program_and_closes_its_turn(stage: Stage) -> None:
    """Ours: SIGTERM gives the mail back at once and uncounted."""
    stage.office.put("alice")
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.loop.run)
            program = await stage.backend.next_program()
            program.begins()
            await stage.office.until(lambda: stage.box.begun)
            stage.loop.stop()
            await program.left.wait()
    assert [close.outcome for close in stage.box.closes] == ["stopped"]
    assert [mail.id for mail in stage.box.ready] == ["m1"]


async def test_leaving_lets_the_running_turn_finish(stage: Stage) -> None:
    """Ours: changed settings restart the loop between turns, never in one."""
    mail = stage.office.put("alice")
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.loop.run)
            program = await stage.backend.next_program()
            stage.loop.leave()
            program.ends()
    assert stage.box.handled == [mail]


async def test_a_turn_that_went_elsewhere_is_not_closed(stage: Stage) -> None:
    """[P14]: its program is ended, its mail belongs to whoever has it now."""
    stage.office.put("alice")
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.loop.run)
            program = await stage.backend.next_program()
            stage.loop.lose("somebody else works for alice")
            await program.left.wait()
    assert stage.box.closes == []


async def test_a_role_prompt_that_cannot_be_read_parks(stage_for: MakeStage) -> None:
    """Ours: an agent does not work without knowing who it is meant to be."""
    stage = await stage_for(prompt="/nowhere/role.md")
    stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            await stage.office.until(lambda: stage.sleeps)
    assert stage.backend.started == 0
    assert "the role prompt cannot be read" in stage.box.closes[0].reason


async def test_carried_mail_is_adopted_by_a_resident_program(stage_for: MakeStage) -> None:
    """Ours: mail that was put in but not seen moves on, and a program that holds it is not told again."""
    stage = await stage_for(resident=True)
    mail = stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            (await stage.backend.next_program()).ends("completed", "", mail)
            adopted = await stage.backend.next_program()
            assert adopted.request.prompt is None
            adopted.ends()
            await stage.handled(mail)


async def test_the_job_of_carried_mail_is_claimed_for_its_new_turn(stage_for: MakeStage) -> None:
    """DESIGN 7: the claim went with the turn that the mail has left."""
    stage = await stage_for(resident=True)
    mail = stage.office.put("alice", about={"job": "j-a"})
    with anyio.fail_after(10):
        async with stage.running():
            (await stage.backend.next_program()).ends("completed", "", mail)
            (await stage.backend.next_program()).ends()
            await stage.handled(mail)
    assert stage.office.asked.count("jobs.claim") == 2


async def test_carried_mail_is_told_again_where_nothing_is_resident(stage: Stage) -> None:
    """Ours: a program that starts anew for each turn holds nothing."""
    mail = stage.office.put("alice", "do not forget me")
    with anyio.fail_after(10):
        async with stage.running():
            (await stage.backend.next_program()).ends("completed", "", mail)
            again = await stage.backend.next_program()
            assert "do not forget me" in again.prompt
            again.ends()
            await stage.handled(mail)


async def test_a_restarted_loop_goes_on_with_the_turn_that_is_open(stage: Stage) -> None:
    """[H21]: a loop that died between opening and running loses nothing."""
    stage.office.refuse(AgentsWhoami, Stale("a defect"))
    mail = stage.office.put("alice")
    with anyio.fail_after(10):
        with pytest.raises(Stale):
            await stage.loop.run()
        stage.loop = type(stage.loop)(stage.hosted)
        async with stage.running():
            (await stage.backend.next_program()).ends()
            await stage.handled(mail)
    assert len(stage.box.closes) == 1


async def test_mail_that_does_not_wait_overtakes_a_turn_whose_program_is_not_started_yet(stage: Stage) -> None:
    """[P03] Issue 4.3: a prompt may take a while, as where a checkout is made; no program is started in vain."""
    written, go_on = anyio.Event(), anyio.Event()

    async def checkpoint(step: str) -> None:
        if step == "composed":
            written.set()
            await go_on.wait()

    stage.loop = type(stage.loop)(replace(stage.hosted, checkpoint=checkpoint))
    mail = stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            await written.wait()
            stage.loop.interrupt("m99")
            go_on.set()
            (await stage.backend.next_program()).ends()
            await stage.handled(mail)
    assert [(close.outcome, close.reason) for close in stage.box.closes] == [
        ("interrupted", "interrupted: m99 does not wait"),
        ("completed", ""),
    ]
    assert stage.backend.started == 1


async def test_the_tool_that_the_model_uses_is_reported(stage: Stage) -> None:
    """Issue 4.9: `status` shows what the agent does now."""
    stage.office.put("alice")
    with anyio.fail_after(10):
        async with stage.running():
            program = await stage.backend.next_program()
            program.uses("Bash")
            await stage.office.until(lambda: stage.box.reports[-1].reason == "uses Bash")
            program.ends()
            await stage.office.until(lambda: stage.box.reports[-1].state == "idle")


async def test_a_prompt_for_a_model_that_forgot_meanwhile_is_written_anew(stage: Stage) -> None:
    """Ours: its program had to make room while the turn waited for its account; the mail goes back uncounted."""
    stage.backend.remembers = True
    account, mail = stage.hosted.account, stage.office.put("alice")

    async def wait(event: anyio.Event, seconds: float) -> None:
        stage.backend.remembers = False
        account.running = 0

    account.max_running, account.running, account.pause = 1, 1, wait
    with anyio.fail_after(10):
        async with stage.running():
            program = await stage.backend.next_program()
            assert "alice" in program.prompt
            assert stage.hosted.place.in_turn
            program.ends()
            await stage.handled(mail)
    assert [close.outcome for close in stage.box.closes] == ["interrupted", "completed"]
    assert not stage.hosted.place.in_turn
