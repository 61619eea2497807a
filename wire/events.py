"""Job events: their envelope, how they are signed and how a signed one is read. Pure: no MQTT, no file, no clock.

A receiver trusts an event only after `read_event` and `verify`, in this order, and then asks its registry and its
replay window; `docs/events.md` has the format and test vectors for a second implementation.
"""

import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, cast, get_args

from wire.canonical import MAX_INT, NotCanonical, check, read, written
from wire.errors import Invalid
from wire.topics import check_job_id

SCHEMA_VERSION = 1
MAX_DETAIL = 4096
DOMAIN = b"queenpost/event/v1\0"
"""Put before what is signed, so that a signature is good for nothing else."""

EventName = Literal["started", "progress", "permission_required", "completed", "error", "cancelled"]
EVENT_NAMES: tuple[EventName, ...] = get_args(EventName)
TERMINAL: frozenset[EventName] = frozenset({"completed", "error", "cancelled"})
"""The first valid one ends the job; `cancelled` comes from the broker alone."""

_FIELDS = frozenset(
    {"schema_version", "fleet", "job_id", "kid", "epoch", "seq", "event", "timestamp", "detail", "data"}
)
_FLEET = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_KID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_TIMESTAMP = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z", re.ASCII
)
_EPOCH = datetime.fromtimestamp(0, UTC)
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_ROOM = "0" * 64
_RESERVED = frozenset({"hmac_sig", "auth_token"})
"""Never the caller's: the signature is ours, and a secret has no place in an event."""


class BadEvent(Invalid):
    """Not an event of this version; `reason` in the details is a short word for counting."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message, reason=reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Event:
    """One event, without its signature. `epoch` and `seq` begin with 1; `data` holds no secret."""

    fleet: str
    job_id: str
    kid: str
    epoch: int
    seq: int
    event: EventName
    timestamp: str
    """When the publisher made it, UTC in RFC 3339 with milliseconds. Its own clock: a job's freshness alone asks it."""
    detail: str = ""
    data: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def terminal(self) -> bool:
        """Say whether it ends its job."""
        return self.event in TERMINAL


@dataclass(frozen=True, slots=True)
class Signed:
    """An event as it came over a topic: well-formed, its signature not yet looked at."""

    event: Event
    signature: str
    unsigned: bytes
    """Canonical bytes without the signature: what is signed, and whose digest tells copies from forgeries."""

    @property
    def digest(self) -> bytes:
        """Give the SHA-256 of what is signed: equal for copies of one event."""
        return sha256(self.unsigned).digest()


def sign(event: Event, topic: str, secret: str) -> bytes:
    """Give the exact bytes to publish over a topic. The same arguments give the same bytes.

    Raises:
        BadEvent: a field is wrong, or `data` holds `auth_token` or `hmac_sig` at any depth.
        NotCanonical: `detail` or `data` hold what canonical JSON leaves out, or it is too long.
    """
    _check_fields(event)
    _check_reserved(event.data)
    check({"detail": event.detail, "data": event.data})
    # Writing it costs more than signing it: it is written once, with room for the signature.
    payload = written(_envelope(event, {**event.data, "hmac_sig": _ROOM}))
    mac = _mac(_without(_ROOM, payload), topic, secret)
    return payload.replace(_member(_ROOM), _member(mac))


def read_event(payload: bytes) -> Signed:
    """Read what came over a topic, strictly; nothing of it is to be believed before `verify`.

    Raises:
        BadEvent: with the reason `not_canonical`, `schema_version`, `fields`, `unsigned` or the name of a field.
    """
    try:
        envelope = read(payload)
    except NotCanonical as exc:
        raise BadEvent("not_canonical", exc.message) from None
    if type(envelope.get("schema_version")) is not int or envelope["schema_version"] != SCHEMA_VERSION:
        raise BadEvent("schema_version", f"schema_version is not {SCHEMA_VERSION}; publisher and broker differ")
    if envelope.keys() != _FIELDS:
        odd = sorted(envelope.keys() ^ _FIELDS)[0]
        raise BadEvent(
            "fields", f"the field {odd[:64]!r} is missing or not known; an event has exactly {sorted(_FIELDS)}"
        )
    data = envelope["data"]
    if not isinstance(data, dict):
        raise BadEvent("data", "data is not an object")
    data = cast("dict[str, Any]", data)
    signature = data.pop("hmac_sig", None)
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        raise BadEvent("unsigned", "data.hmac_sig is not 64 hexadecimal digits")
    event = Event(
        envelope["fleet"], envelope["job_id"], envelope["kid"], envelope["epoch"], envelope["seq"], envelope["event"],
        envelope["timestamp"], envelope["detail"], data,
    )  # fmt: skip
    _check_fields(event)
    _check_reserved(data)
    return Signed(event, signature, _without(signature, payload))


def verify(signed: Signed, topic: str, secret: str) -> bool:
    """Say whether the holder of this secret signed exactly this event for exactly this topic; in constant time."""
    return hmac.compare_digest(_mac(signed.unsigned, topic, secret).encode(), signed.signature.encode())


def stamp(now_ms: int) -> str:
    """Write an instant as events have it."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{now_ms % 1000:03d}Z"


def instant_ms(timestamp: str) -> int | None:
    """Read what `stamp` wrote, and give the instant; None: no calendar has that day."""
    try:
        return (datetime.fromisoformat(timestamp) - _EPOCH) // timedelta(milliseconds=1)
    except ValueError:
        return None


def _mac(unsigned: bytes, topic: str, secret: str) -> str:
    return hmac.digest(secret.encode(), DOMAIN + topic.encode() + b"\0" + unsigned, "sha256").hex()


def _envelope(event: Event, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "fleet": event.fleet,
        "job_id": event.job_id,
        "kid": event.kid,
        "epoch": event.epoch,
        "seq": event.seq,
        "event": event.event,
        "timestamp": event.timestamp,
        "detail": event.detail,
        "data": data,
    }


def _member(signature: str) -> bytes:
    return f'"hmac_sig":"{signature}"'.encode()


def _without(signature: str, payload: bytes) -> bytes:
    """Give canonical bytes without their signature: what it would be to write the event without it.

    It is there once, where it belongs: no other member may be called so, and in a text its quotes would be escaped.
    """
    member = _member(signature)
    for cut in (b"," + member, member + b",", member):
        if cut in payload:
            return payload.replace(cut, b"")
    raise AssertionError("canonical bytes of an event have the signature that was read in them")


def _check_fields(event: Event) -> None:
    """Refuse a value that a field cannot have. `type` and not `isinstance`: true is no sequence number."""
    for name, pattern in (("fleet", _FLEET), ("kid", _KID), ("timestamp", _TIMESTAMP)):
        value = getattr(event, name)
        if type(value) is not str or not pattern.fullmatch(value):
            raise BadEvent(name, f"{name} does not match {pattern.pattern}")
    if type(event.job_id) is not str:
        raise BadEvent("job_id", "job_id is not text")
    try:
        check_job_id(event.job_id)
    except Invalid as exc:
        raise BadEvent("job_id", f"job_id: {exc.message}") from None
    for name in ("epoch", "seq"):
        value = getattr(event, name)
        if type(value) is not int or not 1 <= value <= MAX_INT:
            raise BadEvent(name, f"{name} is not an integer from 1 to 2^53-1")
    if type(event.event) is not str or event.event not in EVENT_NAMES:
        raise BadEvent("event", f"event is not one of {', '.join(EVENT_NAMES)}")
    if type(event.detail) is not str or len(event.detail) > MAX_DETAIL:
        raise BadEvent("detail", f"detail is not text of at most {MAX_DETAIL} characters")
    if type(event.data) is not dict:
        raise BadEvent("data", "data is not an object")


def _check_reserved(value: object) -> None:
    match value:
        case dict():
            for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
                if key in _RESERVED:
                    raise BadEvent("reserved", f"data may not hold {key!r}: a secret never travels in an event")
                _check_reserved(item)  # pyright: ignore[reportUnknownArgumentType]
        case list():
            for item in value:  # pyright: ignore[reportUnknownVariableType]
                _check_reserved(item)  # pyright: ignore[reportUnknownArgumentType]
        case _:
            pass
