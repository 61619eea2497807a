"""The doctor's look at what carries the events of jobs."""

from typing import Any

import pytest

from console.doctor import mqtt
from console.doctor.verdict import Verdict
from wire.errors import Denied, QueenpostError, Unavailable, Unknown
from wire.job_probe import JobsProbed

CARRIED = JobsProbed(
    kind="mosquitto",
    url="mqtt://127.0.0.1:1883",
    topics="queenpost/demo/jobs/+/events",
    user="publisher",
    connected_ms=1.0,
    accepted_ms=0.4,
    heard_ms=1.25,
    retained=True,
    resumed=True,
    whole=True,
)


def checked(probed: JobsProbed | QueenpostError) -> dict[str, Verdict]:
    """Look at what came of a probe; gives all verdicts by check."""
    return {verdict.check: verdict for verdict in mqtt.checks(probed)}


def carried(**fields: Any) -> dict[str, Verdict]:
    """Look at a probe that found something else; gives what is not ok."""
    found = checked(CARRIED.model_copy(update=fields))
    return {check: verdict for check, verdict in found.items() if verdict.level != "ok"}


def test_what_works_is_proven_and_said() -> None:
    """[X22] Issue 5: a signed round trip, on loopback, and what is promised."""
    found = checked(CARRIED)
    assert {verdict.level for verdict in found.values()} == {"ok"}
    assert found["job events"].says == (
        "a signed event was heard 1.2 ms after it was published, over mqtt://127.0.0.1:1883"
    )
    assert "on loopback" in found["mqtt broker"].says


def test_before_the_first_job_nothing_is_started_and_how_to_is_said() -> None:
    """Issue 5: the MQTT broker starts with the first job."""
    (verdict,) = checked(JobsProbed(kind="asleep")).values()
    assert (verdict.level, verdict.mend) == ("note", "queenpost doctor --mqtt")


@pytest.mark.parametrize(
    ("fields", "check", "level", "says"),
    [
        ({"kind": "amqtt"}, "mqtt broker", "note", "what it holds is lost with it, and sent again"),
        ({"heard_ms": 2500.0}, "job events", "warning", "that is slow"),
        ({"strangers": True}, "mqtt users", "warning", "lets in whoever comes"),
        ({"retained": False}, "mqtt retained", "warning", "does not hear how a job ended"),
        ({"resumed": False}, "mqtt sessions", "note", "while the bridge is away"),
        ({"whole": False}, "mqtt limits", "warning", "64 KiB"),
        ({"readable": True}, "mqtt network", "warning", "is not encrypted"),
    ],
)
def test_what_an_mqtt_broker_does_not_do_comes_with_what_mends_it(
    fields: dict[str, Any], check: str, level: str, says: str
) -> None:
    """Issue 5: which guarantees the broker at hand gives."""
    (found,) = carried(**fields).items()
    assert (found[0], found[1].level) == (check, level)
    assert says in found[1].says
    assert found[1].mend


def test_an_event_that_goes_in_and_does_not_come_out_is_an_error() -> None:
    """Issue 5: no permission by ACL; nothing else is said of such a broker, as its rules hide it."""
    unheard = {"heard_ms": None, "retained": False, "resumed": False, "whole": False}
    (verdict,) = carried(**unheard).values()
    assert verdict.level == "error"
    assert "took a signed event and gave it to nobody; may user 'publisher' write to and read" in verdict.says
    assert "queenpost/demo/jobs/+/events" in verdict.says
    (refused,) = carried(**unheard, accepted_ms=None, user=None).values()
    assert "did not take a signed event" in refused.says
    assert "whoever has no name" in refused.says


@pytest.mark.parametrize("exc", [Unavailable("no MQTT broker listens at x:1"), Denied("its certificate is not …")])
def test_one_that_is_not_reached_is_an_error_in_its_own_words(exc: QueenpostError) -> None:
    """Issue 5: MQTT broker down, wrong credentials, wrong certificate."""
    (verdict,) = checked(exc).values()
    assert (verdict.level, verdict.says) == ("error", exc.message)
    assert verdict.mend


def test_an_older_broker_knows_no_such_probe() -> None:
    """DESIGN 4: an unknown op gets an answer; that is no error."""
    (verdict,) = checked(Unknown("no op 'jobs.probe'")).values()
    assert verdict.level == "note"
