"""Signed events: what was signed is read, and nothing else is."""

import hmac
import random
from dataclasses import replace
from typing import Any

import pytest

from wire.canonical import NotCanonical, canonical, read
from wire.events import EVENT_NAMES, TERMINAL, BadEvent, Event, instant_ms, read_event, sign, stamp, verify

SECRET = "a-secret-of-a-job"
TOPIC = "queenpost/demo/jobs/j1/events"
EVENT = Event(
    fleet="demo",
    job_id="j1",
    kid="k1",
    epoch=1,
    seq=1,
    event="progress",
    timestamp="2026-11-21T10:00:00.000Z",
    detail="half done: \u00e9\U0001f600\u2028",
    data={"percent": 50, "parts": ["a", None, True, {"b": -1}]},
)


@pytest.mark.parametrize("name", EVENT_NAMES)
def test_a_signed_event_is_read_as_it_was_and_verified(name: Any) -> None:
    """[X04] [X15] Each event of the protocol, there and back."""
    event = replace(EVENT, event=name)
    signed = read_event(sign(event, TOPIC, SECRET))
    assert signed.event == event
    assert verify(signed, TOPIC, SECRET)
    assert signed.event.terminal == (name in TERMINAL)


LOOKS_LIKE_ONE = ',"hmac_sig":"' + "0" * 64 + '"'


@pytest.mark.parametrize("detail", ["", LOOKS_LIKE_ONE, "\\" + LOOKS_LIKE_ONE])
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"a": 1},
        {"z": 1},
        {"a": {}, "hmac": "hmac_sig", "hmac_sigh": 1, "z": []},
        {"a": LOOKS_LIKE_ONE, "z": [LOOKS_LIKE_ONE, {"hmac_si": LOOKS_LIKE_ONE}]},
    ],
)
def test_what_is_signed_is_the_event_written_without_its_signature(data: dict[str, Any], detail: str) -> None:
    """[X15] As docs/events.md has it, wherever the signature stands and whatever looks like one beside it."""
    event = replace(EVENT, data=data, detail=detail)
    payload = sign(event, TOPIC, SECRET)
    envelope = read(payload)
    mac = envelope["data"].pop("hmac_sig")
    assert envelope["data"] == data
    unsigned = canonical(envelope)
    assert read_event(payload).unsigned == unsigned
    told = b"queenpost/event/v1\0" + TOPIC.encode() + b"\0" + unsigned
    assert hmac.new(SECRET.encode(), told, "sha256").hexdigest() == mac


def test_the_same_event_is_always_the_same_bytes() -> None:
    """[X07] A resend is a copy: same bytes, same digest; another event has another."""
    first, second = sign(EVENT, TOPIC, SECRET), sign(EVENT, TOPIC, SECRET)
    assert first == second
    other = sign(replace(EVENT, detail="three quarters"), TOPIC, SECRET)
    assert read_event(first).digest == read_event(second).digest != read_event(other).digest


def test_a_signature_is_good_for_one_topic_and_one_secret() -> None:
    """Reliability 4.2: no event can be moved to another job or fleet."""
    signed = read_event(sign(EVENT, TOPIC, SECRET))
    assert not verify(signed, "queenpost/demo/jobs/j2/events", SECRET)
    assert not verify(signed, "queenpost/other/jobs/j1/events", SECRET)
    assert not verify(signed, TOPIC, SECRET + "x")
    assert not verify(signed, TOPIC, "")


def test_the_secret_is_not_in_the_bytes() -> None:
    """[X16] Nothing of the key travels."""
    assert SECRET.encode() not in sign(EVENT, TOPIC, SECRET)


@pytest.mark.parametrize(
    "data",
    [{"auth_token": "x"}, {"hmac_sig": "0" * 64}, {"a": {"auth_token": "x"}}, {"a": [{"auth_token": None}]}],
)
def test_data_that_would_carry_a_secret_is_refused(data: dict[str, Any]) -> None:
    """[X16] The publisher refuses it, at any depth."""
    with pytest.raises(BadEvent, match="a secret never travels"):
        sign(replace(EVENT, data=data), TOPIC, SECRET)


WRONG_FIELDS: list[tuple[str, Any]] = [
    ("fleet", ""),
    ("fleet", "a/b"),
    ("fleet", 1),
    ("job_id", "J1"),
    ("job_id", "a+b"),
    ("job_id", 1),
    ("kid", ""),
    ("kid", "K"),
    ("epoch", 0),
    ("epoch", True),
    ("epoch", -1),
    ("epoch", None),
    ("seq", 0),
    ("seq", True),
    ("seq", "1"),
    ("seq", 2**53),
    ("event", "done"),
    ("event", ["started"]),
    ("event", None),
    ("timestamp", "2026-11-21T10:00:00Z"),
    ("timestamp", "2026-11-21T10:00:00.000+00:00"),
    ("timestamp", "2026-13-21T10:00:00.000Z"),
    ("timestamp", "\u0662026-11-21T10:00:00.000Z"),
    ("timestamp", 1),
    ("detail", None),
    ("detail", "x" * 4097),
    ("data", []),
    ("data", None),
]


@pytest.mark.parametrize(("name", "value"), WRONG_FIELDS)
def test_a_field_that_is_wrong_is_named_by_both_sides(name: str, value: Any) -> None:
    """[X05] [X18] A missing, boolean or negative number, an unknown event: refused when signed, and when read."""
    with pytest.raises(BadEvent, match=name):
        sign(replace(EVENT, **{name: value}), TOPIC, SECRET)
    forged = read(sign(EVENT, TOPIC, SECRET))
    forged[name] = value
    try:
        payload = canonical(forged)
    except NotCanonical:
        return  # it cannot even be written
    with pytest.raises(BadEvent) as refused:
        read_event(payload)
    assert refused.value.reason == name


@pytest.mark.parametrize("now_ms", [0, 1, 999, 1_795_255_200_000, 4_102_444_799_999, 253_402_300_799_999])
def test_a_timestamp_gives_the_instant_that_was_stamped(now_ms: int) -> None:
    """[X18] To the millisecond, for who looks at freshness."""
    assert instant_ms(stamp(now_ms)) == now_ms


@pytest.mark.parametrize("timestamp", ["2026-02-30T10:00:00.000Z", "0000-01-01T00:00:00.000Z"])
def test_a_day_that_no_calendar_has_is_no_instant(timestamp: str) -> None:
    """[X18] It has the form of a timestamp, so the event is read; fresh it never is."""
    assert read_event(sign(replace(EVENT, timestamp=timestamp), TOPIC, SECRET)).event.timestamp == timestamp
    assert instant_ms(timestamp) is None


def test_an_envelope_has_exactly_its_fields() -> None:
    """[X05] One field less, one more, another version: refused, with a reason for each."""
    whole = read(sign(EVENT, TOPIC, SECRET))
    for name in whole:
        less = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(BadEvent) as refused:
            read_event(canonical(less))
        assert refused.value.reason == ("schema_version" if name == "schema_version" else "fields")
    with pytest.raises(BadEvent, match="'sender'"):
        read_event(canonical({**whole, "sender": "x"}))
    for version in (0, 2, True, "1", None):
        with pytest.raises(BadEvent) as refused:
            read_event(canonical({**whole, "schema_version": version}))
        assert refused.value.reason == "schema_version"


@pytest.mark.parametrize("signature", [None, 1, "", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "\u0660" * 64])
def test_an_event_without_a_signature_is_none(signature: Any) -> None:
    """[X15] A missing or odd signature is no reason to look further."""
    whole = read(sign(EVENT, TOPIC, SECRET))
    whole["data"]["hmac_sig"] = signature
    with pytest.raises(BadEvent) as refused:
        read_event(canonical(whole))
    assert refused.value.reason == "unsigned"


def test_no_flipped_byte_is_believed() -> None:
    """[X15] T20: each byte of an event, changed in eight ways."""
    payload = sign(EVENT, TOPIC, SECRET)
    rng = random.Random(7)
    for place in range(len(payload)):
        for byte in {payload[place] ^ 1 << bit for bit in range(8)} | {rng.randrange(256)} - {payload[place]}:
            if byte == payload[place]:
                continue
            mutated = payload[:place] + bytes([byte]) + payload[place + 1 :]
            try:
                signed = read_event(mutated)
            except BadEvent:
                continue
            assert not verify(signed, TOPIC, SECRET), (place, byte)


def test_what_is_not_canonical_is_no_event() -> None:
    """Reliability 4.2: the same value, written otherwise, is refused before its signature is looked at."""
    payload = sign(EVENT, TOPIC, SECRET)
    for other in (payload + b"\n", payload.replace(b'"seq":1', b'"seq":1.0'), payload.replace(b":1,", b": 1,", 1)):
        with pytest.raises(BadEvent) as refused:
            read_event(other)
        assert refused.value.reason == "not_canonical"
