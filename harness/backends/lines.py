"""JSON lines out of bytes as they come: bounded, and whatever is no JSON object is passed over."""

import json
from collections.abc import Iterator
from typing import Any, cast

MOST_BYTES = 32 * 1024 * 1024
"""Of one line; a longer one is not an event that anybody waits for."""


class Lines:
    """One stream, cut into the objects that stand on its lines."""

    def __init__(self, most_bytes: int = MOST_BYTES, prefix: bytes = b"") -> None:
        """`prefix`: what may stand before each object, such as `data:` of server-sent events."""
        self._most_bytes = most_bytes
        self._prefix = prefix
        self._parts: list[bytes] = []
        self._size = 0
        self.passed_over = 0
        """Lines that were no object, or too long."""

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Give the objects that these bytes complete."""
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._add(piece)
            yield from self._take()
        self._add(rest)

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self._most_bytes:
            self._parts.append(piece)
        else:
            self._parts.clear()  # its rest is counted, not kept

    def _take(self) -> Iterator[dict[str, Any]]:
        line, too_long = b"".join(self._parts).removeprefix(self._prefix).strip(), self._size > self._most_bytes
        self._parts.clear()
        self._size = 0
        if not line and not too_long:
            return
        try:
            found: object = None if too_long else json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            yield cast("dict[str, Any]", found)
        else:
            self.passed_over += 1
