"""Events of jobs: what came over a topic, verified, judged and recorded with its effect in one transaction (DESIGN 7).

The order is fixed: form, topic, registry, signature, claim, replay window, effect. What fails is counted in the
quarantine, where nothing of its content is kept or acted on.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from broker.services import ask_ends, job_ends, job_notices
from broker.services.callers import Caller, Rules
from broker.services.replay import Window
from broker.store.tx import Row, Tx
from wire.errors import Invalid, Unknown
from wire.events import BadEvent, Event, Signed, instant_ms, read_event, sign, stamp, verify
from wire.jobs import ENDED, Fate, Mark, Verdict
from wire.topics import job_of

KID = "k1"
"""The one secret that a job has."""
MAX_QUARANTINE = 1000
"""Kinds of refusals that are told apart; what comes then is counted under its reason alone."""
MAX_TOPIC = 200

Ruling = Literal["accepted", "late", "conflicting", "duplicate", "refused"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of something that came over a topic. It is settled either way: MQTT may forget it."""

    ruling: Ruling
    reason: str = ""
    """Why it was refused, in a short word."""
    number: int | None = None
    """The event's, where it was recorded now."""


class _Refused(Exception):  # never leaves this module
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def guard_of(tx: Tx, job: str) -> Row:
    """Give what decides on a job's events.

    Raises:
        Unknown: there is no such job.
    """
    row = tx.one("jobs.guard", id=job)
    if row is None:
        raise Unknown(f"no job {job!r}")
    return row


def record(tx: Tx, topic: str, payload: bytes, rules: Rules) -> Judgement:
    """Judge what came over a topic; never raises for anything that a stranger could send.

    Idempotent: the same bytes again are a `duplicate` without effect, whatever happened in between. Another end than
    the recorded one may be retained now: what has to stand is published again.
    """
    try:
        signed, guard = _addressed(tx, topic, payload, rules)
    except _Refused as refused:
        return _refuse(tx, topic, payload, refused.reason)
    try:
        _check_signed(tx, signed, guard, topic)
        judged = _judge(tx, signed, guard)
    except _Refused as refused:
        judged = _refuse(tx, topic, payload, refused.reason)
    if signed.event.terminal and judged.ruling == "accepted":
        job_ends.keep(tx, signed.event.job_id, payload)
    elif signed.event.terminal:
        job_ends.hold(tx, signed.event.job_id, topic, payload)
    return judged


def cleared(tx: Tx, topic: str, rules: Rules) -> None:
    """Learn that somebody cleared what is retained over a topic: the end of a job that is still known stays."""
    try:
        job = job_of(rules.topic_prefix, topic)
    except Invalid:
        return
    job_ends.hold(tx, job, topic, b"")


def too_long(tx: Tx, topic: str, length: int, sha256: bytes) -> Judgement:
    """Refuse what is longer than any event, of which nobody has kept more than this."""
    _count_refused(tx, topic, "not_canonical", length, sha256)
    return Judgement("refused", "not_canonical")


def _refuse(tx: Tx, topic: str, payload: bytes, reason: str) -> Judgement:
    quarantine(tx, topic, payload, reason)
    return Judgement("refused", reason)


def _addressed(tx: Tx, topic: str, payload: bytes, rules: Rules) -> tuple[Signed, Row]:
    """Let through only events of a job that is known, over its own topic."""
    try:
        named = job_of(rules.topic_prefix, topic)
        signed = read_event(payload)
    except BadEvent as exc:
        raise _Refused(exc.reason) from None
    except Invalid:
        raise _Refused("topic") from None
    event = signed.event
    if event.job_id != named or event.fleet != rules.fleet:
        raise _Refused("foreign")
    guard = tx.one("jobs.guard", id=named)
    if guard is None:
        raise _Refused("unknown_job")
    return signed, guard


def _check_signed(tx: Tx, signed: Signed, guard: Row, topic: str) -> None:
    """Let through only what the holder of the job's secret signed for this topic."""
    if guard["secret"] is None:
        # What MQTT retains of a job comes again with each subscription, long behind the end: a copy has no effect.
        if not _is_recorded(tx, signed):
            raise _Refused("forgotten")
    elif signed.event.kid != KID or not verify(signed, topic, guard["secret"]):
        raise _Refused("signature")


def _is_recorded(tx: Tx, signed: Signed) -> bool:
    event = signed.event
    row = tx.one("jobs.event", job=event.job_id, epoch=event.epoch, seq=event.seq)
    return row is not None and row["sha256"] == signed.digest


def _judge(tx: Tx, signed: Signed, guard: Row) -> Judgement:
    event = signed.event
    earlier = tx.one("jobs.event", job=event.job_id, epoch=event.epoch, seq=event.seq)
    if earlier is not None:
        if earlier["sha256"] == signed.digest:
            return Judgement("duplicate")
        job_notices.equivocation(tx, guard, event)
        raise _Refused("equivocation")
    if event.epoch != guard["epoch"]:
        raise _Refused("fenced" if event.epoch < guard["epoch"] else "epoch")
    if event.event == "cancelled" or guard["state"] == "cancelled":
        # The broker alone says it, under an epoch that nobody was granted, and has recorded it when it does.
        raise _Refused("not_yours")
    window = Window.of(guard["highest"], guard["seen"])
    if window.place(event.seq, guard["replay"]) != "new":
        raise _Refused("replayed")
    _check_fresh(tx, guard, event)
    verdict: Verdict = "accepted"
    if guard["state"] in ENDED:
        verdict = "conflicting" if event.terminal else "late"
    number = _add(tx, event, signed.digest, verdict)
    moved = window.take(event.seq)
    tx.run("jobs.heard", id=event.job_id, highest=moved.highest, seen=moved.stored, now=tx.now_ms)
    _take_effect(tx, guard, event, number, verdict)
    return Judgement(verdict, number=number)


def _check_fresh(tx: Tx, guard: Row, event: Event) -> None:
    """Refuse what its job finds not fresh, for good: its publisher may have been told so, and sends it no more.

    An end is always fresh. The number is not taken: neither the replay window moves, nor the time-out.
    """
    if guard["freshness_ms"] is None or event.terminal:
        return
    refused = Window.of(guard["stale_highest"], guard["stale"])
    place = refused.place(event.seq, "window")
    said_ms = instant_ms(event.timestamp)
    if place != "taken" and said_ms is not None and abs(tx.now_ms - said_ms) <= guard["freshness_ms"]:
        return
    if place == "new":
        moved = refused.take(event.seq)
        tx.run("jobs.not_fresh", id=event.job_id, highest=moved.highest, seen=moved.stored)
    raise _Refused("not_fresh")


def _add(tx: Tx, event: Event, digest: bytes, verdict: Verdict) -> int:
    return tx.insert(
        "jobs.add_event",
        job=event.job_id,
        epoch=event.epoch,
        seq=event.seq,
        event=event.event,
        verdict=verdict,
        sha256=digest,
        said_at=event.timestamp,
        detail=event.detail,
        data=json.dumps(event.data, sort_keys=True),
        now=tx.now_ms,
    )


def _take_effect(tx: Tx, guard: Row, event: Event, number: int, verdict: Verdict) -> None:
    """Do what a recorded event means: the end of the job, word to who registered it, an ask to the operator."""
    job = event.job_id
    tx.log("job_event_recorded", job=job, name=event.event, epoch=event.epoch, seq=event.seq, verdict=verdict)
    if verdict == "conflicting":
        job_notices.conflicting(tx, guard, event)
    if verdict == "accepted" and event.terminal:
        tx.run("jobs.end", id=job, state=event.event, event=number, now=tx.now_ms)
        tx.run("jobs.end_sessions", job=job, state="stopped", reason=event.event, now=tx.now_ms)
        ask_ends.cancel_of_job(tx, job)
        job_notices.ended(tx, guard, event)
    if verdict == "accepted" and event.event == "permission_required":
        job_notices.permission_required(tx, guard, event)
    tx.revise_due()
    job_notices.wake_watchers(tx, guard)


def cancelled(tx: Tx, caller: Caller, job: str, reason: str, rules: Rules) -> None:
    """End a job from here: its claimant is fenced, and the event is recorded and queued to be published, retained."""
    tx.run("jobs.fence", id=job)
    guard = guard_of(tx, job)
    event = Event(
        fleet=rules.fleet,
        job_id=job,
        kid=KID,
        epoch=guard["epoch"],
        seq=1,
        event="cancelled",
        timestamp=stamp(tx.now_ms),
        detail=reason or f"cancelled by {caller.name}",
    )
    topic = rules.events_topic(job)
    payload = sign(event, topic, guard["secret"])
    number = _add(tx, event, read_event(payload).digest, "accepted")
    tx.run("jobs.end", id=job, state="cancelled", event=number, now=tx.now_ms)
    tx.run("jobs.end_sessions", job=job, state="terminated", reason="cancelled", now=tx.now_ms)
    ask_ends.cancel_of_job(tx, job)
    job_ends.keep(tx, job, payload)
    tx.post(topic, payload, retain=True)
    tx.revise_due()
    job_notices.ended(tx, guard, event, by=caller.name)
    job_notices.wake_watchers(tx, guard)


def fate_of(tx: Tx, guard: Row | None, mark: Mark) -> tuple[Fate, Verdict | None]:
    """Say whether an event was recorded, and as what, or never will be.

    So it is where its job is gone, a newer claim has it, the window has moved past it, or it was refused as not fresh.
    """
    if guard is None:
        return "fenced", None
    event = tx.one("jobs.event", job=mark.job, epoch=mark.epoch, seq=mark.seq)
    if event is not None:
        return "recorded", event["verdict"]
    place = Window.of(guard["highest"], guard["seen"]).place(mark.seq, guard["replay"])
    if mark.epoch == guard["epoch"] and place == "taken":
        # Retention has forgotten its row. What came behind an end goes together with the job.
        return "recorded", "accepted"
    due = mark.epoch == guard["epoch"] and guard["secret"] is not None and place == "new"
    refused = Window.of(guard["stale_highest"], guard["stale"]).place(mark.seq, "window") == "taken"
    return ("unknown" if due and not refused else "fenced"), None


def quarantine(tx: Tx, topic: str, payload: bytes, reason: str) -> None:
    """Count what was refused. Its content is neither kept nor logged: it may be a stranger's."""
    _count_refused(tx, topic, reason, len(payload), hashlib.sha256(payload).digest())


def _count_refused(tx: Tx, topic: str, reason: str, length: int, sha256: bytes) -> None:
    kind = topic[:MAX_TOPIC]
    others = tx.one("jobs.quarantine_rows", topic=kind, reason=reason)
    tx.run(
        "jobs.quarantine",
        topic="" if others is not None and others["n"] >= MAX_QUARANTINE else kind,
        reason=reason,
        bytes=length,
        sha256=sha256,
        now=tx.now_ms,
    )
    tx.log("job_event_refused", reason=reason, bytes=length)
