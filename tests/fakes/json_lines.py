"""Files of JSON lines that another program may be writing in this moment."""

import json
from pathlib import Path
from typing import Any


def lines_in(path: Path) -> list[Any]:
    """Give what stands in a file, of which there may be none; a line that is not whole is not there yet."""
    text = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in text.split(b"\n")[:-1]]
