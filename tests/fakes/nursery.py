"""What a nursery says: a program that starts ours by fork and kills it."""

import json
from contextlib import suppress
from typing import Any

from anyio.streams.buffered import BufferedByteReceiveStream

LONGEST = 64 * 1024


async def next_event(lines: BufferedByteReceiveStream) -> dict[str, Any]:
    """Give its next event, a line of JSON; what a kill has left of its child's own line is none."""
    while True:
        line = await lines.receive_until(b"\n", LONGEST)
        with suppress(ValueError):
            return json.loads(line)
