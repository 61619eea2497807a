"""The story of a job for `queenpost explain`: why it stands where it does, and all that happened to it."""

from contextlib import suppress

from wire.asks import Ask
from wire.client import BrokerClient
from wire.errors import Denied, Unknown
from wire.finding import Explained
from wire.inbox import Happening
from wire.jobs import MAX_SHOWN, Job, JobEvent, JobsSessions, JobsSessionsListed, JobsShow, JobsShown, Session

FACT_CHARACTERS = 400


async def story_of(client: BrokerClient, name: str) -> Explained:
    """Ask for all that is recorded of a job and put it together; an agent is not told who worked on it when.

    Raises:
        Unknown: no such job, or not the caller's.
    """
    shown = await client.call(JobsShow(job=name, limit=MAX_SHOWN), JobsShown)
    events = list(shown.events)
    page = shown
    while page.more and page.events:
        page = await client.call(JobsShow(job=name, after=events[-1].number, limit=MAX_SHOWN), JobsShown)
        events += page.events
    sessions: list[Session] = []
    with suppress(Denied):
        sessions = (await client.call(JobsSessions(job=name), JobsSessionsListed)).sessions
    job = shown.job
    if job is None:
        raise Unknown(f"the broker shows nothing of {name}")
    return Explained(
        id=job.id,
        noun="job",
        state=job.state,
        waits_for=_waits_for(job, shown.asks, sessions),
        facts=_facts(job, shown, sessions),
        history=_history(job, events, shown.asks, sessions),
    )


def _waits_for(job: Job, asks: list[Ask], sessions: list[Session]) -> str | None:
    if job.state == "pending":
        if job.to:
            return f"{job.to} has not begun: `queenpost explain {job.message}` tells where its mail is"
        return f"nobody has claimed it: an agent may with claim_job, a program with `queenpost job claim {job.id}`"
    if job.state != "running":
        return None
    waiting = [one for one in asks if one.state == "open"]
    if waiting:
        return f"{waiting[0].id} waits for an answer: `queenpost answer {waiting[0].id} allow` or deny"
    newest = next((one for one in sessions if one.newest), None)
    if newest is not None and newest.state == "terminated":
        return f"nobody works on it: {newest.reason}. `queenpost job claim {job.id}` or `queenpost job cancel {job.id}`"
    if job.overdue:
        return f"{job.claimed_by} is silent past the time-out: ask it, or `queenpost job cancel {job.id}`"
    turn = f" in turn {newest.turn}" if newest is not None and newest.turn else ""
    return f"{job.claimed_by} works on it{turn} (claim {job.epoch})"


def _facts(job: Job, shown: JobsShown, sessions: list[Session]) -> dict[str, str]:
    refused = ", ".join(f"{reason} {times}" for reason, times in shown.refused.items())
    told = {
        "task": job.prompt[:FACT_CHARACTERS],
        "made by": job.made_by,
        "mail": f"{job.message} to {job.to}" if job.message else "",
        "worked on by": job.claimed_by or "",
        "claims": str(job.epoch),
        "says": job.detail[:FACT_CHARACTERS],
        "refused": refused,
        "process": next((one.process for one in sessions if one.process), None) and "noted; `queenpost job sessions`",
    }
    return {label: value for label, value in told.items() if value}


def _history(job: Job, events: list[JobEvent], asks: list[Ask], sessions: list[Session]) -> list[Happening]:
    steps = [Happening(at_ms=job.registered_at_ms, event="registered", detail=f"by {job.made_by}")]
    for one in sessions:
        turn = f" in turn {one.turn}" if one.turn else ""
        steps.append(
            Happening(at_ms=one.started_at_ms, event="claimed", detail=f"by {one.claimed_by}{turn} (claim {one.epoch})")
        )
        if one.ended_at_ms is not None and one.state != "stopped":
            steps.append(Happening(at_ms=one.ended_at_ms, event="claim ended", detail=f"{one.epoch}: {one.reason}"))
    for event in events:
        late = "" if event.verdict == "accepted" else f"{event.verdict}: "
        steps.append(Happening(at_ms=event.received_at_ms, event=event.event, detail=late + event.detail))
    for ask in asks:
        steps.append(Happening(at_ms=ask.asked_at_ms, event="asked", detail=f"{ask.id}: {ask.question}"))
        if ask.ended_at_ms is not None:
            steps.append(Happening(at_ms=ask.ended_at_ms, event=ask.state, detail=f"{ask.id}: {ask.answer or ''}"))
    return sorted(steps, key=lambda step: step.at_ms)
