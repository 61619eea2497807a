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
