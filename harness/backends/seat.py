"""What a backend needs to know of the agent whose program it runs."""

from dataclasses import dataclass
from pathlib import Path

from harness.backends.environment import environment, read_env_file
from harness.backends.process import GRACE_S
from harness.workspace import Workspace
from wire.settings import AgentSettings


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
        secrets = read_env_file(self.workspace.resolve(self.settings.env_file)) if self.settings.env_file else {}
        return environment({**self.settings.env, **secrets}, mcp_url=self.mcp_url, mcp_token=self.mcp_token)
