"""The doctor's look at a broker that was reached."""

from typing import Any

import pytest

from console.doctor import broker
from console.doctor.verdict import Verdict
from tests.console.conftest import NOW_MS
from wire.errors import Full, QueenpostError
from wire.fleet import Account, FleetState
from wire.office import FleetProbed

STATE = FleetState(
    fleet="demo",
    home="/srv/demo",
    pid=1,
    version="1.2.3",
    started_at_ms=NOW_MS,
    server_time_ms=NOW_MS,
    agents=[],
    account=Account(accepted=0, handled=0, redelivered=0, waiting=0, dead=0, held=0, expired=0, mailbox=0, lost=0),
    operator_mail=0,
    wal_bytes=0,
)
PROBED = FleetProbed(
    commit_ms=1.5,
    wake_ms=0.1,
    sqlite="3.51.3",
    journal_mode="wal",
    file_system="ext4",
    clock_step_ms=0,
    quick_check="ok",
    socket="/srv/demo/run/broker.sock",
    pid=1,
    version="1.2.3",
    python="3.13.1",
)


def checked(probed: FleetProbed | QueenpostError = PROBED, trip_ms: float = 0.3, **state: Any) -> dict[str, Verdict]:
    """Look at a broker; gives all verdicts by check."""
    answers = broker.Answers(trip_ms, STATE.model_copy(update=state), probed)
    return {verdict.check: verdict for verdict in broker.checks(answers, "1.2.3")}


def test_a_broker_that_is_well() -> None:
    """[P10] Issue 3.5: what is proven, and by which figures."""
    verdicts = checked()
    assert {verdict.level for verdict in verdicts.values()} == {"ok"}
    assert verdicts["round trip"].says == "0.30 ms"
    assert verdicts["durable write"].says == "1.50 ms"
    assert verdicts["wake"].says == "0.10 ms"


@pytest.mark.parametrize(
    ("probed", "check", "level", "says"),
    [
        ({"commit_ms": 400.0}, "durable write", "warning", "took 400 ms; the disk is slow"),
        ({"wake_ms": 1500.0}, "wake", "warning", "overloaded"),
        ({"sqlite": "3.45.1"}, "sqlite", "note", "3.45.1 has the WAL-reset bug"),
        ({"sqlite": "3.51.2"}, "sqlite", "note", "3.51.3 fixed"),
        ({"file_system": "nfs4, over a network", "journal_mode": "delete"}, "file system", "warning", "nfs4, over"),
        ({"journal_mode": "delete"}, "file system", "warning", "no write-ahead log"),
        ({"quick_check": "row 3 missing from index"}, "database", "error", "it is damaged: row 3"),
        ({"quick_check": "not finished: this took longer than 5 s"}, "database", "note", "too big"),
        ({"clock_step_ms": -90_000}, "clock", "warning", "set by -90 s"),
    ],
)
def test_what_a_probe_finds(probed: dict[str, Any], check: str, level: str, says: str) -> None:
    """Issue 3.5: graver findings are graver."""
    verdicts = checked(PROBED.model_copy(update=probed))
    assert [verdict.check for verdict in verdicts.values() if verdict.level != "ok"] == [check]
    assert verdicts[check].level == level
    assert says in verdicts[check].says
    assert verdicts[check].mend or level == "note"


def test_a_write_that_is_refused_is_an_error() -> None:
    """[P02] Issue 3.5: in the broker's own words; the rest is still looked at."""
    verdicts = checked(Full("the disk is full: free some space"))
    assert (verdicts["write and wake"].level, verdicts["write and wake"].says) == (
        "error",
        "the disk is full: free some space",
    )
    assert verdicts["round trip"].level == "ok"


@pytest.mark.parametrize(
    ("state", "check", "says"),
    [
        ({"version": "1.2.2"}, "version", "the broker is 1.2.2, this command is 1.2.3"),
        ({"wal_bytes": 1 << 30}, "write-ahead log", "1024 MiB"),
        ({"warnings": ["the limits are odd"]}, "broker", "the limits are odd"),
    ],
)
def test_what_the_status_says(state: dict[str, Any], check: str, says: str) -> None:
    """Issue 3.5: another release than this command's, a log that grows, the broker's own warnings."""
    verdict = checked(**state)[check]
    assert verdict.level == "warning"
    assert says in verdict.says


def test_a_slow_link_is_a_warning() -> None:
    """Ours."""
    assert checked(trip_ms=80.0)["round trip"].level == "warning"
