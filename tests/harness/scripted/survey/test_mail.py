"""Letters of a survey."""

from pathlib import Path

import pytest

from harness.scripted.survey.mail import LONGEST_BODY_BYTES, find_folder, pack, unpack


def test_short_data_is_the_body_itself(tmp_path: Path) -> None:
    """Ours: ASCII, since what cannot be seen is escaped on its way to a reader."""
    data = {"survey": "m1", "paths": ["zero\u200bwidth.py"]}
    body = pack(data, tmp_path / "spill.json")
    assert body.isascii()
    assert unpack(body) == data
    assert not (tmp_path / "spill.json").exists()


def test_long_data_goes_through_a_file(tmp_path: Path) -> None:
    """Ours: the folder is made, the file replaced whole."""
    data = {"survey": "m1", "paths": ["x" * 1000] * 100}
    body = pack(data, tmp_path / "new" / "spill.json")
    assert len(body) < LONGEST_BODY_BYTES
    assert unpack(body) == data


@pytest.mark.parametrize("body", ["hello", "[1]", "{}", '"survey"', "{", "1"])
def test_other_text_is_none_of_ours(body: str) -> None:
    """Ours: people write too."""
    assert unpack(body) is None


def test_a_folder_is_found_in_a_sentence(tmp_path: Path) -> None:
    """Ours: quotes, spaces, a full stop behind it, several lines."""
    folder = tmp_path / "my project (new)"
    folder.mkdir()
    for text in (
        str(folder),
        f"Survey the folder {folder}.",
        f'please look at "{folder}", thanks',
        f"Not /no/such thing.\nBut: {folder} please\nbye",
        f"survey:{folder}/",
    ):
        assert find_folder(text) == folder, text


@pytest.mark.parametrize("text", ["", "survey this", "/no/such/folder", "a/b", "relative/path here"])
def test_no_folder_is_none(text: str) -> None:
    """Ours: the manager then says what to write."""
    assert find_folder(text) is None
