"""Jobs of an older registry, taken over."""

import hashlib
import secrets

from broker.services import audit, jobs
from broker.services.admission import check_body
from broker.services.callers import Caller, Rules
from broker.store.tx import Tx
from wire.jobs import DEFAULT_TIMEOUT_S, ENDED, JobsImport, JobsImported


def take_over(tx: Tx, caller: Caller, request: JobsImport, rules: Rules) -> JobsImported:
    """Write a job of an older registry down, once; what ran there waits here for a claim.

    Raises:
        Invalid: its prompt is too long.
    """
    known = tx.one("jobs.imported", old=request.old_id)
    if known is not None:
        return JobsImported(job=known["id"], made=False)
    check_body(request.prompt, rules)
    job = jobs.new_id()
    ended = request.state in ENDED
    tx.insert(
        "jobs.import",
        id=job,
        topic=rules.events_topic(job),
        state=request.state if ended else "pending",
        prompt=request.prompt,
        prompt_sha256=hashlib.sha256(request.prompt.encode()).digest(),
        made_by=caller.name,
        timeout_ms=DEFAULT_TIMEOUT_S * 1000,
        secret=request.secret or secrets.token_urlsafe(32),
        registered=request.registered_at_ms,
        ended=tx.now_ms if ended else None,
        old=request.old_id,
    )
    tx.needs_bridge()
    audit.write(tx, caller, "job.imported", job, old_id=request.old_id)
    return JobsImported(job=job, made=True)
