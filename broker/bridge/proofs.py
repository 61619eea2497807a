"""Proofs: events that the bridge signs for no job, to learn whether what is published is heard. None is recorded.

Their ids are never those of a job, so that a late one is dropped and does not look like a stranger's.
"""

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import anyio

from wire.canonical import MAX_BYTES
from wire.errors import Invalid
from wire.events import BadEvent, Event, read_event, sign, verify
from wire.mqtt import Heard
from wire.topics import events_topic, job_of

PROOF = "proof-"
STAMP = "1970-01-01T00:00:00.000Z"
"""What a proof says of its time; nobody reads it."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One of them, while somebody waits for it."""

    topic: str
    payload: bytes
    secret: str = field(repr=False)
    heard: anyio.Event = field(default_factory=anyio.Event)
    """Set once it came, with its signature."""


class Proofs:
    """One per bridge."""

    def __init__(self) -> None:
        self._waiting: dict[str, Proof] = {}

    @contextmanager
    def made(self, fleet: str, prefix: str, *, whole: bool = False) -> Generator[Proof]:
        """Sign one, to be published; it is known for as long as the body runs. `whole`: as long as an event may be."""
        job = f"{PROOF}{secrets.token_hex(8)}"
        topic, secret = events_topic(prefix, job), secrets.token_urlsafe(32)
        event = Event(fleet, job, "k1", 1, 1, "progress", STAMP)
        payload = sign(event, topic, secret)
        if whole:
            room = MAX_BYTES - len(payload) - len(',"fill":""')
            payload = sign(replace(event, data={"fill": "x" * room}), topic, secret)
        self._waiting[topic] = proof = Proof(topic, payload, secret)
        try:
            yield proof
        finally:
            del self._waiting[topic]

    def take(self, prefix: str, heard: Heard) -> bool:
        """Say whether a message is a proof's, and so nothing for the registry; whoever waits for it learns of it."""
        try:
            if not job_of(prefix, heard.topic).startswith(PROOF):
                return False
        except Invalid:
            return False
        proof = self._waiting.get(heard.topic)
        if proof is not None and _is_signed(heard, proof):
            proof.heard.set()
        return True


def _is_signed(heard: Heard, proof: Proof) -> bool:
    try:
        return verify(read_event(heard.payload), heard.topic, proof.secret)
    except BadEvent:
        return False
