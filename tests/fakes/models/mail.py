"""Mail as it stands in a prompt or in a tool's result, read by its frames alone.

It shares no code with what renders it, nor with what the product's scripted agent reads it by.
"""

import re
from dataclasses import dataclass

_FRAME = re.compile(
    r'^<mail-(?P<mark>[0-9a-f]+)(?P<said>(?: [a-z_]+="[^"]*")*)>\n(?P<body>.*?)\n</mail-(?P=mark)>$', re.M | re.S
)
_PAIR = re.compile(r' ([a-z_]+)="([^"]*)"')
_WAITING = re.compile(r"^\(\+(\d+) more (?:queued|waiting)", re.M)


@dataclass(frozen=True)
class Letter:
    """One message."""

    id: str
    sender: str
    kind: str
    body: str
    in_reply_to: str | None
    ask: str | None
    """The id to answer under, where somebody waits for an answer."""
    closed: str | None
    """The id of one's own ask that this answers or ends."""
    attempt: int


@dataclass(frozen=True)
class Batch:
    """What a text brings."""

    letters: tuple[Letter, ...]
    waiting: int
    """How many more it says there are."""


def read_mail(text: str) -> Batch:
    """Give the letters in their order."""
    letters = tuple(_letter(dict(_PAIR.findall(found["said"])), found["body"]) for found in _FRAME.finditer(text))
    outside = _WAITING.findall(_FRAME.sub("", text))
    return Batch(letters, sum(int(count) for count in outside))


def _letter(said: dict[str, str], body: str) -> Letter:
    return Letter(
        id=said["id"],
        sender=said["from"],
        kind=said["kind"],
        body=body,
        in_reply_to=said.get("in_reply_to"),
        ask=said.get("ask"),
        closed=said.get("answer_to", said.get("end_of")),
        attempt=int(said.get("attempt", "1")),
    )
