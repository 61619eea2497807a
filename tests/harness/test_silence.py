"""How a silent turn is brought to its end."""

from functools import partial

import anyio

from harness.silence import Silence, Step


def steps(done: list[str]) -> list[Step]:
    """Three steps that only note that they were taken."""

    async def note(name: str) -> None:
        done.append(name)

    return [(0.8, partial(note, "told")), (0.95, partial(note, "interrupted")), (1.0, partial(note, "killed"))]


async def test_it_is_told_then_interrupted_then_killed() -> None:
    """Ours: DESIGN 5.6."""
    done: list[str] = []
    with anyio.fail_after(10):
        await Silence(0.05).watch(steps(done))
    assert done == ["told", "interrupted", "killed"]


async def test_a_word_in_between_begins_anew() -> None:
    """Ours: whoever speaks again is told again, should silence return."""
    done: list[str] = []
    silence = Silence(0.05)

    async def speak() -> None:
        done.append("told")
        if done.count("told") == 1:
            silence.heard()

    with anyio.fail_after(10):
        await silence.watch([(0.8, speak), *steps(done)[1:]])
    assert done == ["told", "told", "interrupted", "killed"]


def test_what_is_left_is_counted_from_the_last_word() -> None:
    """Ours: on the clock that it was given."""
    now = 100.0
    silence = Silence(900.0, lambda: now)
    now += 700.0
    assert silence.left_s(0.8) == 20.0
    silence.heard()
    assert silence.left_s(0.8) == 720.0


async def test_it_stands_still_while_somebody_else_is_waited_for() -> None:
    """[P06] A person may take longer than a silence may last; with two that are waited for, until the last."""
    now = [0.0]
    silence = Silence(10.0, lambda: now[0])
    with silence.held():
        with silence.held():
            now[0] = 50.0
            assert silence.left_s(1.0) == 10.0
        now[0] = 100.0
        assert silence.left_s(1.0) == 10.0
    assert silence.left_s(1.0) == 10.0
    now[0] = 104.0
    assert silence.left_s(1.0) == 6.0


async def test_nothing_is_done_while_it_stands_still() -> None:
    """[P06] And behind it, the whole silence is allowed again."""
    done: list[str] = []
    silence, limit_s = Silence(0.05), 0.05
    async with anyio.create_task_group() as tasks:
        with silence.held():
            tasks.start_soon(silence.watch, steps(done))
            with anyio.move_on_after(3 * limit_s):
                await anyio.sleep_forever()
            assert done == []
        with anyio.fail_after(10):
            while len(done) < 3:
                await anyio.lowlevel.checkpoint()
    assert done == ["told", "interrupted", "killed"]
