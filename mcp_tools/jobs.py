"""The tools of jobs: publish_event, claim_job, register_job. No secret passes through here."""

from typing import Annotated, Any

from pydantic import Field

from mcp_tools.claims import PUBLISHED
from mcp_tools.tool import Arguments, Call, Tool
from wire.client import new_key
from wire.errors import Invalid
from wire.events import EventName
from wire.inbox import Address, Body
from wire.jobs import DEFAULT_TIMEOUT_S, JobRef, JobsRegister, JobsRegistered
from wire.model import Key


class PublishEvent(Arguments):
    """Arguments of publish_event."""

    event: str
    detail: Annotated[str, Field(max_length=4096)]
    data: dict[str, Any] | None = None
    job_id: JobRef | None = None


class ClaimJob(Arguments):
    """No arguments."""


class RegisterJob(Arguments):
    """Arguments of register_job."""

    prompt: Body
    to: Address | None = None
    timeout_seconds: Annotated[float | None, Field(gt=0)] = None
    key: Key | None = None


async def publish_event(call: Call, arguments: PublishEvent) -> str:
    """Sign an event of the job that this turn works on, and keep it."""
    event = _event(arguments.event)
    job, seq = await call.desk.claims.publish(event, arguments.detail, arguments.data or {}, arguments.job_id)
    return f"{event} is event {seq} of job {job}: kept, and sent as soon as the MQTT broker takes it"


def _event(word: str) -> EventName:
    for event in PUBLISHED:
        if event == word:
            return event
    raise Invalid(f"event {word[:40]!r} is none of {', '.join(PUBLISHED)}")


async def claim_job(call: Call, _: ClaimJob) -> str:
    """Take the oldest job that nobody was given."""
    job = await call.desk.claim_job()
    if job is None:
        return "(no job waits)"
    return f"job {job.id} is yours; say completed or error with publish_event when it ends. Its task:\n{job.prompt}"


async def register_job(call: Call, arguments: RegisterJob) -> str:
    """Register a job, for one agent or for whoever claims it. The same key twice registers once."""
    request = JobsRegister(
        key=arguments.key or new_key(),
        prompt=arguments.prompt,
        to=arguments.to,
        notify=True,
        timeout_s=arguments.timeout_seconds or DEFAULT_TIMEOUT_S,
    )
    made = await call.desk.call(request, JobsRegistered)
    where = f"sent to {made.to} as {made.message}" if made.to else "waits for whoever claims it"
    receipt = f"{made.job}: {where}. You get mail when it ends."
    return "\n".join([receipt, *(f"warning: {warning}" for warning in made.warnings)])


TOOLS = (
    Tool(
        "publish_event",
        "Report on the job you work on: started, progress, completed or error (the last two end it).",
        PublishEvent,
        publish_event,
    ),
    Tool("claim_job", "Take the oldest job that nobody was given.", ClaimJob, claim_job),
    Tool(
        "register_job",
        "Register a job: for one agent, as mail, or without `to` for whoever claims it.",
        RegisterJob,
        register_job,
        manager_only=True,
    ),
)
