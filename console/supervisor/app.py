"""One supervised fleet: the lock, what a killed supervisor left behind, then broker and harness.

What it does is written to `logs/up.ndjson`; it prints nothing.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import anyio
from anyio.abc import TaskGroup, TaskStatus

from console.supervisor.fleet import BROKER_GRACE_S, HARNESS_GRACE_S, Ready, supervise
from console.supervisor.keeper import Ended, News, Program, how_it_ended, python
from console.supervisor.lock import Held, hold
from console.supervisor.orphans import Record, end, left_behind
from wire.errors import Conflict, QueenpostError, Unavailable, from_wire
from wire.home import Home
from wire.logs import configure, get_logger

EXIT_ANOTHER_BROKER = 3
"""What the broker ends with when another one runs on its home."""
ORPHAN_GRACE_S = 5.0

log = get_logger("up")


class AlreadyRuns(Conflict):
    """Another supervisor, or another broker, has this home."""

    exit_code = EXIT_ANOTHER_BROKER


@dataclass(frozen=True, slots=True)
class UpSettings:
    """Which fleet is supervised."""

    home: Home
    config: Path | None = None
    """None: wherever the broker finds its settings."""

    @property
    def children(self) -> Path:
        """Where the running children are written down."""
        return self.home.run / "up.children"


async def run(
    settings: UpSettings,
    stop: anyio.Event,
    drain: anyio.Event | None = None,
    *,
    task_status: TaskStatus[Ready] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Run the fleet until `stop` is set; makes a missing home. All children are gone when this returns.

    It ends too once `drain` is set and the turns that run have ended.

    Started, in the sense of the task status, when the fleet is ready.

    Raises:
        AlreadyRuns: this home is taken.
        Unavailable: the broker could not be started, or died too often.
        QueenpostError: the home cannot be used.
    """
    settings.home.create()
    try:
        with hold(settings.home.up_lock):
            await _run_locked(settings, stop, drain, task_status)
    except Held as exc:
        who = f"pid {exc.pid}" if exc.pid else "pid unknown"
        raise AlreadyRuns(f"`queenpost up` runs on this home already ({who}); `queenpost down` ends it") from exc
    except BaseExceptionGroup as group:
        if (ended := _first_end(group)) is None:
            raise
        raise refusal_of(ended) from ended


async def start(
    tasks: TaskGroup, settings: UpSettings, stop: anyio.Event, drain: anyio.Event | None = None
) -> Ready | None:
    """Start `run` in a task group and wait until the fleet is ready; None if it was told to stop before."""
    try:
        return await tasks.start(run, settings, stop, drain)
    except RuntimeError:
        # anyio's word for a task that ended before it was started.
        if not stop.is_set():
            raise
        return None


async def _run_locked(
    settings: UpSettings, stop: anyio.Event, drain: anyio.Event | None, task_status: TaskStatus[Ready]
) -> None:
    home = settings.home
    configure("up", folder=home.logs, console=None, env=os.environ)
    log.info("fleet_started", home=str(home.root), pid=os.getpid())
    former_is_dead = await _clear_up_after_the_former(settings)
    record = Record(settings.children)
    broker = Program(
        "broker",
        lambda _: _broker(settings),
        BROKER_GRACE_S,
        fatal_codes=frozenset({EXIT_ANOTHER_BROKER}),
        must_start=True,
    )
    harness = Program("harness", partial(_harness, home, former_is_dead), HARNESS_GRACE_S)
    await supervise(broker, harness, partial(_tell, record), stop, drain, task_status=task_status)
    record.forget()
    log.info("fleet_stopped")


def _first_end(group: BaseExceptionGroup[BaseException]) -> Ended | None:
    for exc in group.exceptions:
        inner = cast("BaseExceptionGroup[BaseException]", exc)
        found = _first_end(inner) if isinstance(exc, BaseExceptionGroup) else exc
        if isinstance(found, Ended):
            return found
    return None


def refusal_of(ended: Ended) -> QueenpostError:
    """Say to the caller why there is no fleet: in the words of the program, where it left any."""
    words = "\n".join(ended.last_words)
    # What a program of ours says last on stderr: `queenpost broker: CODE: message`, over one or more lines.
    complaint = re.search(rf"^queenpost {ended.program}: ([a-z]+): (.+)", words, re.MULTILINE | re.DOTALL)
    if ended.code == EXIT_ANOTHER_BROKER:
        return AlreadyRuns(complaint[2] if complaint else "another broker runs on this home")
    if complaint:
        return from_wire(complaint[1], complaint[2], {})
    tail = "\n".join(ended.last_words[-5:])
    return Unavailable(f"the {ended.program} {how_it_ended(ended.code)}; `queenpost logs` may say more\n{tail}".strip())


async def _clear_up_after_the_former(settings: UpSettings) -> bool:
    """End what a killed supervisor left running; True where there was one, and its harness is surely dead."""
    if not settings.children.exists():
        return False
    orphans = left_behind(settings.children)
    if orphans:
        log.warning("orphans_found", programs={name: child.pid for name, child in orphans.items()})
        await end(orphans.values(), ORPHAN_GRACE_S)
    return True


def _broker(settings: UpSettings) -> Sequence[str]:
    config = ["--config", str(settings.config)] if settings.config else []
    return python("broker", "--home", str(settings.home.root), *config)


def _harness(home: Home, former_is_dead: bool, starts: int) -> Sequence[str]:
    # Ours was reaped before it is started again, so nobody has to wait for it to come back.
    reaped = former_is_dead or starts > 0
    return python("harness", "--home", str(home.root), *(["--takeover"] if reaped else []))


def _tell(record: Record, news: News) -> None:
    match news.happened:
        case "started":
            record.remember(news.program, int(news.data["pid"]))
            if news.data["start"] > 1:
                log.warning("program_restarted", child=news.program, **news.data)
            else:
                log.info("program_started", child=news.program, pid=news.data["pid"])
        case "ready":
            log.info("program_ready", child=news.program)
        case "died":
            log.warning("program_died", child=news.program, **news.data)
        case "failed":
            log.error("program_failed", child=news.program, **news.data)
