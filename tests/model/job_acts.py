"""What people do with jobs, and what comes over their topics: in order, again, late, out of order, stale and forged."""

import random
from functools import partial
from typing import Any

from broker.services import job_events, job_monitor, jobs
from broker.services.callers import Caller
from broker.services.replies import once
from tests.fakes.office import OPERATOR_CALLER, Call
from tests.fakes.verbs import Command
from tests.model import paper_acts as acts
from tests.model import paper_job_acts as on_paper
from tests.model import paper_jobs
from tests.model.agent_acts import AgentActs
from tests.model.choices import NAMES, Digits
from tests.model.desk import Act
from tests.model.paper_job_acts import Work
from tests.model.paper_jobs import Said
from tests.torture.job_noise import Claim, Forger
from wire.events import EventName, read_event
from wire.jobs import JobsCancel, JobsChanged, JobsClaim, JobsClaimed, JobsRegister, JobsRegistered
from wire.model import Mutation, Result

TIMEOUTS = (3600.0, 60.0, 0.5, 86_400.0)
EVENTS: tuple[EventName, ...] = (
    "started", "progress", "progress", "permission_required", "permission_required", "completed", "error", "cancelled",
)  # fmt: skip
ENDING = 5
"""From here on they end a job, or would."""
STEPS = (1, 1, 1, 1, 2, 3, 700, 1030)
"""How far the next number lies from the last; a publisher of ours leaves no gap, a window bears one."""


class JobActs(AgentActs):
    """One method an act; None where there is nothing to do it with."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.claims: list[Claim] = []
        """Every claim that was ever granted, with its secret."""
        self.on_the_way: list[tuple[str, bytes]] = []
        """Topic and bytes of what was signed; the broker may have heard it, or hear it yet, or never."""

    def _keyed(self, act: Any, caller: Caller, request: Mutation, result: type[Result]) -> Call[Any]:
        rules = self.desk.office.rules
        command: Command[Any] = lambda tx: once(tx, caller, request, result, lambda: act(tx, caller, request, rules))  # noqa: E731
        return Call(self.desk.office, command)

    # --- register, claim, cancel --------------------------------------------------------------------

    def act_register(self, digits: Digits) -> Act:
        """Somebody registers a job, for an agent or for whoever is free."""
        caller = self.caller(digits) if digits.below(2) else OPERATOR_CALLER
        to = digits.pick((None, None, *NAMES, "manager", "nobody", "*"))
        work = Work(
            f"job {len(self.desk.paper.registry.jobs)}", to, digits.below(2) == 1,
            "strict" if digits.below(4) == 0 else "window", digits.pick(TIMEOUTS),
        )  # fmt: skip
        return self.registering(caller, work, self.fresh("key"))

    def registering(self, caller: Caller, work: Work, key: str) -> Act:
        """Make a registration."""
        request = JobsRegister(key=key, **work._asdict())
        call = self._keyed(jobs.register, caller, request, JobsRegistered)
        act = partial(on_paper.register, self.desk.paper, caller, work, lambda: call.get().job)
        words = f"{caller.name}/{caller.epoch} registers {work}, {key}"
        paper_side = self.under_key("jobs.register", caller, key, work, act)
        return self.keyed(Act(words, call, paper_side), lambda: self.registering(caller, work, key))

    def act_claim(self, digits: Digits) -> Act | None:
        """Somebody claims a job: its own, the oldest, one of somebody else, one that has ended, one that is none."""
        paper = self.desk.paper
        caller = OPERATOR_CALLER if digits.below(2) else self.instance(digits, with_turn=digits.below(2) == 1)
        if caller is None:
            return None
        name = digits.pick([None, *[job.id for job in paper.registry.jobs.values()][-6:], "j-none"])
        mine = [job.id for job in paper.registry.present() if job.assigned == caller.name and job.state == "pending"]
        if mine and digits.below(2):
            name = digits.pick(mine)
        turn = None
        if digits.below(4) == 0:
            turn = self.turn_of(caller, digits)[0]
        return self.claiming(caller, name, turn, self.fresh("key"))

    def alone_work(self, digits: Digits) -> None:
        """An agent gets a job as mail, and claims it in the turn that has the mail."""
        idle = [name for name in NAMES if (held := self.desk.caller_of(name)) is not None and not held.attended]
        if not idle:
            return
        name, paper = digits.pick(idle), self.desk.paper
        caller = self.desk.caller_of(name)
        work = Work(f"job {len(paper.registry.jobs)}", name, digits.below(2) == 1)
        self.desk.commit(self.registering(OPERATOR_CALLER, work, self.fresh("key")))
        mine = [job for job in paper.registry.present() if job.assigned == name and job.state == "pending"]
        if caller is None or not mine:
            return
        on_opening = partial(acts.open_turn, paper, caller)
        self.desk.commit(Act(f"{name}/{caller.epoch} opens", self.desk.office.open.call(caller), on_opening))
        turn = paper.open_turn(paper.agents[name])
        self.desk.commit(self.claiming(caller, mine[-1].id, turn.name if turn else None, self.fresh("key")))

    def claiming(self, caller: Caller, name: str | None, turn: str | None, key: str) -> Act:
        """Make a claim."""
        request = JobsClaim(key=key, job=name, turn=turn)
        call = self._keyed(jobs.claim, caller, request, JobsClaimed)
        act = partial(on_paper.claim, self.desk.paper, caller, name, turn)
        words = f"{caller.name}/{caller.epoch} claims {name or 'any job'} in {turn}, {key}"
        paper_side = self.under_key("jobs.claim", caller, key, (name, turn), act)
        made = Act(words, call, paper_side, then=self._remember)
        return self.keyed(made, lambda: self.claiming(caller, name, turn, key))

    def _remember(self, claimed: JobsClaimed) -> None:
        if claimed.job is not None and all(
            (one.job, one.epoch) != (claimed.job.id, claimed.job.epoch) for one in self.claims
        ):
            self.claims.append(Claim.of(claimed))

    def act_cancel_job(self, digits: Digits) -> Act | None:
        """Somebody ends a job."""
        known = list(self.desk.paper.registry.jobs.values())
        if not known:
            return None
        job = known[-1 - digits.below(8) % len(known)]
        caller = self.caller(digits) if digits.below(2) else OPERATOR_CALLER
        key = self.fresh("key")
        call = self._keyed(jobs.cancel, caller, JobsCancel(key=key, job=job.id), JobsChanged)
        act = partial(on_paper.cancel, self.desk.paper, caller, job.id)
        paper_side = self.under_key("jobs.cancel", caller, key, job.id, act)
        return Act(f"{caller.name}/{caller.epoch} cancels {job.id}, {key}", call, paper_side)

    # --- publishers ---------------------------------------------------------------------------------

    def _claim(self, digits: Digits) -> Claim | None:
        """Mostly one of the newest claims, also such as a later one has fenced."""
        if not self.claims:
            return None
        return self.claims[-1 - digits.below(16) % min(len(self.claims), 6)]

    def signing(self, claim: Claim, event: EventName, **fields: Any) -> bytes:
        """Sign an event as the holder of a claim, and write it down: whoever hears it may take it."""
        epoch, seq = fields.get("epoch", claim.epoch), fields.get("seq", claim.seq)
        payload = claim.signed(event, **fields)
        signed = self.desk.paper.registry.signed
        ask = fields.get("data", {}).get("ask")
        said = Said(claim.job, epoch, seq, event, fields["detail"], read_event(payload).digest, ask)
        signed[claim.topic, payload] = said
        claim.said.append(payload)
        self.on_the_way.append((claim.topic, payload))
        return payload

    def _next(self, claim: Claim, digits: Digits) -> bytes:
        claim.seq += digits.pick(STEPS)
        event = EVENTS[digits.below(len(EVENTS)) if digits.below(4) == 0 else digits.below(ENDING)]
        detail = digits.pick(("one", "another", f"word {claim.seq}"))
        asks = [ask.name for ask in self.desk.paper.asks if ask.kind == "permission" or digits.below(8) == 0]
        data = {"ask": digits.pick((*asks[-4:], "a999"))} if digits.below(4) else {}
        return self.signing(claim, event, seq=claim.seq, detail=detail, data=data)

    def act_say(self, digits: Digits) -> Act | None:
        """A publisher signs its next event, and the bridge hears it."""
        claim = self._claim(digits)
        return None if claim is None else self.hearing("next", claim.topic, self._next(claim, digits))

    def alone_sign(self, digits: Digits) -> None:
        """A publisher signs some events that nobody hears yet."""
        claim = self._claim(digits)
        if claim is not None:
            for _ in range(1 + digits.below(4)):
                self._next(claim, digits)
            self.desk.story.append(f"{claim.job}/{claim.epoch} signs events up to {claim.seq}")

    def act_hear(self, digits: Digits) -> Act | None:
        """Something that was signed comes now: for the first time or again, in any order."""
        if not self.on_the_way:
            return None
        place = digits.below(24) if digits.below(4) else digits.below(256)
        return self.hearing("signed before", *self.on_the_way[-1 - place % len(self.on_the_way)])

    def act_resign(self, digits: Digits) -> Act | None:
        """A publisher that is broken, or a thief of its secret: a used number, an epoch of its own making, an end."""
        claim = self._claim(digits)
        if claim is None or not claim.said:
            return None
        seq, epoch = max(claim.seq - digits.below(4), 1), claim.epoch + digits.pick((0, 0, 1, 2))
        event = digits.pick(EVENTS)
        payload = self.signing(claim, event, seq=seq, epoch=epoch, detail="another word")
        return self.hearing(f"{event} {epoch}/{seq} signed anew", claim.topic, payload)

    def act_hear_forged(self, digits: Digits) -> Act | None:
        """Something that nobody signed, or not for this topic."""
        heard = [claim for claim in self.claims[-6:] if claim.said]
        if len({claim.job for claim in heard}) < 2:
            return None
        frame = Forger(heard, [], random.Random(digits.below(2**20))).forged()
        if (frame.topic, frame.payload) in self.desk.paper.registry.signed:
            return None
        return self.hearing(frame.name, frame.topic, frame.payload)

    def act_hear_own(self, digits: Digits) -> Act | None:
        """The bridge hears what the broker itself published."""
        rows = self.desk.inspector.rows("SELECT topic, payload FROM job_posts WHERE length(payload) > 0")
        if not rows:
            return None
        topic, payload = digits.pick(rows)
        if (topic, payload) in self.desk.paper.registry.signed:  # the end that its publisher signed, said again
            return self.hearing("the broker's own", topic, payload)
        event = read_event(payload)
        said = Said(event.event.job_id, event.event.epoch, 1, "cancelled", "", event.digest)
        for one in self.desk.paper.registry.events:
            if (one.said.job, one.said.epoch, one.said.event) == (said.job, said.epoch, "cancelled"):
                one.said = said
        self.desk.paper.registry.signed[topic, payload] = said
        return self.hearing("the broker's own", topic, payload)

    def hearing(self, what: str, topic: str, payload: bytes) -> Act:
        """Let the bridge hear something."""
        rules = self.desk.office.rules
        call = Call(self.desk.office, partial(job_events.record, topic=topic, payload=payload, rules=rules))
        act = partial(on_paper.hear, self.desk.paper, topic, payload, lambda: call.get().reason)
        return Act(f"the bridge hears {what}: {payload[-250:]!r}", call, act)

    # --- time ---------------------------------------------------------------------------------------

    def act_reconcile(self, _digits: Digits) -> Act:
        """The monitor looks for jobs whose turn has ended without an end."""
        act = partial(paper_jobs.reconcile, self.desk.paper)
        return Act("the monitor reconciles", Call(self.desk.office, job_monitor.reconcile), act)
