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

    @property
    def state(self) -> Path:
        """The agent's own folder: its notes, and where its program runs if no `workdir` is set."""
        return self.home.agent_state(self.agent)

    @property
    def transcripts(self) -> Path:
        """One file a turn, the newest ones only."""
        return self.home.agent_transcripts(self.agent)

    @property
    def turn_file(self) -> Path:
        """Says which program runs now; see `harness.turn_file`."""
        return self.home.agent_harness(self.agent) / "turn.json"

    @property
    def programs(self) -> Path:
        """What we write for the program that plays the model: its list of MCP servers, a configuration of its own."""
        return self.home.agent_harness(self.agent) / "programs"

    @property
    def prompt_file(self) -> Path:
        """What the agent was told last in the first prompt of a session, without its mail."""
        return self.home.agent_harness(self.agent) / "prompt.md"

    @property
    def session_file(self) -> Path:
        """Says which session of its own the program goes on with; see `harness.backends.session_file`."""
        return self.home.agent_harness(self.agent) / "session.json"

    @property
    def token_file(self) -> Path:
        """What proves to the broker that we may attach this agent."""
        return self.home.agent_secret(self.agent)

    def make(self) -> None:
        """Make the folders; nobody but the owner may enter them.

        Raises:
            QueenpostError: they cannot be made, or are not safe.
        """
        for folder in (self.state, self.home.agent_harness(self.agent), self.transcripts, self.programs):
            make_private_folder(folder)

    def resolve(self, path: str) -> Path:
        """Read a path from the settings: those of a file are absolute already, others start at the home."""
        return self.home.root / Path(path).expanduser()
