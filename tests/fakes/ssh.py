"""A program in the place of ssh: it runs the far command here, as the shell of the other machine would.

It is given the command line of ssh and notes it, so that a test sees what would have been visible to everybody.
"""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from wire.ssh import SSH_VARIABLE

STAND_IN = """\
#!/bin/sh
printf '%s\\n' "$*" >> {log}
while [ "$1" != "--" ]; do shift; done
PATH={programs}:$PATH exec sh -c "$3"
"""
QUEENPOST = """\
#!/bin/sh
echo $$ > {pid}
exec {python} -P -c 'from console.cli import main; main()' "$@"
"""


class StandIn:
    """Lies in a folder. `env` is what a program under test has to be given."""

    def __init__(self, folder: Path, *, far_end: str = QUEENPOST) -> None:
        self._log = folder / "ssh.log"
        programs = folder / "far-bin"
        programs.mkdir()
        self._program = _program(folder / "stand-in-for-ssh", STAND_IN, log=self._log, programs=programs)
        self._pid = folder / "far-pid"
        _program(programs / "queenpost", far_end, python=sys.executable, pid=self._pid)

    @property
    def env(self) -> Mapping[str, str]:
        """Name it in place of ssh."""
        return {SSH_VARIABLE: shlex.quote(str(self._program))}

    @property
    def far_pid(self) -> int:
        """Give the process of the `queenpost link` that was started last."""
        return int(self._pid.read_text(encoding="ascii"))

    @property
    def command_lines(self) -> list[str]:
        """Give what it was called with so far."""
        return self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []


def _program(path: Path, text: str, **places: Path | str) -> Path:
    for name, place in places.items():
        text = text.replace(f"{{{name}}}", shlex.quote(str(place)))
    path.write_text(text, encoding="utf-8")
    path.chmod(0o700)
    return path
