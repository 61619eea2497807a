"""Make a body safe to show inside a frame: what a reader cannot see is written out.

Control, bidirectional, zero-width and tag characters become `\\u{202e}`. Newline and tab stay. This is for the
reader's eyes; what a message may cause is bounded by policy, not by filters (DESIGN 5, Provenance).
"""

import re

FRAME_BYTES = 160
"""What a frame adds to a body, more or less; a rendered message is its escaped body plus this. For budgets."""

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def escape(text: str) -> str:
    """Write hidden characters out; text without any comes back as it is."""
    return _HIDDEN.sub(lambda match: f"\\u{{{ord(match[0]):x}}}", text)


def rendered_bytes(body: str) -> int:
    """Say how many bytes a body takes in a prompt or tool result, its frame included."""
    plain = body.replace("\n", "").replace("\t", "")
    if plain.isascii() and plain.isprintable():
        return len(body) + FRAME_BYTES
    return len(escape(body).encode()) + FRAME_BYTES
