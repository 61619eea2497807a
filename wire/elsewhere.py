"""What is kept here for a fleet on another machine: claims of its jobs, and events that wait to be recorded.

There is no home of it here. Each address of a broker has a folder of its own, in that of the user (`wire.home`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wire.home import Home, readable, state_folder
from wire.private_files import make_private_folder
from wire.topics import check_job_id


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The folder of one address. Making one touches nothing; the folder need not exist."""

    root: Path

    def claim(self, job: str) -> Path:
        """See `Home.claim`."""
        return self.root / "claims" / check_job_id(job)

    def publisher(self, job: str) -> Path:
        """See `Home.publisher`."""
        return Home(self.root).publisher(job)

    def outbox(self, agent: str) -> Path:
        """Give the outbox of an agent that is attended from this machine."""
        return Home(self.root).agent_harness(agent).parent / "outbox.db"

    def create(self) -> None:
        """Make the folder and those above it, for their owner only.

        Raises:
            Denied: it is another user's, or others may write to it. Invalid: it cannot be made.
        """
        for folder in (self.root.parent.parent, self.root.parent, self.root):
            make_private_folder(folder)


def elsewhere(address: str, env: Mapping[str, str], folder: Path) -> Elsewhere:
    """Give the folder for the fleet at an address, as `wire.dialing` writes it: one for each way of writing it.

    Raises:
        Invalid: the user has no folder for it.
    """
    name = f"{readable(address)}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"
    return Elsewhere(state_folder(env, folder) / "elsewhere" / name)
