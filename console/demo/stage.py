"""Where the demo plays: a temporary home with the settings of its cast, a real folder, and the job."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from console.demo.cast import Cast
from wire.errors import Invalid
from wire.home import Home


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo plays."""

    home: Home
    folder: Path
    """The real folder that is surveyed. It is only read."""
    cast: Cast

    @property
    def request(self) -> str:
        """What the operator asks of the manager."""
        return self.cast.request(self.folder)


def set_stage(folder: Path, cast: Cast | None = None) -> Stage:
    """Make the home, for its owner only.

    Raises:
        Invalid: there is nothing to survey.
    """
    folder = folder.resolve()
    if not _holds_files(folder):
        raise Invalid(f"{folder} holds no files, so there is nothing to do; name another folder with --path")
    stage = Stage(Home(Path(tempfile.mkdtemp(prefix="queenpost-demo-"))), folder, cast or Cast())
    stage.home.create()
    for name, text in stage.cast.files(folder).items():
        (stage.home.root / name).write_text(text, encoding="utf-8")
    return stage


def _holds_files(folder: Path) -> bool:
    return any(files for _, _, files in os.walk(folder))
