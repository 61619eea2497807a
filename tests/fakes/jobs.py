"""Jobs in a fake office: each verb is a command, committed alone; a publisher signs as a real one does."""

from dataclasses import dataclass, field, replace
from typing import Any

from broker.services import job_events, jobs
from broker.services.callers import Caller
from broker.services.job_events import Judgement
from broker.services.replies import once
from broker.store.readers import Reader
from tests.fakes.office import OPERATOR_CALLER, FakeOffice
from wire.events import Event, EventName, sign
from wire.jobs import (
    JobsCancel,
    JobsChanged,
    JobsClaim,
    JobsClaimed,
    JobsFates,
    JobsRecorded,
    JobsRegister,
    JobsRegistered,
    JobsShow,
    JobsShown,
    Mark,
)

NOW = "2026-11-21T10:00:00.000Z"


def register(office: FakeOffice, caller: Caller = OPERATOR_CALLER, **fields: Any) -> JobsRegistered:
    """See `jobs.register`."""
    request = JobsRegister.model_validate({"key": office.key(), "prompt": "count the pumps", **fields})
    rules = office.rules
    return office.do(
        lambda tx: once(tx, caller, request, JobsRegistered, lambda: jobs.register(tx, caller, request, rules))
    )


def claim(office: FakeOffice, caller: Caller = OPERATOR_CALLER, job: str | None = None, **fields: Any) -> JobsClaimed:
    """See `jobs.claim`."""
    request = JobsClaim.model_validate({"key": office.key(), "job": job, **fields})
    rules = office.rules
    return office.do(lambda tx: once(tx, caller, request, JobsClaimed, lambda: jobs.claim(tx, caller, request, rules)))


def cancel(office: FakeOffice, job: str, caller: Caller = OPERATOR_CALLER, reason: str = "") -> JobsChanged:
    """See `jobs.cancel`."""
    request = JobsCancel(key=office.key(), job=job, reason=reason)
    rules = office.rules
    return office.do(lambda tx: once(tx, caller, request, JobsChanged, lambda: jobs.cancel(tx, caller, request, rules)))


def fates(office: FakeOffice, *marks: tuple[str, int, int], caller: Caller = OPERATOR_CALLER) -> list[str]:
    """See `jobs.recorded`."""
    request = JobsRecorded(marks=[Mark(job=job, epoch=epoch, seq=seq) for job, epoch, seq in marks])
    told: JobsFates = office.do(lambda tx: jobs.recorded(tx, caller, request))
    return list(told.fates)


async def shown(reader: Reader, job: str, caller: Caller = OPERATOR_CALLER) -> JobsShown:
    """See `jobs.show`."""
    return await jobs.show(reader, caller, JobsShow(job=job))


def heard(office: FakeOffice, topic: str, payload: bytes) -> Judgement:
    """Let the bridge hear something."""
    rules = office.rules
    return office.do(lambda tx: job_events.record(tx, topic, payload, rules))


@dataclass
class Publisher:
    """Who has claimed a job: signs with its secret, numbers its events, remembers the bytes."""

    office: FakeOffice
    claimed: JobsClaimed
    seq: int = 0
    said: list[bytes] = field(default_factory=list[bytes])

    @property
    def job(self) -> str:
        """The job's id."""
        assert self.claimed.job is not None
        return self.claimed.job.id

    def signed(self, event: EventName, *, seq: int | None = None, secret: str | None = None, **fields: Any) -> bytes:
        """Sign an event under the next number, or under one of the test's own."""
        if seq is None:
            self.seq += 1
            seq = self.seq
        assert self.claimed.job is not None
        claim = self.claimed
        made = Event(claim.fleet, self.job, claim.kid, self.claimed.job.epoch, seq, event, NOW)
        payload = sign(replace(made, **fields), self.claimed.topic, secret or self.claimed.secret)
        self.said.append(payload)
        return payload

    def say(self, event: EventName, **fields: Any) -> Judgement:
        """Sign an event and let the bridge hear it."""
        return heard(self.office, self.claimed.topic, self.signed(event, **fields))


def publisher(office: FakeOffice, caller: Caller = OPERATOR_CALLER, **fields: Any) -> Publisher:
    """Register a job and claim it."""
    return Publisher(office, claim(office, caller, register(office, **fields).job))
