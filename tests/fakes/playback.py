"""A program that says again what another one had said: `playback.py TRANSCRIPT …`.

Echoes of lines that were put in wait for such a line, and take its name, but for commands like `/compact`, which are
echoed in a form of their own; a line that holds `stderr` goes there. It ends where the transcript has no `result`, as
a program does that could not begin; otherwise it waits for the end of its stdin.
"""

import json
import sys
from pathlib import Path
from typing import Any


def words_of(line: dict[str, Any]) -> str:
    """Give what a user's line says; nothing of any other."""
    return str(line["message"]["content"]) if line["type"] == "user" else "/"


transcript = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
for line in transcript:
    if "stderr" in line:
        sys.stderr.write(line["stderr"] + "\n")
        sys.stderr.flush()
        continue
    if line.get("isReplay") and not words_of(line).startswith("<"):
        said = json.loads(sys.stdin.readline())
        while words_of(said).startswith("/"):
            said = json.loads(sys.stdin.readline())
        line["uuid"] = said["uuid"]
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
results = [line for line in transcript if line.get("type") == "result"]
if not results or "stderr" in transcript[-1]:
    sys.exit(1)
sys.stdin.read()
