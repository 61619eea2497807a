"""A terminal of a user who has one real agent program on the PATH, with a model of our own behind it."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from tests.e2e.programs import Program
from tests.e2e.surroundings import surround
from tests.fakes.models.conversation import Conversation

CODE = "from console.cli import main; main(prog_name='queenpost')"
LONGEST_S = 150
STOP_S = 30


@dataclass(frozen=True)
class User:
    """Types commands in a folder."""

    folder: Path
    env: Mapping[str, str]

    def argv(self, *words: str) -> list[str]:
        """Give a command line."""
        return [sys.executable, "-P", "-c", CODE, *words]

    async def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; one that takes too long is interrupted, and leaves nothing behind."""
        return await anyio.to_thread.run_sync(self._run, words)

    def _run(self, words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        argv = self.argv(*words)
        with subprocess.Popen(
            argv, cwd=self.folder, env=dict(self.env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        ) as program:  # fmt: skip
            try:
                stdout, stderr = program.communicate(timeout=LONGEST_S)
            except subprocess.TimeoutExpired:
                program.send_signal(signal.SIGINT)
                stdout, stderr = program.communicate(timeout=STOP_S)
        return subprocess.CompletedProcess(argv, program.returncode, stdout, stderr)


def user_with(program: Program, home: Path, talk: Conversation, **more: str) -> User:
    """Put a program on a PATH by its usual name, and nothing of the kind beside it."""
    tools, folder = home / "bin", home / "project"
    for made in (tools, folder):
        made.mkdir(exist_ok=True)
    wrapper = tools / program.name
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.join(program.command)} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    around = surround(program.name, home, talk)
    path = os.pathsep.join([str(tools), "/usr/local/bin", "/usr/bin", "/bin"])
    return User(folder, {**around, "PATH": path, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more})
