"""What the demo sets up: a temporary home, settings for a manager and two workers, and the job."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from wire.errors import Invalid
from wire.home import CONFIG_NAME, Home

MANAGER = "manager"
VICTIM = "worker-1"
"""The one whose program is killed: it is given work whenever there is any."""
OTHER = "worker-2"

SETTINGS = f"""\
# The fleet of `queenpost demo`: scripted agents, which need neither key nor model.

[fleet]
name = "demo"

[agents.{MANAGER}]
role = "manager"
backend = "scripted"
script = "survey-manager"
args = ["{VICTIM}", "{OTHER}"]

[agents.{VICTIM}]
backend = "scripted"
script = "survey-worker"
args = ["--pause-once"]  # stops in the middle of its first job, to be killed there

[agents.{OTHER}]
backend = "scripted"
script = "survey-worker"
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo plays."""

    home: Home
    folder: Path
    """The real folder that is surveyed. It is only read."""

    @property
    def request(self) -> str:
        """What the operator asks of the manager."""
        return f"Survey the folder {self.folder}"


def set_stage(folder: Path) -> Stage:
    """Make the home, for its owner only.

    Raises:
        Invalid: there is nothing to survey.
    """
    folder = folder.resolve()
    if not _holds_files(folder):
        raise Invalid(f"{folder} holds no files, so there is nothing to do; name another folder with --path")
    home = Home(Path(tempfile.mkdtemp(prefix="queenpost-demo-")))
    home.create()
    (home.root / CONFIG_NAME).write_text(SETTINGS, encoding="utf-8")
    return Stage(home, folder)


def _holds_files(folder: Path) -> bool:
    return any(files for _, _, files in os.walk(folder))
