"""Whether the events of jobs get through: a signed event there and back, and what the MQTT broker at hand promises."""

from collections.abc import Iterator

from console.doctor.verdict import Level, Verdict
from wire.errors import QueenpostError
from wire.job_probe import JobsProbed

SLOW_MS = 1000.0
START = "queenpost doctor --mqtt"
LOGS = "queenpost logs --level warning --since 1h"
MANUAL = "see docs/mqtt.md"

GUARANTEES: dict[str, tuple[Level, str, str | None]] = {
    "mosquitto": (
        "ok",
        "mosquitto, our own: on loopback, a user and rights for each part, what it holds on disk every 5 s",
        None,
    ),
    "amqtt": (
        "note",
        "amqtt, built in: on loopback, a user and rights for each part; what it holds is lost with it, and sent again",
        "install mosquitto, which keeps it on disk and is faster; then `queenpost down`, `queenpost up -d`",
    ),
    "external": (
        "ok",
        "an MQTT broker of yours: disk, users and rights are its own; publishers keep events until they are recorded",
        None,
    ),
}
"""What is promised by each kind, beyond what a probe shows."""


def checks(probed: JobsProbed | QueenpostError) -> Iterator[Verdict]:
    """Look at what came of a probe."""
    if isinstance(probed, QueenpostError):
        yield _failed(probed)
        return
    if probed.kind == "asleep":
        yield Verdict("job events", "note", "no job yet: the MQTT broker starts with the first one", START)
        return
    yield _round_trip(probed)
    yield Verdict("mqtt broker", *GUARANTEES[probed.kind])
    if probed.readable:
        said = f"{probed.url} is not encrypted: events, and a password, can be read on the way"
        yield Verdict("mqtt network", "warning", said, 'give it TLS; [mqtt] url = "mqtts://…"; queenpost down, up -d')
    if probed.heard_ms is not None:
        yield from _promises(probed)


def _failed(exc: QueenpostError) -> Verdict:
    if exc.code == "unknown":
        return Verdict("job events", "note", "the broker is older than this check", "queenpost down && queenpost up -d")
    return Verdict("job events", "error", exc.message, LOGS)


def _round_trip(probed: JobsProbed) -> Verdict:
    if probed.heard_ms is None:
        who = f"user {probed.user!r}" if probed.user else "whoever has no name"
        took = "took a signed event" if probed.accepted_ms is not None else "did not take a signed event"
        said = f"{probed.url} {took} and gave it to nobody; may {who} write to and read {probed.topics}?"
        return Verdict("job events", "error", said, f"allow it in the rules (ACL) of the MQTT broker; {MANUAL}")
    said = f"a signed event was heard {probed.heard_ms:.1f} ms after it was published, over {probed.url}"
    if probed.heard_ms > SLOW_MS:
        return Verdict("job events", "warning", f"{said}; that is slow", LOGS)
    return Verdict("job events", "ok", said)


def _promises(probed: JobsProbed) -> Iterator[Verdict]:
    if probed.strangers:
        said = f"{probed.url} lets in whoever comes; events cannot be forged, but read, and their way be stuffed"
        yield Verdict("mqtt users", "warning", said, f"let it ask for a user and a password; {MANUAL}")
    if not probed.retained:
        said = "it retains nothing: who subscribes late does not hear how a job ended; `queenpost job show` tells it"
        yield Verdict("mqtt retained", "warning", said, f"allow retained messages there; {MANUAL}")
    if not probed.resumed:
        said = "it keeps nothing for the bridge while the bridge is away; publishers send it again, some seconds later"
        yield Verdict("mqtt sessions", "note", said, f"allow persistent sessions there; {MANUAL}")
    if not probed.whole:
        said = "an event of 64 KiB, which is allowed, does not come through; shorter ones do"
        yield Verdict("mqtt limits", "warning", said, f"raise its limit of a message to 128 KiB; {MANUAL}")
    if probed.retained and probed.resumed and probed.whole:
        yield Verdict("mqtt promises", "ok", "retains the end of jobs, keeps sessions, takes events of every length")
