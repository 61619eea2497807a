"""What is carried to MQTT for a publisher elsewhere: an event's form for its own topic, of a claim of one's own."""

import json

import pytest

from broker.services import job_carrying, job_monitor
from broker.services.callers import Caller
from tests.fakes.jobs import Publisher, cancel, claim, publisher
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.errors import QueenpostError, Unknown
from wire.jobs import JobsCarry

DAY_S = 24 * 3600


def carried(
    office: FakeOffice,
    worker: Publisher,
    payload: bytes,
    caller: Caller = OPERATOR_CALLER,
    *,
    topic: str | None = None,
    retain: bool = False,
) -> str:
    """Have it looked at; gives which event it is and whether it is retained, or why it is not carried."""
    request = JobsCarry(topic=topic or worker.claimed.topic, payload=payload.decode(), retain=retain)
    try:
        signed = job_carrying.read(request, office.rules)
        retained = office.do(lambda tx: job_carrying.admit(tx, caller, signed, request))
    except QueenpostError as exc:
        return f"{exc.code}: {exc.message}"
    return f"{signed.event.event}, retained" if retained else signed.event.event


def test_an_event_is_carried_and_an_end_may_be_retained(office: FakeOffice) -> None:
    """Ours: the same to the operator, for any job; nothing is recorded by it, nor is the signature looked at."""
    worker = publisher(office)
    forged = worker.signed("progress", secret="x" * 43)
    assert carried(office, worker, worker.signed("started")) == "started"
    assert carried(office, worker, forged) == "progress"
    end = worker.signed("completed")
    assert carried(office, worker, end) == "completed"
    assert carried(office, worker, end, retain=True) == "completed, retained"
    assert [row["n"] for row in office.rows("SELECT count(*) AS n FROM job_events")] == [0]


@pytest.mark.parametrize(
    ("topic", "says"),
    [
        ("queenpost/fleet/jobs/j-x/events/more", "no topic of this fleet's jobs"),
        ("queenpost/other/jobs/j-x/events", "no topic of this fleet's jobs"),
        ("queenpost/fleet/jobs/+/events", "no job id"),
        ("queenpost/fleet/jobs/#/events", "no job id"),
        ("$SYS/broker/uptime", "no topic of this fleet's jobs"),
        ("queenpost/fleet/jobs/j-other/events", "is the topic of j-other"),
    ],
)
def test_a_topic_that_is_not_the_jobs_own_is_refused(office: FakeOffice, topic: str, says: str) -> None:
    """[X15] Ours: the bridge's line reaches every topic, who asks for it only that of the event."""
    worker = publisher(office)
    told = carried(office, worker, worker.signed("started"), topic=topic)
    assert told.startswith("invalid: ")
    assert says in told


def test_what_is_no_event_is_refused(office: FakeOffice) -> None:
    """[X16] Ours: nothing that the bridge would refuse for its form is published by the bridge itself."""
    worker = publisher(office)
    event = worker.signed("started")
    unsigned = json.loads(event)
    del unsigned["data"]["hmac_sig"]
    for payload, says in (
        (b"{}", "schema_version"),
        (event.replace(b":", b": ", 1), "canonical"),
        (b'{"a":1,"a":1}', "invalid"),
        (b"hello", "invalid"),
        (json.dumps(unsigned, sort_keys=True, separators=(",", ":")).encode(), "hmac_sig"),
        (event.replace(b'"started"', b'"begun"'), "event is not one of"),
    ):
        told = carried(office, worker, payload)
        assert told.startswith("invalid: ")
        assert says in told


def test_only_an_end_is_retained(office: FakeOffice) -> None:
    """[X06] Ours: what is retained is an end, or nothing; a clearing is no event, and so cannot be carried."""
    worker = publisher(office)
    for event in ("started", "progress", "permission_required"):
        assert "only an end is retained" in carried(office, worker, worker.signed(event), retain=True)
    with pytest.raises(ValueError, match="at least 1 character"):
        JobsCarry(topic=worker.claimed.topic, payload="", retain=True)


def test_what_is_longer_than_an_event_or_no_ascii_is_no_request(office: FakeOffice) -> None:
    """Ours: said by the form of the request, before anything is read."""
    topic = publisher(office).claimed.topic
    for payload in ("x" * 65_537, '{"a":"é"}', '{"a":"\ud800"}', "{}\n", "{}\0"):
        with pytest.raises(ValueError, match="payload"):
            JobsCarry(topic=topic, payload=payload)


def test_an_agent_has_carried_what_is_of_its_own_claims(office: FakeOffice) -> None:
    """Ours: it could else replace the end that is retained of the job of another one."""
    alice, bob = office.harness("alice"), office.harness("bob")
    worker = publisher(office, alice)
    said, end = worker.signed("started"), worker.signed("completed")
    assert carried(office, worker, said, alice) == carried(office, worker, said, by_token("alice")) == "started"
    for event, retain in ((said, False), (end, True)):
        assert carried(office, worker, event, bob, retain=retain).startswith(f"unknown: no job '{worker.job}'")
    Publisher(office, claim(office, job=worker.job))  # by the operator: alice is fenced, and may say what she had said
    assert carried(office, worker, end, alice, retain=True) == "completed"


def test_nothing_but_an_end_that_would_be_taken_is_retained(office: FakeOffice) -> None:
    """[X06] Ours: neither a forged one, nor one of an older claim, nor one whose secret is forgotten."""
    alice = office.harness("alice")
    worker = publisher(office, alice)
    forged, end = worker.signed("completed", secret="x" * 43), worker.signed("completed")
    assert carried(office, worker, forged, alice, retain=True) == "completed"
    assert carried(office, worker, end, alice, retain=True) == "completed, retained"
    assert carried(office, worker, end, Caller("harness", "harness"), retain=True) == "completed, retained"
    again = Publisher(office, claim(office, alice, job=worker.job))
    assert carried(office, worker, end, alice, retain=True) == "completed"
    last = again.signed("completed")
    assert carried(office, again, last, alice, retain=True) == "completed, retained"
    assert again.office.do(lambda tx: tx.run("jobs.forget_secrets", before=2**60, limit=9)) == 0
    again.say("completed")
    assert again.office.do(lambda tx: tx.run("jobs.forget_secrets", before=2**60, limit=9)) == 1
    assert carried(office, again, last, alice, retain=True) == "completed"


def test_a_job_that_nobody_knows_is_refused(office: FakeOffice) -> None:
    """Ours: nothing is left behind that nobody would clear."""
    worker = publisher(office)
    event = worker.signed("completed")
    request = JobsCarry(topic=worker.claimed.topic, payload=event.decode(), retain=True)
    signed = job_carrying.read(request, office.rules)
    cancel(office, worker.job)
    office.pass_time(2 * DAY_S)
    office.do(lambda tx: job_monitor.forget_jobs(tx, kept_ms=DAY_S * 1000))
    with pytest.raises(Unknown):
        office.do(lambda tx: job_carrying.admit(tx, OPERATOR_CALLER, signed, request))
