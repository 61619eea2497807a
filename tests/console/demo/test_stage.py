"""What the demo sets up."""

import shutil
from pathlib import Path

import pytest

from console.demo.cast import MANAGER, OTHER, VICTIM
from console.demo.stage import set_stage
from wire.errors import Invalid
from wire.settings_file import read_settings


def test_the_home_is_private_and_its_settings_are_valid(tmp_path: Path) -> None:
    """Issue 2, item 9: a manager and two workers, one of which pauses in the middle."""
    (tmp_path / "file").write_text("x")
    stage = set_stage(tmp_path)
    try:
        assert stage.home.root.stat().st_mode & 0o777 == 0o700
        settings = read_settings(stage.home.root / "queenpost.toml", home=stage.home.root)
        assert list(settings.agents) == [MANAGER, VICTIM, OTHER]
        assert settings.agents[VICTIM].args == ["--pause-once"]
        assert stage.request == f"Survey the folder {tmp_path.resolve()}"
    finally:
        shutil.rmtree(stage.home.root)


def test_a_folder_without_files_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    """Ours: nobody could be killed in the middle of nothing."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(Invalid, match="--path"):
        set_stage(tmp_path)
