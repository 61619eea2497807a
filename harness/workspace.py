"""Where the files of one agent lie, and how a path from its settings is read.

`state/` belongs to the agent, `harness/` to us: nothing here writes into the one or reads from the other.
"""

from dataclasses import dataclass
from pathlib import Path

from wire.home import Home
from wire.private_files import make_private_folder


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders of one agent in the home of its fleet."""

    home: Home
    agent: str
    aside: str = ""
    """Named where it is not the agent's own session that works here, but one beside it: its files of ours lie apart."""

    @property
    def ours(self) -> Path:
        """What belongs to us, below the agent's `harness/` folder."""
        return self.home.agent_harness(self.agent) / self.aside

    @property
    def state(self) -> Path:
        """The agent's own folder: its notes, and where its program runs if no `workdir` is set."""
        return self.home.agent_state(self.agent)

    @property
    def transcripts(self) -> Path:
        """One file a turn, the newest ones only."""
        return self.ours / "transcripts" if self.aside else self.home.agent_transcripts(self.agent)

    @property
    def turn_file(self) -> Path:
        """Says which program runs now; see `harness.turn_file`."""
        return self.ours / "turn.json"

    @property
    def programs(self) -> Path:
        """What we write for the program that plays the model: its list of MCP servers, a configuration of its own."""
        return self.ours / "programs"

    @property
    def prompt_file(self) -> Path:
        """What the agent was told last in the first prompt of a session, without its mail."""
        return self.ours / "prompt.md"

    @property
    def session_file(self) -> Path:
        """Says which session of its own the program goes on with; see `harness.backends.session_file`."""
        return self.ours / "session.json"

    @property
    def outbox_file(self) -> Path:
        """Holds the events of its jobs until the broker has recorded them; see `wire.outbox`."""
        return self.home.agent_harness(self.agent) / "outbox.db"

    @property
    def restart_file(self) -> Path:
        """Holds the number of the operator's wish for a restart that was carried out last."""
        return self.home.agent_harness(self.agent) / "restarted"

    @property
    def session_lock(self) -> Path:
        """Says who may run a program in the agent's session; see `harness.session_lock`."""
        return self.home.agent_harness(self.agent) / "session.lock"

    @property
    def token_file(self) -> Path:
        """What proves to the broker that we may attach this agent."""
        return self.home.agent_secret(self.agent)

    def make(self) -> None:
        """Make the folders; nobody but the owner may enter them.

        Raises:
            QueenpostError: they cannot be made, or are not safe.
        """
        for folder in (self.state, self.home.agent_harness(self.agent), self.ours, self.transcripts, self.programs):
            make_private_folder(folder)

    def resolve(self, path: str) -> Path:
        """Read a path from the settings: those of a file are absolute already, others start at the home."""
        return self.home.root / Path(path).expanduser()
