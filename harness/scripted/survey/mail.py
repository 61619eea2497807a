"""How manager and workers of a survey write to each other: JSON, or the path of a file if it is too long."""

import json
import re
from pathlib import Path
from typing import Any, cast

from harness.scripted.notes import read_json, write_json

LONGEST_BODY_BYTES = 16 * 1024
"""Well below what a message may hold, frame and all."""

_START_OF_PATH = re.compile(r"(?:^|[\s\"'`(:])(?=[/~])", re.MULTILINE)
_AROUND_PATH = "\"'`.,;:!?) \t"


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
        for end in [len(line), *(at.start() for at in reversed(list(re.finditer(r"\s", line))))]:
            path = Path(line[:end].strip(_AROUND_PATH)).expanduser()
            if path.is_absolute() and path.is_dir():
                return path
    return None
