"""Whether the broker works: a round trip, a durable write, a real wake, and what its store runs on."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from console.doctor.verdict import Verdict
from wire.errors import QueenpostError
from wire.fleet import FleetState
from wire.job_probe import JobsProbed
from wire.office import FleetProbed

FIXED_SQLITE = (3, 51, 3)
"""The first release without the WAL-reset bug."""
SLOW_TRIP_MS = 50.0
SLOW_COMMIT_MS = 100.0
SLOW_WAKE_MS = 1000.0
CLOCK_STEP_MS = 2000
WAL_ALARM_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answers:
    """What a broker that was reached had to say."""

    trip_ms: float
    """The middle of a few round trips."""
    state: FleetState
    probed: FleetProbed | QueenpostError
    carried: JobsProbed | QueenpostError = field(default_factory=lambda: JobsProbed(kind="asleep"))
    """What came of a probe of job events."""


def checks(answers: Answers, client_version: str | None) -> Iterator[Verdict]:
    """Look at a broker that was reached."""
    yield _timed("round trip", answers.trip_ms, SLOW_TRIP_MS, "this machine is very busy")
    yield _version(answers.state.version, client_version)
    probed = answers.probed
    if isinstance(probed, QueenpostError):
        yield Verdict("write and wake", "error", probed.message, "queenpost down && queenpost up -d")
    else:
        yield _timed("durable write", probed.commit_ms, SLOW_COMMIT_MS, "the disk is slow, or others wait for it too")
        yield _timed("wake", probed.wake_ms, SLOW_WAKE_MS, "the broker is overloaded")
        yield from _store(probed)
        yield _clock(probed.clock_step_ms)
    yield _wal(answers.state.wal_bytes)
    yield from (Verdict("broker", "warning", warning) for warning in answers.state.warnings)


def _timed(check: str, took_ms: float, slow_ms: float, why: str) -> Verdict:
    if took_ms > slow_ms:
        return Verdict(check, "warning", f"took {took_ms:.0f} ms; {why}", "queenpost logs --level warning --since 1h")
    return Verdict(check, "ok", f"{took_ms:.2f} ms")


def _version(of_broker: str, of_client: str | None) -> Verdict:
    if of_client is not None and of_client != of_broker:
        said = f"the broker is {of_broker}, this command is {of_client}"
        return Verdict("version", "warning", said, "start the broker anew: `queenpost down`, then `queenpost up`")
    return Verdict("version", "ok", f"the broker is {of_broker}")


def _store(probed: FleetProbed) -> Iterator[Verdict]:
    numbers = tuple(int(part) for part in probed.sqlite.split(".") if part.isdigit())
    if numbers < FIXED_SQLITE:
        said = (
            f"{probed.sqlite} has the WAL-reset bug that 3.51.3 fixed; the broker avoids it, as only its writer "
            "checkpoints: let no other program open broker.db"
        )
        yield Verdict("sqlite", "note", said)
    else:
        yield Verdict("sqlite", "ok", f"{probed.sqlite}, with Python {probed.python}")
    if "network" in probed.file_system:
        said = f"the home lies on {probed.file_system}; the journal is `{probed.journal_mode}`, and slow"
        yield Verdict(
            "file system",
            "warning",
            said,
            "move the home to a local disk: `queenpost backup`, then `queenpost restore` there",
        )
    elif probed.journal_mode != "wal":
        said = f"{probed.file_system} allows no write-ahead log; the journal is `{probed.journal_mode}`, and slow"
        yield Verdict("file system", "warning", said, "move the home to another disk")
    else:
        yield Verdict("file system", "ok", f"{probed.file_system}, with a write-ahead log")
    yield _quick_check(probed.quick_check)


def _quick_check(verdict: str) -> Verdict:
    if verdict == "ok":
        return Verdict("database", "ok", "quick_check found nothing wrong")
    if verdict.startswith("not finished"):
        return Verdict("database", "note", f"too big to check beside its work ({verdict}); it is checked at each start")
    mend = "put a backup in its place: `queenpost down`, then `queenpost restore FILE`"
    return Verdict("database", "error", f"it is damaged: {verdict}", mend)


def _clock(step_ms: int) -> Verdict:
    if abs(step_ms) > CLOCK_STEP_MS:
        said = f"it was set by {step_ms / 1000:.0f} s a moment ago; the broker follows within seconds"
        return Verdict("clock", "warning", said, "see to it that this machine's time is kept: `timedatectl`")
    return Verdict("clock", "ok", "steady")


def _wal(size: int) -> Verdict:
    if size > WAL_ALARM_BYTES:
        said = f"the write-ahead log has {size // 1024**2} MiB: something reads without end, or checkpoints fail"
        return Verdict("write-ahead log", "warning", said, "queenpost logs --event wal_grew")
    return Verdict("write-ahead log", "ok", f"{size // 1024:,} KiB")
