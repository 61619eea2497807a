"""How manager and workers of a survey write to each other: JSON, or the path of a file if it is too long."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from harness.scripted.notes import read_json, write_json

LONGEST_BODY_BYTES = 16 * 1024
"""Well below what a message may hold, frame and all."""

_START_OF_PATH = re.compile(r"(?:^|[\s\"'`(:])(?=[/~])", re.MULTILINE)
_BEHIND_PATH = "\"'`.,;:!?)"


def pack(data: dict[str, Any], spill: Path) -> str:
    """Write data as a body; what is too long goes into the file `spill`, and the body names it."""
    body = json.dumps(data, separators=(",", ":"))  # ASCII: nothing in it is escaped on its way to a reader
    if len(body) <= LONGEST_BODY_BYTES:
        return body
    write_json(spill, data)
    return json.dumps({"survey": data["survey"], "file": str(spill)})


def unpack(body: str) -> dict[str, Any] | None:
    """Read a body of ours; None for any other text. A file that is named but cannot be read is an OSError."""
    try:
        data: Any = json.loads(body)
    except ValueError:
        return None
    if not isinstance(data, dict) or "survey" not in data:
        return None
    ours = cast("dict[str, Any]", data)
    return read_json(Path(str(ours["file"]))) if "file" in ours else ours


def find_folder(text: str) -> Path | None:
    """Find the folder that a person's request names: an absolute path somewhere in it, spaces allowed."""
    for start in _START_OF_PATH.finditer(text):
        line = text[start.end() :].split("\n", 1)[0]
        for words in range(len(line.split(" ")), 0, -1):
            for candidate in _ends(" ".join(line.split(" ")[:words])):
                path = Path(candidate).expanduser()
                if path.is_absolute() and path.is_dir():
                    return path
    return None


def _ends(text: str) -> Iterator[str]:
    """Give the text, and then without one character of punctuation after the other at its end."""
    yield text
    while text and text[-1] in _BEHIND_PATH:
        text = text[:-1]
        yield text
