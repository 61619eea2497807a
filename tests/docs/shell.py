"""A person at a shell who types what a document says, block by block, and looks at each exit code."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w*)\s*$")
FOLLOWS = re.compile(r"\blogs\b.*\s-f\b|\bqueenpost up$|\bjob watch\b")
"""Commands that go on until somebody ends them; ended after a moment, as with Ctrl-C."""
MARK = "--- exit "


@dataclass(frozen=True)
class Command:
    """One line of a `sh` block, with the lines that it is continued on."""

    line: int
    text: str
    exits: int
    """What the document says that it exits with: `# exits 1` at its end, else 0."""


@dataclass(frozen=True)
class Typed:
    """What came of a command."""

    command: Command
    code: int
    output: str


def commands_of(text: str) -> Iterator[Command]:
    """Give the commands of all `sh` blocks in their order; comments are left out."""
    language: str | None = None
    held = ""
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line.strip())
        if fence is not None:
            language = (fence[1] or "text") if language is None else None
        elif language == "sh" and line.strip() and not line.lstrip().startswith("#"):
            held += line.strip()
            if held.endswith("\\"):
                held = held[:-1]
                continue
            said = re.search(r"\s# exits (\d+)$", held)
            yield Command(number, re.sub(r"\s+# .*$", "", held), int(said[1]) if said else 0)
            held = ""


class Shell:
    """One bash for a whole document: it keeps folder and variables from command to command."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env={"PATH": path, "LC_ALL": "C.UTF-8", "COLUMNS": "160", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def type(self, command: Command, text: str) -> Typed:
        """Run one command to its end; nothing can be typed into it."""
        stdin, stdout = self._bash.stdin, self._bash.stdout
        assert stdin is not None
        assert stdout is not None
        whole = f"timeout --signal=INT 3 {text}" if FOLLOWS.search(text) else text
        stdin.write(f"{{ {whole}\n}} < /dev/null; typed=$?; echo; echo '{MARK}'$typed\n")
        stdin.flush()
        lines: list[str] = []
        for line in stdout:
            if line.startswith(MARK):
                code = int(line.removeprefix(MARK))
                ended_by_us = FOLLOWS.search(text) is not None and code == 124
                return Typed(command, 0 if ended_by_us else code, "".join(lines))
            lines.append(line)
        raise AssertionError(f"the shell itself ended at line {command.line}: {text}\n{''.join(lines)}")

    def close(self) -> None:
        """End the shell."""
        if self._bash.stdin is not None:
            self._bash.stdin.close()
        self._bash.wait(10)
        if self._bash.stdout is not None:
            self._bash.stdout.close()
