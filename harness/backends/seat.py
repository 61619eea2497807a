"""What a backend needs to know of the agent whose program it runs."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.backends.environment import environment, read_env_file
from harness.backends.process import GRACE_S
from harness.backends.protocol import NotStartedError
from harness.workspace import Workspace
from wire.settings import AgentSettings

SHORTEST_SECRET = 8
"""Shorter values of an `env_file` are words like `true`: masking them would spoil transcripts."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One agent's place at the harness."""

    workspace: Workspace
    settings: AgentSettings
    mcp_url: str
    mcp_token: str
    """The bearer for the tools: good on our loopback port only, made anew at each start of the harness."""
    grace_s: float = GRACE_S

    @property
    def cwd(self) -> Path:
        """Where the program runs."""
        workdir = self.settings.workdir
        return self.workspace.resolve(workdir) if workdir else self.workspace.state

    def environment(self) -> dict[str, str]:
        """The program's environment; `env_file` is read for every turn: a new secret needs no restart.

        Raises:
            NotStartedError: the file cannot be read.
        """
        added = {**self.settings.env, **self._env_file()}
        return environment(added, mcp_url=self.mcp_url, mcp_token=self.mcp_token)

    def secrets(self) -> tuple[str, ...]:
        """What the program knows and nobody else should read in its transcript."""
        with suppress(NotStartedError):  # then no program runs that could print them
            return (self.mcp_token, *(v for v in self._env_file().values() if len(v) >= SHORTEST_SECRET))
        return (self.mcp_token,)

    def _env_file(self) -> dict[str, str]:
        path = self.settings.env_file
        return read_env_file(self.workspace.resolve(path)) if path else {}
