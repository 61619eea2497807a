"""The pty backend: what is typed, what is seen, how a turn ends, and what is left of it."""

import os
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from harness.backends.protocol import Began, NotStartedError, Output, ToolUse, TurnRequest
from harness.backends.pty.backend import PtyBackend
from tests.fakes.processes import alive, gone
from tests.harness.backends.conftest import MakeSeat
from tests.harness.backends.pty.conftest import BOX, Box, OpenBox, ended_of, shows

pytestmark = pytest.mark.anyio

PLAIN = {"ready": r"^ready>\Z", "busy": None, "interrupt": "\x03"}


async def test_a_turn_is_over_when_the_prompt_is_back_and_a_tool_was_used(box: Box) -> None:
    """DESIGN 8: pty."""
    played = await box.play("say hello", "tool send")
    assert played.ended.outcome == "completed"
    assert "hello" in played.text()
    assert [type(event) for event in played.events].count(Began) == 1
    assert [event.name for event in played.events if isinstance(event, ToolUse)] == ["send"]


async def test_a_prompt_without_a_tool_is_no_end_and_the_model_is_told_once(box: Box) -> None:
    """DESIGN 8: pty; what it merely writes reaches nobody."""
    played = await box.play("say hello", "lonely")
    assert played.ended.outcome == "completed"
    told = [key for key in box.kept("typed") if "without using a tool of queenpost" in key]
    assert len(told) == 1


async def test_whoever_uses_no_tool_even_then_has_not_handled_its_mail(open_box: OpenBox) -> None:
    """DESIGN 8: pty; this one counts."""
    async with open_box("--lonely") as box:
        played = await box.play("say hello")
    assert (played.ended.outcome, played.began) == ("crashed", True)
    assert "twice, without having used a tool" in played.ended.reason


async def test_while_a_tool_runs_the_prompt_means_nothing(box: Box) -> None:
    """Ours: a parked recv, with a program that shows its prompt all the time."""
    box.tools.answers = anyio.Event()
    with anyio.fail_after(15):
        async with box.backend.run(TurnRequest("t1", "say hello\nmeanwhile recv")) as program:
            async for event in program.events():
                if isinstance(event, ToolUse):
                    break
            with anyio.move_on_after(5 * BOX["settle_s"]) as over:
                await anext(event async for event in program.events() if not isinstance(event, Output | Began))
            assert over.cancelled_caught
            box.tools.answers.set()
            assert (await ended_of(program)).outcome == "completed"


# --- what is typed ----------------------------------------------------------------------------------


async def test_mail_is_one_paste_and_its_control_characters_are_signs(box: Box) -> None:
    """Ours: mail is untrusted; it must not press keys, nor leave the paste."""
    await box.play("say one", "say \x1b[201~\rsay\x03 \x9b31m two\x7f", "tool send")
    (typed,) = [key for key in box.kept("typed") if "two" in key]
    assert typed == "\x1b[200~say one\nsay ␛[201~␍say␃ \ufffd31m two␡\ntool send\x1b[201~"


async def test_a_program_that_knows_no_paste_gets_its_mail_in_a_file(open_box: OpenBox) -> None:
    """Ours: each line break would submit, and a terminal cuts a line of 4096 bytes."""
    words = "x" * 6000
    async with open_box("--plain", **PLAIN) as box:
        played = await box.play("say hello", f"say {words}", "tool send")
        (typed,) = box.kept("typed")
        mail = box.folder / "turn.md"
        assert played.ended.outcome == "completed"
        assert str(mail) in typed
        assert words in mail.read_text(encoding="utf-8")
        assert mail.stat().st_mode & 0o777 == 0o600


async def test_one_short_line_is_typed_as_it_is(open_box: OpenBox) -> None:
    """Ours: without a paste, and without a file."""
    async with open_box("--plain", **PLAIN) as box:
        played = await box.play("say \x1bhello")
        assert box.kept("typed") == ["say ␛hello\n"]
        assert played.ended.outcome == "completed"


async def test_a_file_that_cannot_be_written_is_not_the_fault_of_the_mail(open_box: OpenBox) -> None:
    """Reliability 4: a full disk."""
    async with open_box("--plain", **PLAIN) as box:
        (box.folder / "turn.md").mkdir()
        played = await box.play("say one", "say two")
    assert (played.ended.outcome, played.began) == ("crashed", False)
    assert "could not be written" in played.ended.reason


async def test_it_runs_at_a_terminal_of_its_own(open_box: OpenBox) -> None:
    """Ours: as large as the settings say; the leader of its group, the same process in each turn."""
    async with open_box(columns=100) as box:
        await box.play("tool send")
        async with box.backend.run(TurnRequest("t2", "say hello")) as program:
            await shows(program, "hello")
            (start,) = box.kept("starts")
            assert (start["size"], start["pid"]) == ([100, 24], program.pid)
            assert os.getpgid(program.pid) == os.getsid(program.pid) == program.pid


# --- how it ends ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "outcome"), [("too many requests, wait", "rate_limited"), ("log in first", "auth")])
async def test_what_stood_in_the_way_is_told_apart(box: Box, words: str, outcome: str) -> None:
    """[P08] By the words that the settings name."""
    played = await box.play("say hello", f"fail {words}")
    assert (played.ended.outcome, played.ended.reason) == (outcome, f"Error: {words}")


async def test_an_interrupt_is_an_end(box: Box) -> None:
    """Ours: even if tools were used before."""
    with anyio.fail_after(15):
        async with box.backend.run(TurnRequest("t1", "tool send\nstuck")) as program:
            await shows(program, "halted")
            await program.interrupt()
            assert (await ended_of(program)).outcome == "interrupted"
    assert not alive(program.pid)


@pytest.mark.parametrize(("arg", "start_s", "words"), [("--leave", 10.0, "log in first"), ("--mute", 4.0, "loading")])
async def test_one_that_never_is_ready_is_not_the_fault_of_the_mail(
    open_box: OpenBox, arg: str, start_s: float, words: str
) -> None:
    """Ours: it dies at once, or shows something else; the reason says what."""
    async with open_box(arg, start_s=start_s) as box:  # long enough for a busy machine to start it
        played = await box.play("say hello")
        assert (played.ended.outcome, played.began) == ("crashed", False)
        assert words in played.ended.reason
        assert box.kept("typed") == []
        assert not alive(box.pids[0])


async def test_dying_says_how(box: Box) -> None:
    """Ours: status and the last words on the screen."""
    played = await box.play("say hello", "die 7")
    assert (played.ended.outcome, played.began) == ("crashed", True)
    assert played.ended.reason.startswith("it exited with status 7 before it was back at its prompt: ")
    assert "dying" in played.ended.reason


async def test_tools_that_are_not_attached_are_missed_before_the_mail_is_typed(open_box: OpenBox) -> None:
    """Ours: the model is not called in vain."""
    async with open_box(attach_s=0.2) as box:
        box.backend.seat = replace(box.backend.seat, attached=anyio.Event)
        played = await box.play("say hello")
        assert (played.ended.outcome, played.began) == ("mcp_missing", False)
        assert box.kept("typed") == []


async def test_a_drawing_that_moves_is_no_word_from_the_model(open_box: OpenBox) -> None:
    """DESIGN 5.6: silent is who only shows that it works; and what is kept of it is bounded."""
    async with open_box(busy=None) as box:
        with anyio.fail_after(15):
            async with box.backend.run(TurnRequest("t1", "spin")) as program:
                heard = list[Output]()
                async for event in program.events():
                    if isinstance(event, Output):
                        heard.append(event)
                    if len(heard) >= 6:
                        break
    assert not any(output.alive for output in heard[-3:])
    assert all(len(output.data) < 500 for output in heard)


async def test_a_flood_is_bounded(box: Box) -> None:
    """Ours: it costs some lines, and says how many it left out."""
    played = await box.play("flood 256", "tool send")
    text = played.text()
    assert played.ended.outcome == "completed"
    assert len(text) < 150_000
    assert "lines went by too quickly" in text


async def test_bytes_that_are_no_text_break_nothing(box: Box) -> None:
    """Ours: garbage, and sequences that never end."""
    played = await box.play("raw ff00fe1b5b", "raw 1b5d303b", "say after", "tool send")
    assert played.ended.outcome == "completed"


# --- what is left of it -----------------------------------------------------------------------------


async def test_nothing_is_left_of_one_that_will_not_end(box: Box) -> None:
    """Ours: SIGTERM is ignored, and a child is in a group of its own."""
    with anyio.fail_after(15):
        async with box.backend.run(TurnRequest("t1", "deaf\norphan\nstuck")) as program:
            await shows(program, "halted")
    assert not alive(program.pid)
    await gone(box.kept("orphans")[0])


async def test_what_it_leaves_behind_by_itself_is_ended_too(box: Box) -> None:
    """Ours: and its end is noticed, though the child has the terminal open."""
    played = await box.play("orphan", "die 1")
    assert played.ended.outcome == "crashed"
    await box.play("tool send")
    await gone(box.kept("orphans")[0])


async def test_it_is_told_to_quit_by_its_own_keys(open_box: OpenBox) -> None:
    """Ours: so that it can write down what it has."""
    async with open_box(quit="/quit\r") as box:
        box.backend.seat = replace(box.backend.seat, grace_s=10.0)  # on a busy machine it reads late
        await box.play("tool send")
    assert box.kept("quit") == ["asked to"]


async def test_a_summary_makes_the_next_prompt_say_it_all(box: Box) -> None:
    """DESIGN 8: the first after compaction restates who the agent is."""
    await box.play("tool send")
    assert box.backend.remembers
    await box.play("forget", "tool send")
    assert not box.backend.remembers


async def test_room_is_made_between_turns(box: Box) -> None:
    """DESIGN 8: beyond `max_warm`; the next turn starts another one."""
    place = box.backend.seat.place
    await box.play("tool send")
    assert place.reap is not None
    place.reap()
    await box.play("tool send")
    first, second = box.pids
    assert first != second
    assert not alive(first)


async def test_a_program_that_cannot_be_run_is_missing(seat_for: MakeSeat, tmp_path: Path) -> None:
    """Ours: and a folder that is not there."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"no program")
    seat = seat_for(backend="pty", command=[str(broken)], pty=BOX)
    assert seat.settings.pty is not None
    assert "was not found" in ((await PtyBackend(seat, seat.settings.pty).probe()).problem or "")
    gone = seat_for(backend="pty", command=["cat"], workdir=str(tmp_path / "gone"), pty=BOX)
    backend = PtyBackend(gone, seat.settings.pty)
    async with backend.open():
        with pytest.raises(NotStartedError, match="set `workdir`"):
            async with backend.run(TurnRequest("t1", "hello")):
                pass
