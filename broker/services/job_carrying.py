"""Which events the broker carries on to MQTT for a publisher on another machine.

It judges none: that is done in `job_events`, once the bridge has heard it like any other.
"""

from broker.services.callers import Caller, Rules
from broker.services.jobs import NOT_YOURS, is_own
from broker.store.tx import Tx
from wire.errors import Invalid, Unknown
from wire.events import Signed, read_event, verify
from wire.jobs import JobsCarry, Mark
from wire.topics import job_of


def read(request: JobsCarry, rules: Rules) -> Signed:
    """Read what is to be carried, for exactly the job of its topic. Its signature is not looked at.

    Raises:
        Invalid: no topic of this fleet's jobs, no event, one of another job, or one to be retained that is no end.
    """
    job = job_of(rules.topic_prefix, request.topic)
    signed = read_event(request.payload.encode())
    event = signed.event
    if event.job_id != job:
        raise Invalid(f"this is an event of {event.job_id}, and {request.topic} is the topic of {job}")
    if request.retain and not event.terminal:
        raise Invalid(f"{event.event} does not end {job}: only an end is retained")
    return signed


def admit(tx: Tx, caller: Caller, signed: Signed, request: JobsCarry) -> bool:
    """Let an agent have carried only what is of a claim of its own; gives whether it is to be retained.

    It is so where it is signed, and under the newest claim: nothing else takes the place of the end of a job.

    Raises:
        Unknown: no such job, or the agent has never claimed it.
    """
    event = signed.event
    guard = tx.one("jobs.guard", id=event.job_id)
    mark = Mark(job=event.job_id, epoch=event.epoch, seq=event.seq)
    if guard is None or (caller.kind == "agent" and not is_own(tx, caller, guard, mark)):
        raise Unknown(NOT_YOURS.format(event.job_id))
    secret: str | None = guard["secret"]
    newest = event.epoch == guard["epoch"] and secret is not None
    return request.retain and newest and verify(signed, request.topic, secret or "")
