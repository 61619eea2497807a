"""Reading mail out of a prompt or a tool result, as a model would: by its frames, never by what is in them.

The boundary is random and drawn after the mail was leased, so no body can hold it; the first frame tells it.
It deliberately shares no code with the renderer: a test holds the two together.
"""

import re
from dataclasses import dataclass

_FIRST = re.compile(r"^<mail-([0-9a-f]{8,64})[ >]", re.MULTILINE)
_PAIR = re.compile(r' ([a-z_]+)="([^"]*)"')
_WAITING = re.compile(r"^\(\+(\d+) more ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message as the agent got it."""

    id: str
    sender: str
    kind: str
    body: str
    in_reply_to: str | None = None
    attempt: int = 1
    broadcast: bool = False
    job: str | None = None
    """The job that it carries: events are published on that."""


@dataclass(frozen=True, slots=True)
class Handed:
    """What one prompt or one tool result brought."""

    letters: list[Letter]
    waiting: int
    """How many more the text says are queued."""


def read_frames(text: str) -> Handed:
    """Give the messages in their order; text without a frame brings none."""
    first = _FIRST.search(text)
    if first is None:
        return Handed([], _waiting(text))
    mark = first[1]
    frame = re.compile(rf'^<mail-{mark}((?: [a-z_]+="[^"]*")*)>\n(.*?)\n</mail-{mark}>$', re.MULTILINE | re.DOTALL)
    letters = [_letter(dict(_PAIR.findall(found[1])), found[2]) for found in frame.finditer(text)]
    return Handed(letters, _waiting(text[text.rfind(f"</mail-{mark}>") :]))


def _letter(attributes: dict[str, str], body: str) -> Letter:
    return Letter(
        id=attributes.get("id", ""),
        sender=attributes.get("from", ""),
        kind=attributes.get("kind", ""),
        body=body,
        in_reply_to=attributes.get("in_reply_to"),
        attempt=int(attributes.get("attempt", "1")),
        broadcast="broadcast" in attributes.get("note", ""),
        job=attributes.get("job"),
    )


def _waiting(text: str) -> int:
    found = _WAITING.search(text)
    return int(found[1]) if found else 0
