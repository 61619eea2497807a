"""Whether the demo kept the promise: judged from the broker's account and its story of the mail, nothing else."""

from dataclasses import dataclass, field
from typing import Any

from console.cli.job_watch import event_as_json
from console.demo.accident import Accident
from wire.fleet import Account
from wire.inbox import DeliveryStory, InboxExplained
from wire.jobs import Job, JobsShown


@dataclass(slots=True)
class Play:
    """What came to pass, as far as it went."""

    request: str | None = None
    """Id of the operator's message."""
    accident: Accident | None = None
    stories: list[InboxExplained] = field(default_factory=list[InboxExplained])
    """Of the mail that the killed program had in its hands."""
    report: str | None = None
    account: Account | None = None
    failure: str | None = None
    """What ended the demo early."""
    seconds: float = 0.0
    tokens: int | None = None
    """In and out, of all turns; None, as of the money: no program said."""
    cost_usd: float | None = None
    job: str | None = None
    """Id of the job that the operator registered."""
    jobs: list[JobsShown] = field(default_factory=list[JobsShown])
    """Every job with its events, the operator's first."""
    needs_ends: bool = False
    """True: each job has to end well. A real program may forget to say the end."""

    def problems(self) -> list[str]:
        """Say all that is not as promised; empty when all is well."""
        found = [self.failure] if self.failure else []
        if self.report is None:
            found.append("no report came")
        if self.accident is None:
            found.append("no program was killed: the worker was not given any work")
        found += [f"job {job.id} is {job.state}" for job in self._unfinished()]
        found += [problem for story in self.stories for problem in _of_story(story, self.accident)]
        return found + (_of_account(self.account) if self.account else ["the broker gave no account"])

    def _unfinished(self) -> list[Job]:
        jobs = [shown.job for shown in self.jobs if shown.job is not None]
        return [job for job in jobs if self.needs_ends and job.state != "completed"]


def _of_story(story: InboxExplained, accident: Accident | None) -> list[str]:
    copies = [copy for copy in story.deliveries if accident and copy.recipient == accident.agent]
    if not copies:
        return [f"{story.id} is gone"]
    return [problem for copy in copies if accident and (problem := _of_copy(story.id, copy, accident))]


def _of_copy(message: str, copy: DeliveryStory, accident: Accident) -> str | None:
    if copy.state != "handled":
        return f"{message} is {copy.state}, not handled"
    if copy.turn == accident.turn or copy.attempt < 2:
        return f"{message} counts as handled in turn {copy.turn}, whose program was killed"
    return None


def _of_account(account: Account) -> list[str]:
    found: list[str] = []
    if account.lost:
        found.append(f"{account.lost} messages are lost")
    if not account.redelivered:
        found.append("nothing was handed out again")
    unsettled = {name: getattr(account, name) for name in ("waiting", "dead", "held", "expired")}
    found += [f"{count} messages are {name}" for name, count in unsettled.items() if count]
    if account.handled + account.mailbox + sum(unsettled.values()) + account.lost != account.accepted:
        found.append("the account does not add up")
    return found


def as_json(play: Play, home: str | None) -> dict[str, Any]:
    """Give the outcome for programs; `home` is set where it was kept."""
    accident = play.accident
    return {
        "ok": not play.problems(),
        "problems": play.problems(),
        "seconds": round(play.seconds, 3),
        "home": home,
        "request": play.request,
        "killed": accident and {"agent": accident.agent, "turn": accident.turn, "pid": accident.pid},
        "came_back": [_came_back(story) for story in play.stories],
        "jobs": [_job(shown.job, shown) for shown in play.jobs if shown.job is not None],
        "report": play.report,
        "account": play.account and play.account.model_dump(),
        "tokens": play.tokens,
        "cost_usd": play.cost_usd,
    }


def _came_back(story: InboxExplained) -> dict[str, Any]:
    copy = story.deliveries[0]
    return {"id": story.id, "state": copy.state, "turn": copy.turn, "attempt": copy.attempt}


def _job(job: Job, shown: JobsShown) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "claimed_by": job.claimed_by,
        "epoch": job.epoch,
        "events": [event_as_json(event) for event in shown.events],
    }
