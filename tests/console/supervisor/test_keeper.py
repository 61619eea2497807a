"""Keeping one program running."""

from pathlib import Path

import anyio
import pytest

from console.supervisor.keeper import Ended, Keeper, News, Program, how_it_ended, python
from console.supervisor.policy import Patience
from tests.console.supervisor.children import READY, SLEEP, dying, script, steady

QUICK = Patience(restarts=2, first_wait_s=0.0, longest_wait_s=0.0)


def happened(news: list[News]) -> list[str]:
    """Give what happened, in order."""
    return [one.happened for one in news]


async def test_a_crash_loop_ends_as_failed_with_the_last_words() -> None:
    """DESIGN 2: started again so many times, then shown as failed."""
    news: list[News] = []
    keeper = Keeper(Program("x", lambda _: dying(7), 1, patience=QUICK), news.append)
    with anyio.fail_after(15), pytest.raises(Ended) as caught:
        await keeper.keep()
    assert happened(news) == ["started", "ready", "died", "started", "ready", "died", "started", "ready", "failed"]
    assert str(caught.value) == "x ended with code 7: no more"
    assert news[2].data["last_words"] == ["no more"]


async def test_a_program_is_told_how_often_it_was_started(tmp_path: Path) -> None:
    """DESIGN 2: a second harness is started with --takeover."""
    starts: list[int] = []

    def command(before: int) -> list[str]:
        starts.append(before)
        return dying() if before == 0 else steady()

    news: list[News] = []
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(15):
            await tasks.start(Keeper(Program("x", command, 1, patience=QUICK), news.append).keep)
            while happened(news).count("ready") < 2:  # noqa: ASYNC110  # news are not awaited
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert starts == [0, 1]


async def test_a_first_start_that_has_to_work_is_not_tried_again() -> None:
    """DESIGN 10: an invalid file stops a start."""
    news: list[News] = []
    program = Program("x", lambda _: script("sys.exit('queenpost.toml:3: no')"), 1, must_start=True)
    with anyio.fail_after(15), pytest.raises(Ended) as caught:
        await Keeper(program, news.append).keep()
    assert happened(news) == ["started", "failed"]
    assert caught.value.last_words == ["queenpost.toml:3: no"]


async def test_later_it_is_tried_again_all_the_same() -> None:
    """Ours: what ran once may run again."""
    news: list[News] = []
    program = Program(
        "x", lambda before: dying() if before == 0 else script("sys.exit(1)"), 1, must_start=True, patience=QUICK
    )
    with anyio.fail_after(15), pytest.raises(Ended):
        await Keeper(program, news.append).keep()
    assert happened(news) == ["started", "ready", "died", "started", "died", "started", "failed"]


async def test_a_fatal_code_is_final_at_any_time() -> None:
    """DESIGN 2: exit 3 means that another broker has the home."""
    news: list[News] = []
    program = Program("x", lambda _: dying(3), 1, fatal_codes=frozenset({3}), patience=QUICK)
    with anyio.fail_after(15), pytest.raises(Ended) as caught:
        await Keeper(program, news.append).keep()
    assert caught.value.code == 3
    assert happened(news) == ["started", "ready", "failed"]


async def test_a_missing_program_fails_like_any_other() -> None:
    """Ours: with the words of the system."""
    program = Program("x", lambda _: ["/nowhere/at-all"], 1, must_start=True)
    with anyio.fail_after(15), pytest.raises(Ended, match="No such file"):
        await Keeper(program, lambda _: None).keep()


async def test_cancelling_stops_the_program_before_it_returns(tmp_path: Path) -> None:
    """Ours: it gets its SIGTERM and its grace."""
    mark = tmp_path / "said-goodbye"
    body = f"signal.signal(signal.SIGTERM, lambda *_: (open({str(mark)!r}, 'w').close(), sys.exit(0)))\n{READY}{SLEEP}"
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(15):
            await tasks.start(Keeper(Program("x", lambda _: script(body), 5), lambda _: None).keep)
        tasks.cancel_scope.cancel()
    assert mark.exists()


@pytest.mark.parametrize(
    ("code", "words"), [(0, "ended with code 0"), (-9, "was killed by SIGKILL"), (-99, "was killed by signal 99")]
)
def test_how_it_ended(code: int, words: str) -> None:
    """Ours."""
    assert how_it_ended(code) == words


def test_our_programs_do_not_look_for_modules_in_the_current_folder() -> None:
    """DESIGN 3: a user's project may contain `console/`."""
    assert python("broker", "--home", "x")[1:] == ["-P", "-m", "broker", "--home", "x"]


DRAINS = script(f"signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))\n{READY}{SLEEP}")


async def test_a_program_that_drained_is_not_started_again() -> None:
    """Issue 4.9: its end is meant."""
    news: list[News] = []
    keeper = Keeper(Program("x", lambda _: DRAINS, 1, patience=QUICK), news.append)
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            await tasks.start(keeper.keep)
            await keeper.drain()
            tasks.cancel_scope.cancel()
    assert happened(news) == ["started", "ready"]


async def test_a_program_that_does_not_run_has_nothing_to_drain() -> None:
    """Ours: between two starts, say."""
    with anyio.fail_after(15):
        await Keeper(Program("x", lambda _: DRAINS, 1), lambda _: None).drain()
