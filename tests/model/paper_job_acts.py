"""What people and publishers do with jobs on paper. Each act gives its answer in the words of `answers`, or refuses."""

from collections.abc import Callable
from typing import NamedTuple

from broker.services.callers import Caller
from broker.services.job_ends import MOST
from tests.model import paper_asks, paper_jobs
from tests.model.paper import Paper, number_of, refuse
from tests.model.paper_acts import Answer, send
from tests.model.paper_asks import Ask
from tests.model.paper_jobs import WIDTH, Job, Said
from wire.asks import DEFAULT_TTL_OPERATOR_S, MAX_OPEN
from wire.events import TERMINAL, read_event
from wire.jobs import ENDED, Replay

FORM = frozenset({
    "not_canonical", "schema_version", "fields", "unsigned", "topic", "foreign", "unknown_job", "forgotten",
    "signature", "fleet", "kid", "timestamp", "job_id", "epoch", "seq", "event", "detail", "data", "reserved",
})  # fmt: skip
"""Why something is refused that nobody signed for this topic. `epoch` is also a field that has no such value."""


class Work(NamedTuple):
    """What a job is to be."""

    prompt: str
    to: str | None = None
    notify: bool = False
    replay: Replay = "window"
    timeout_s: float = 3600


# --- register, claim, cancel ------------------------------------------------------------------------


def register(paper: Paper, caller: Caller, work: Work, made: Callable[[], str]) -> Answer:
    """The job and its mail, or neither. `made` gives the id: it is the broker's dice that make it."""
    if len(work.prompt.encode()) > paper.rules.limits.body_bytes:
        refuse("invalid")
    if caller.name != "operator" and paper.rules.disk_is_low:
        refuse("full")
    if work.to in ("*", "operator"):
        refuse("invalid")
    to = letter = None
    warnings = 0
    if work.to is not None:
        before = len(paper.letters)
        send(paper, caller, work.to, work.prompt, None, "job:to be named")
        letter, name = paper.letters[before], made()
        del paper.keys[caller.name, "job:to be named"]
        letter.key, letter.about = f"job:{name}", {"job": name}
        paper.keys[caller.name, letter.key] = letter
        to, warnings = letter.receipt[1][0], letter.receipt[3]
    name, registry = made(), paper.registry
    registry.jobs[name] = Job(
        len(registry.jobs) + 1, name, paper.rules.events_topic(name), caller.name, to, letter.id if letter else None,
        work.notify, work.replay, max(int(work.timeout_s * 1000), 1), paper.now,
    )  # fmt: skip
    _note(paper, caller, "job.registered", name)
    return ("registered", name, to, letter.name if letter else None, warnings)


def _note(paper: Paper, caller: Caller, action: str, job: str) -> None:
    if caller.kind != "agent":
        paper.audit.append((action, job))


def _job_of(paper: Paper, name: str) -> Job:
    job = paper.registry.jobs.get(name)
    return refuse("unknown") if job is None or job.gone else job


def claim(paper: Paper, caller: Caller, name: str | None, turn: str | None) -> Answer:
    """A new epoch for one at a time; without a name the oldest that nobody was given."""
    working = _turn_of(paper, caller, turn)
    if name is None:
        free = [job for job in paper.registry.present() if job.state == "pending" and job.assigned is None]
        if not free:
            return ("claimed", None)
        name = free[0].id
    job = _job_of(paper, name)
    if caller.name != "operator" and job.assigned is not None and caller.name not in (job.assigned, job.claimed_by):
        refuse("unknown")
    if job.state in ENDED:
        refuse("closed")
    elsewhere = job.claimed_by not in (None, caller.name) and job.assigned != caller.name
    if elsewhere and caller.name != "operator":
        refuse("conflict")
    registry = paper.registry
    registry.end_sessions(job, "terminated", paper.now)
    job.state, job.claimed_by, job.turn, job.epoch = "running", caller.name, working, job.epoch + 1
    job.claimed = job.heard = paper.now
    job.due, job.overdue = paper.now + job.timeout, False
    registry.begun += 1
    registry.sessions.append(paper_jobs.Session(registry.begun, job.id, job.epoch, caller.name, working))
    _note(paper, caller, "job.claimed", job.id)
    return ("claimed", job.id, job.epoch, caller.name, job.topic, job.due)


def _turn_of(paper: Paper, caller: Caller, turn: str | None) -> int | None:
    if caller.kind != "agent":
        return None if turn is None else refuse("invalid")
    agent = paper.holder(caller)
    if turn is not None and number_of(turn, "t") is None:
        refuse("unknown")
    working = paper.open_turn(agent)
    if turn is not None and (working is None or working.name != turn):
        refuse("conflict")
    return working.id if working else None


def cancel(paper: Paper, caller: Caller, name: str) -> Answer:
    """By the operator, or whoever registered it: the claimant is fenced, the end is the broker's own word."""
    job = _job_of(paper, name)
    if caller.kind == "agent" and caller.name not in (job.made_by, job.assigned):
        refuse("unknown")
    if caller.kind == "agent" and caller.name != job.made_by:
        refuse("denied")
    if job.state in ENDED:
        return ("job", job.id, job.state, False)
    job.epoch += 1
    said = Said(job.id, job.epoch, 1, "cancelled", "", b"")
    _end(paper, job, said, "terminated", paper.registry.record(job, said, "accepted", paper.now).number)
    paper.registry.posts.append((job.topic, False))
    if caller.name != job.made_by:
        paper_jobs.tell_maker(paper, job)
    _note(paper, caller, "job.cancelled", job.id)
    return ("job", job.id, "cancelled", True)


def _end(paper: Paper, job: Job, said: Said, session: str, number: int) -> None:
    job.state, job.ended, job.ended_by, job.due, job.overdue = said.event, paper.now, number, None, False
    job.resaid = 0
    paper.registry.end_sessions(job, session, paper.now)
    paper_asks.cancel_of_job(paper, job.id)


# --- what comes over a topic ------------------------------------------------------------------------


def hear(paper: Paper, topic: str, payload: bytes, why: Callable[[], str]) -> Answer:
    """23: only what was signed for this topic may have an effect. Of all else `why` gives the word for it."""
    said = paper.registry.signed.get((topic, payload))
    if said is None:
        assert why() in FORM, f"nobody signed it, and it was judged: {why()}"
        if why() in ("signature", "forgotten") and (event := read_event(payload).event).terminal:
            _say_again(paper, paper.registry.jobs[event.job_id])
        return _refused(paper, topic, why())
    job = paper.registry.jobs[said.job]
    if job.gone:
        return _refused(paper, topic, "unknown_job")
    answer = _weighed(paper, topic, job, said)
    ends = [one.said for one in paper.registry.of(job) if one.number == job.ended_by]
    if said.event in TERMINAL and said not in ends:
        _say_again(paper, job)
    return answer


def _say_again(paper: Paper, job: Job) -> None:
    """Another end than the recorded one was heard: it may be retained."""
    if job.resaid < MOST:
        job.resaid += 1
        paper.registry.posts.append((job.topic, job.ended is None))


def _weighed(paper: Paper, topic: str, job: Job, said: Said) -> Answer:
    if not job.is_secret_known and not _is_recorded(paper, job, said):
        return _refused(paper, topic, "forgotten")
    return _judged(paper, job, said)


def _is_recorded(paper: Paper, job: Job, said: Said) -> bool:
    """A copy has no effect, also of an event whose secret is gone: what is retained comes again and again."""
    made = (said.epoch, said.seq, said.digest)
    return any((one.said.epoch, one.said.seq, one.said.digest) == made for one in paper.registry.of(job))


def _refused(paper: Paper, topic: str, reason: str) -> Answer:
    paper.registry.refuse(topic, reason, paper.now)
    return ("heard", "refused", reason, None)


def _judged(paper: Paper, job: Job, said: Said) -> Answer:
    for one in paper.registry.of(job):
        if (one.said.epoch, one.said.seq) == (said.epoch, said.seq):
            if said.digest == one.said.digest:
                return ("heard", "duplicate", "", None)
            paper_jobs.tell(paper, "operator", job)
            return _refused(paper, job.topic, "equivocation")
    if said.epoch != job.epoch:
        return _refused(paper, job.topic, "fenced" if said.epoch < job.epoch else "epoch")
    if "cancelled" in (said.event, job.state):  # the broker's own word, and its own epoch
        return _refused(paper, job.topic, "not_yours")
    highest = max(paper.registry.taken(job), default=0)
    if said.seq <= highest - (0 if job.replay == "strict" else WIDTH) or said.seq in paper.registry.taken(job):
        return _refused(paper, job.topic, "replayed")
    return _recorded(paper, job, said)


def _recorded(paper: Paper, job: Job, said: Said) -> Answer:
    terminal = said.event in TERMINAL
    verdict = ("conflicting" if terminal else "late") if job.state in ENDED else "accepted"
    recorded = paper.registry.record(job, said, verdict, paper.now)
    job.heard, job.overdue = paper.now, False
    job.due = paper.now + job.timeout if job.state == "running" else None
    if verdict == "conflicting":
        paper_jobs.tell(paper, "operator", job)
    elif verdict == "accepted" and terminal:
        _end(paper, job, said, "stopped", recorded.number)
        paper_jobs.tell_maker(paper, job)
    elif verdict == "accepted" and said.event == "permission_required":
        _permission(paper, job, said)
    return ("heard", verdict, "", recorded.number)


def _permission(paper: Paper, job: Job, said: Said) -> None:
    """From a turn: linked to the ask that its harness put. From outside: an ask to the operator."""
    if job.turn is not None:
        named = paper_asks.named(paper, said.ask or "")
        mine = named is not None and (named.asker, named.turn, named.kind, named.job) == (
            job.claimed_by, job.turn, "permission", None,
        )  # fmt: skip
        if named is not None and mine:
            named.job = job.id
        return
    question = f"job {job.id} ({job.claimed_by}) asks for a permission: {said.detail}"
    waiting = [ask for ask in paper_asks.open_ones(paper) if ask.job == job.id and ask.kind == "question"]
    if len(waiting) >= MAX_OPEN or any(ask.question == question for ask in waiting):
        return
    asker = job.made_by if paper.present(job.made_by) is not None else "operator"
    deadline = paper.now + DEFAULT_TTL_OPERATOR_S * 1000
    paper.asks.append(
        Ask(len(paper.asks) + 1, "question", asker, "operator", question, ["allow", "deny"], False, None, deadline,
            job=job.id)
    )  # fmt: skip
    paper_jobs.tell_maker(paper, job)
