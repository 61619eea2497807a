"""What a backend needs to know of the agent whose program it runs."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio import to_thread

from harness.backends.environment import environment, read_env_file
from harness.backends.inheriting import take_over
from harness.backends.login import Login, login_of
from harness.backends.process import GRACE_S
from harness.backends.protocol import NotStartedError
from harness.backends.servers import Server, read_servers
from harness.backends.tool_calls import ToolCalls
from harness.warmth import Place, unbounded
from harness.workspace import Workspace
from harness.worktree import Worktree, identity, worktree_of
from wire.logins import KEYS
from wire.settings import AccountSettings, AgentSettings
from wire.settings_own import PARTS

SHORTEST_SECRET = 8
"""Shorter values of an `env_file` are words like `true`: masking them would spoil transcripts."""


def attached_already() -> anyio.Event:
    """Expect nothing: there is nobody who could see a program attach our MCP server."""
    seen = anyio.Event()
    seen.set()
    return seen


@dataclass(frozen=True, slots=True)
class Seat:
    """One agent's place at the harness."""

    workspace: Workspace
    settings: AgentSettings
    mcp_url: str
    mcp_token: str
    """The bearer for the tools: good on our loopback port only, made anew at each start of the harness."""
    account: AccountSettings | None = None
    """What the file says of its account, if it does."""
    grace_s: float = GRACE_S
    attached: Callable[[], anyio.Event] = attached_already
    """Gives an event that the program's next request to our MCP server sets; for programs that do not say it."""
    place: Place = field(default_factory=unbounded)
    """Where its program is counted among those that stay between turns."""
    tools: ToolCalls = field(default_factory=ToolCalls)
    """Which of our tools its program calls; for programs that do not say it."""

    @property
    def cwd(self) -> Path:
        """Where the program runs."""
        tree = self.worktree
        if tree is not None:
            return tree.place
        return self._workdir or self.workspace.state

    @property
    def worktree(self) -> Worktree | None:
        """Its own checkout, where it has one."""
        if not self.settings.worktree or self._workdir is None:
            return None
        return worktree_of(self.workspace.agent, self._workdir, self.workspace.state)

    @property
    def _workdir(self) -> Path | None:
        return self.workspace.resolve(self.settings.workdir) if self.settings.workdir else None

    async def prepare(self) -> None:
        """Make what has to be there before a turn: its checkout, and what it takes over of the user's configuration.

        Raises:
            NotStartedError: it cannot be made; the mail is not to blame.
        """
        tree = self.worktree
        if tree is not None:
            await to_thread.run_sync(tree.prepare)
        if self.settings.backend in PARTS:
            await to_thread.run_sync(self._take_over)

    def _take_over(self) -> None:
        login = self.login()
        if login.folder is None:  # the user's own: all of it is there
            return
        take_over(
            self.settings.backend,
            self.settings.inherit,
            login.folder,
            own=self.own_environment(),
            environment=os.environ,
            shared=login.auth == "own",
        )

    def environment(self) -> dict[str, str]:
        """The program's environment; files are read for every start: a new secret needs no restart.

        Raises:
            NotStartedError: a file cannot be read.
        """
        own, login = self.own_environment(), self.login()
        inherited = dict(os.environ)
        if login.auth != "inherit":  # a key of the user's own would go before
            for name in KEYS.get(self.settings.backend, ()):
                inherited.pop(name, None)
        committer = identity(self.workspace.agent, self.workspace.home.fleet_name)
        added = {**committer, **login.environment(self.settings.backend), **own}
        return environment(added, mcp_url=self.mcp_url, mcp_token=self.mcp_token, inherited=inherited)

    def login(self) -> Login:
        """With which login it runs.

        Raises:
            NotStartedError: `env_file` cannot be read.
        """
        return login_of(
            self.workspace.agent,
            self.settings,
            self.account,
            self.own_environment(),
            private=self.workspace.programs / self.settings.backend,
            shared=self.workspace.home.accounts,
        )

    def servers(self, environment: Mapping[str, str]) -> list[Server]:
        """Give the further MCP servers of its own, which may refer to its environment; read for every start.

        Raises:
            NotStartedError: the file is not as it should be.
        """
        path = self.settings.mcp
        return read_servers(self.workspace.resolve(path) if path else None, environment)

    def own_environment(self) -> dict[str, str]:
        """What the agent's settings add to what we inherited.

        Raises:
            NotStartedError: `env_file` cannot be read.
        """
        return {**self.settings.env, **self._env_file()}

    def secrets(self) -> tuple[str, ...]:
        """What the program knows and nobody else should read in its transcript."""
        with suppress(NotStartedError):  # then no program runs that could print them
            known = {**self._env_file(), **self.login().environment(self.settings.backend)}
            return (self.mcp_token, *(value for value in known.values() if len(value) >= SHORTEST_SECRET))
        return (self.mcp_token,)

    def _env_file(self) -> dict[str, str]:
        path = self.settings.env_file
        return read_env_file(self.workspace.resolve(path)) if path else {}
