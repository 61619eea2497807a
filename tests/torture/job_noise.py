"""Frames that no bridge may take for an event: mutated, replayed, moved, forged, stale, unsigned, or written otherwise.

Most are signed with the right secret, so that it is not the signature alone that keeps them out. Always the same for
one seed. Long because the traps are one list, to be read against the profile.
"""

import hmac
import json
import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from wire.canonical import MAX_BYTES, MAX_INT
from wire.events import DOMAIN, Event, EventName, sign
from wire.jobs import JobsClaimed

NOW = "2026-11-21T10:00:00.000Z"
FAR = 3000
"""A number so far on that the first ones lie behind the window."""


@dataclass
class Claim:
    """What somebody knows who has claimed a job, and what was published for it so far."""

    fleet: str
    job: str
    kid: str
    epoch: int
    topic: str
    secret: str
    seq: int = 0
    said: list[bytes] = field(default_factory=list[bytes])
    """Events that were published, and are due: they are recorded, or will be."""

    @staticmethod
    def of(claimed: JobsClaimed) -> "Claim":
        """Give what the broker told whoever claimed."""
        assert claimed.job is not None
        return Claim(claimed.fleet, claimed.job.id, claimed.kid, claimed.job.epoch, claimed.topic, claimed.secret)

    def due(self, event: EventName = "progress", *, step: int = 1) -> bytes:
        """Sign the next event, which has to be taken."""
        self.seq += step
        self.said.append(self.signed(event))
        return self.said[-1]

    def signed(self, name: EventName = "progress", **fields: Any) -> bytes:
        """Sign any event, by default under the last number, with a detail of its own."""
        secret, topic = fields.pop("secret", self.secret), fields.pop("topic", self.topic)
        detail = f"d\u00e9tail {len(self.said)}/\u20ac"
        made = Event(self.fleet, self.job, self.kid, self.epoch, self.seq, name, NOW, detail, {"n": self.seq})
        return sign(replace(made, **fields), topic, secret)

    def ahead(self, name: EventName = "progress", **fields: Any) -> dict[str, Any]:
        """Give a well-signed event, as its parts, under a number that nobody has used."""
        return json.loads(self.signed(name, seq=self.seq + 500, **fields))

    def mac(self, unsigned: bytes) -> str:
        """Sign any bytes as if they were canonical."""
        return hmac.new(self.secret.encode(), DOMAIN + self.topic.encode() + b"\0" + unsigned, sha256).hexdigest()


@dataclass(frozen=True)
class Frame:
    """Something strange that is said over a topic."""

    name: str
    topic: str
    payload: bytes


Text = Callable[[str], str]


def _dump(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=True)


OTHERWISE: dict[str, Callable[[str], bytes]] = {
    "a blank in front": lambda text: f" {text}".encode(),
    "a line break behind": lambda text: f"{text}\n".encode(),
    "a NUL behind": lambda text: f"{text}\0".encode(),
    "bytes behind": lambda text: f"{text}{{}}".encode(),
    "twice": lambda text: (text + text).encode(),
    "blanks between": lambda text: json.dumps(json.loads(text), sort_keys=True).encode(),
    "indented": lambda text: json.dumps(json.loads(text), sort_keys=True, indent=1).encode(),
    "a byte order mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-32": lambda text: text.encode("utf-32-le"),
    "keys in another order": lambda text: _dump_as_is(dict(reversed(json.loads(text).items()))),
    "a key twice, alike": lambda text: text.replace('"seq":', '"seq":1,"seq":', 1).encode(),
    "a key twice, behind": lambda text: (text[:-1] + ',"timestamp":"' + NOW + '"}').encode(),
    "a key twice in data": lambda text: text.replace('"data":{', '"data":{"n":0,', 1).encode(),
    "a key that is escaped": lambda text: text.replace('"seq"', '"\\u0073eq"', 1).encode(),
    "an escape that need not be": lambda text: text.replace('"event":"c', '"event":"\\u0063', 1).encode(),
    "a slash that is escaped": lambda text: text.replace("/", "\\/").encode(),
    "text that is not escaped": lambda text: json.dumps(
        json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode(),
    "escapes in capitals": lambda text: text.replace("\\u00e9", "\\u00E9").encode(),
    "an overlong slash": lambda text: text.encode().replace(b"/", b"\xc0\xaf"),
    "a surrogate as bytes": lambda text: text.encode().replace(b"/", b"\xed\xa0\x80"),
    "no UTF-8": lambda text: text.encode() + b"\xff",
    "a plus sign": lambda text: text.replace('"epoch":', '"epoch":+', 1).encode(),
    "a leading zero": lambda text: text.replace('"epoch":', '"epoch":0', 1).encode(),
    "a fraction of nothing": lambda text: text.replace(',"event"', '.0,"event"', 1).encode(),
    "an exponent of nothing": lambda text: text.replace(',"event"', 'e0,"event"', 1).encode(),
    "a comma behind": lambda text: (text[:-1] + ",}").encode(),
    "a comment": lambda text: f"{text}//".encode(),
    "single quotes": lambda text: text.replace('"', "'").encode(),
    "in a list": lambda text: f"[{text}]".encode(),
    "as text": lambda text: json.dumps(text).encode(),
    "cut": lambda text: text[:-1].encode(),
}  # fmt: skip
"""The same value, well signed, written in other bytes."""


def _dump_as_is(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _put(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda event: event.update({name: value})


def _datum(value: object) -> Callable[[dict[str, Any]], object]:
    return lambda event: event["data"].update({"x": value})


def _deep(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


VALUES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a float": _datum(0.5),
    "a whole float": _datum(1.0),
    "a large float": _datum(1e16),
    "minus zero": _datum(-0.0),
    "NaN": _datum(float("nan")),
    "infinity": _datum(float("-inf")),
    "2^53": _datum(MAX_INT + 1),
    "-2^53": _datum(-MAX_INT - 1),
    "a number of 4,000 digits": _datum(10**4000),
    "a lone surrogate": _datum("\ud800"),
    "surrogates the wrong way round": _datum("\udc00\ud800"),
    "a lone surrogate as detail": _put("detail", "\udfff"),
    "nested nine deep": _datum(_deep(9)),
    "nested ninety deep": _datum(_deep(90)),
    "a key in capitals": lambda event: event["data"].update(X=1),
    "a key that is no ASCII": lambda event: event["data"].update({"\u00fc": 1}),
    "a key that looks like another": lambda event: event["data"].update({"\u0435vent": 1}),
    "an empty key": lambda event: event["data"].update({"": 1}),
    "a secret in data": lambda event: event["data"].update(auth_token="x"),
    "a field too many": _put("extra", 1),
    "a field too few": lambda event: event.pop("detail"),
    "no data": _put("data", None),
    "schema_version 2": _put("schema_version", 2),
    "schema_version true": _put("schema_version", True),
    "schema_version 1.0": _put("schema_version", 1.0),
    "a number as text": lambda event: event.update(seq=str(event["seq"])),
    "number zero": _put("seq", 0),
    "a negative number": _put("seq", -1),
    "a number that is true": _put("seq", True),
    "a number beyond 2^53": _put("seq", MAX_INT + 1),
    "an epoch that is true": _put("epoch", True),
    "an epoch that is a float": lambda event: event.update(epoch=float(event["epoch"])),
    "an event that is none": _put("event", "finished"),
    "an event in capitals": _put("event", "COMPLETED"),
    "no event": _put("event", None),
    "a detail that is too long": _put("detail", "x" * 5000),
    "a detail that is none": _put("detail", None),
    "a timestamp that is none": _put("timestamp", "yesterday"),
    "a timestamp without milliseconds": _put("timestamp", NOW.replace(".000", "")),
    "a timestamp in other digits": _put("timestamp", NOW.replace("2026", "\u0662\u0660\u0662\u0666")),
    "an id with a wildcard": _put("job_id", "+"),
    "an id with a NUL": lambda event: event.update(job_id=event["job_id"] + "\0"),
    "an id with a line break": lambda event: event.update(job_id=event["job_id"] + "\n"),
    "an id in capitals": lambda event: event.update(job_id=event["job_id"].upper()),
    "an id of another script": lambda event: event.update(job_id=event["job_id"].replace("j", "\u0458")),
    "another fleet": _put("fleet", "other"),
    "another kid": _put("kid", "k2"),
    "a long event": _datum("x" * MAX_BYTES),
}  # fmt: skip
"""Values that no event has, well signed over the bytes in which they are sent."""

SIGNATURES: dict[str, Callable[[Claim, bytes, str], object]] = {
    "none": lambda _claim, _unsigned, _mac: None,
    "empty": lambda _claim, _unsigned, _mac: "",
    "in capitals": lambda _claim, _unsigned, mac: mac.upper(),
    "cut": lambda _claim, _unsigned, mac: mac[:-2],
    "longer": lambda _claim, _unsigned, mac: mac + "00",
    "zeros": lambda _claim, _unsigned, _mac: "0" * 64,
    "no ASCII": lambda _claim, _unsigned, mac: "\u0661" + mac[1:],
    "a number": lambda _claim, _unsigned, mac: int(mac[:8], 16),
    "a list": lambda _claim, _unsigned, mac: [mac],
    "of the bytes alone": lambda claim, unsigned, _mac: hmac.new(claim.secret.encode(), unsigned, sha256).hexdigest(),
    "without the topic": lambda claim, unsigned, _mac: hmac.new(
        claim.secret.encode(), DOMAIN + unsigned, sha256
    ).hexdigest(),
    "a plain digest": lambda claim, unsigned, _mac: sha256(
        DOMAIN + claim.topic.encode() + b"\0" + unsigned
    ).hexdigest(),
    "of an empty secret": lambda claim, unsigned, _mac: hmac.new(
        b"", DOMAIN + claim.topic.encode() + b"\0" + unsigned, sha256
    ).hexdigest(),
}
"""What stands in the place of a signature."""


@dataclass
class Forger:
    """Makes strange frames of what it has overheard, and of secrets that it should not have."""

    claims: list[Claim]
    former: list[Claim]
    """Earlier claims of some of these jobs, with their epochs."""
    rng: random.Random

    def frame(self) -> Frame:
        """Make one."""
        family = self.rng.choice((
            self._mutated, self._mutated, self._replayed, self._cross_topic, self._cross_job, self._wrong_epoch,
            self._unsigned, self._unsigned, self._written_otherwise, self._of_values, self._not_due, self._garbage,
        ))  # fmt: skip
        return family(self.rng.choice(self.claims))

    def forged(self) -> Frame:
        """Make one that nobody signed who may sign it, whatever the numbers in it."""
        family = self.rng.choice((
            self._mutated, self._cross_topic, self._cross_job, self._unsigned, self._written_otherwise, self._of_values,
            self._garbage,
        ))  # fmt: skip
        return family(self.rng.choice(self.claims))

    def traps(self) -> list[Frame]:
        """Give one frame for each way of writing, value and signature: none of them is left to the dice."""
        claim = self.claims[0]
        return [
            *(self._written_otherwise(claim, name) for name in OTHERWISE),
            *(self._of_values(claim, name) for name in VALUES),
            *(self._unsigned(claim, name) for name in SIGNATURES),
            Frame("100,000 lists deep", claim.topic, b"[" * 100_000),
            Frame("30,000 objects deep", claim.topic, b'{"a":' * 12_000),
            Frame("4,301 digits", claim.topic, b'{"a":' + b"9" * 4301 + b"}"),
        ]

    def _mutated(self, claim: Claim) -> Frame:
        """Bits turned, bytes lost, doubled or put in."""
        payload = bytearray(self.rng.choice(claim.said) if self.rng.random() < 0.5 else self._fresh(claim))
        place = self.rng.randrange(len(payload))
        kind = self.rng.randrange(5)
        if kind == 0:
            payload[place] ^= 1 << self.rng.randrange(8)
        elif kind == 1:
            del payload[place : place + 1 + self.rng.randrange(9)]
        elif kind == 2:
            payload[place:place] = self.rng.randbytes(1 + self.rng.randrange(9))
        elif kind == 3:
            payload[place:place] = payload[place : place + 20] or b"}"
        else:
            del payload[place:]
        return Frame("mutated", claim.topic, bytes(payload))

    def _fresh(self, claim: Claim) -> bytes:
        return claim.signed(seq=claim.seq + 1 + self.rng.randrange(400))

    def _replayed(self, claim: Claim) -> Frame:
        """What was said before, in any order."""
        return Frame("replayed", claim.topic, self.rng.choice(claim.said))

    def _cross_topic(self, claim: Claim) -> Frame:
        """A good event over a topic that it was not signed for."""
        other = self.rng.choice([one for one in self.claims if one.job != claim.job])
        nobodys = claim.topic.replace(claim.job, f"j-{self.rng.randrange(3000)}")
        topic = self.rng.choice((other.topic, nobodys, nobodys, claim.topic + "/x"))
        return Frame("cross-topic", topic, self._fresh(claim))

    def _cross_job(self, claim: Claim) -> Frame:
        """Whoever has one job's secret speaks for another job."""
        other = self.rng.choice([one for one in self.claims if one.job != claim.job])
        fields: dict[str, Any] = {"secret": other.secret, "seq": claim.seq + 1}
        if self.rng.random() < 0.5:
            fields["topic"] = other.topic
        return Frame("cross-job", claim.topic, claim.signed(self.rng.choice(("progress", "completed")), **fields))

    def _wrong_epoch(self, claim: Claim) -> Frame:
        """A claim that is over, or was never made; the secret is the right one."""
        if self.former and self.rng.random() < 0.5:
            old = self.rng.choice(self.former)
            return Frame("stale epoch", old.topic, old.signed("completed", seq=1 + self.rng.randrange(5000)))
        epoch = claim.epoch + self.rng.choice((1, 2, 1000))
        return Frame("future epoch", claim.topic, claim.signed("completed", epoch=epoch, seq=claim.seq + 1))

    def _unsigned(self, claim: Claim, how: str | None = None) -> Frame:
        """No signature, or something in its place."""
        how = how or self.rng.choice(list(SIGNATURES))
        event = claim.ahead("completed")
        mac = event["data"].pop("hmac_sig")
        shown = SIGNATURES[how](claim, _dump(event).encode(), mac)
        if shown is not None:
            event["data"]["hmac_sig"] = shown
        return Frame(f"signature {how}", claim.topic, _dump(event).encode())

    def _written_otherwise(self, claim: Claim, how: str | None = None) -> Frame:
        how = how or self.rng.choice(list(OTHERWISE))
        payload = OTHERWISE[how](_dump(claim.ahead("completed")))
        return Frame(f"written with {how}", claim.topic, payload)

    def _of_values(self, claim: Claim, how: str | None = None) -> Frame:
        how = how or self.rng.choice(list(VALUES))
        event = claim.ahead("completed")
        del event["data"]["hmac_sig"]
        VALUES[how](event)
        if isinstance(event["data"], dict):
            event["data"]["hmac_sig"] = claim.mac(_dump(event).encode())
        return Frame(f"with {how}", claim.topic, _dump(event).encode())

    def _not_due(self, claim: Claim) -> Frame:
        """Well signed by the holder of the claim, and yet not to be taken."""
        kind = self.rng.randrange(12)
        if kind == 0:
            return Frame("equivocation", claim.topic, claim.signed("error", detail="something else"))
        if kind < 4:
            return Frame("cancelled", claim.topic, claim.signed("cancelled", seq=claim.seq + 1))
        if kind < 8:
            normal = unicodedata.normalize("NFD", claim.said[-1].decode().encode().decode("unicode_escape"))
            return Frame("normalised", claim.topic, normal.encode())
        return Frame("behind the window", claim.topic, claim.signed(seq=2 + self.rng.randrange(FAR - 1100)))

    def _garbage(self, claim: Claim) -> Frame:
        payload = self.rng.choice((
            b"{}", b"[]", b"null", b"0", b'""', b"\xff\xfe", b"\0", b" ", b"true", b"ignore all previous instructions",
            self.rng.randbytes(self.rng.randrange(1, 300)), b"x" * (MAX_BYTES + 1), b'"' * 1000,
        ))  # fmt: skip
        return Frame("garbage", claim.topic, payload)
