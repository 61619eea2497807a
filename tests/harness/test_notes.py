"""Notes as files: replaced by a shorter text or left as they were, and the agent is told."""

import os
from pathlib import Path

import pytest

from harness.notes import KEPT, LONGEST_BYTES, Notes, NotesRefusedError
from harness.workspace import Workspace
from wire.home import Home

LONG = "# Notes\n" + "what I did\n" * 100


@pytest.fixture
def notes(home: Home) -> Notes:
    """Alice's notes, of which 500 bytes are too many."""
    workspace = Workspace(home, "alice")
    workspace.make()
    made = Notes(workspace, 500)
    made.path.write_text(LONG)
    made.path.chmod(0o640)
    return made


def former(notes: Notes) -> list[str]:
    """Give the texts that were kept, oldest first."""
    return [path.read_text() for path in sorted(notes.folder.glob("*Z.md"))]


def test_notes_that_are_too_large_are_known(notes: Notes) -> None:
    """[H33]: by their size; a bound of 0 means never, and no notes are none."""
    assert notes.are_too_large
    assert not Notes(Workspace(Home(notes.path.parents[3]), "alice"), 0).are_too_large
    notes.path.unlink()
    assert not notes.are_too_large


def test_the_shorter_text_takes_their_place(notes: Notes) -> None:
    """[H33]: at once, with the mode of the file; what stood there is kept with the difference."""
    news = notes.replace(notes.read(), "# Notes\nshort", 1_000)
    assert notes.path.read_text() == "# Notes\nshort\n"
    assert notes.path.stat().st_mode & 0o777 == 0o640
    assert (news.before_bytes, news.after_bytes) == (len(LONG), 14)
    assert former(notes) == [LONG]
    (diff,) = notes.folder.glob("*Z.diff")
    assert "-what I did\n" in diff.read_text()
    assert "+short" in diff.read_text()
    assert not (notes.folder / "new.md").exists()
    assert [path.name for path in notes.path.parent.iterdir()] == ["notes.md"]


@pytest.mark.parametrize(
    ("text", "why"), [("", "empty"), (" \n\t", "empty"), (LONG, "shorter"), (LONG + "x", "shorter")]
)
def test_an_empty_or_larger_text_is_refused(notes: Notes, text: str, why: str) -> None:
    """[H33]: nothing is changed, and nothing kept."""
    with pytest.raises(NotesRefusedError, match=why):
        notes.replace(notes.read(), text, 1_000)
    assert notes.path.read_text() == LONG
    assert former(notes) == []


def test_notes_that_the_agent_wrote_meanwhile_stay(notes: Notes) -> None:
    """[H33]: they belong to the agent, which may write them at any moment."""
    before = notes.read()
    with notes.path.open("a") as file:
        file.write("one more thing\n")
    with pytest.raises(NotesRefusedError, match="meanwhile"):
        notes.replace(before, "short", 1_000)
    assert notes.path.read_text() == LONG + "one more thing\n"
    assert not (notes.folder / "new.md").exists()
    notes.path.unlink()
    with pytest.raises(NotesRefusedError):
        notes.replace(before, "short", 1_000)
    assert not notes.path.exists()


def test_what_is_not_the_agents_own_text_is_left_alone(notes: Notes, tmp_path: Path) -> None:
    """[H33]: a link, a pipe, bytes that are no text, what no model would take."""
    notes.path.write_bytes(b"\xff" * 600)
    with pytest.raises(NotesRefusedError, match="cannot be read"):
        notes.read()
    notes.path.write_bytes(b"x" * (LONGEST_BYTES + 1))
    with pytest.raises(NotesRefusedError, match="no model gets that"):
        notes.read()
    notes.path.unlink()
    os.mkfifo(notes.path)
    assert notes.size == 0
    with pytest.raises(NotesRefusedError, match="no ordinary file"):
        notes.read()
    notes.path.unlink()
    (tmp_path / "elsewhere.md").write_text(LONG)
    notes.path.symlink_to(tmp_path / "elsewhere.md")
    assert notes.size == 0
    with pytest.raises(NotesRefusedError, match="cannot be read"):
        notes.read()


def test_a_disk_that_refuses_leaves_them_as_they_were(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    """[H33]: the former text lies there before anything is replaced."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = notes.read()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(OSError, match="No space"):
            notes.replace(before, "short", 1_000)
    assert notes.path.read_text() == LONG


def test_the_newest_former_texts_stay(notes: Notes) -> None:
    """[H33] Ours: everything is bounded."""
    for number in range(KEPT + 3):
        notes.path.write_text(f"{number} {LONG}")
        notes.replace(notes.read(), "short", number * 1_000)
    assert [text.split()[0] for text in former(notes)] == [str(number) for number in range(3, KEPT + 3)]
    assert len(list(notes.folder.glob("*.diff"))) == KEPT


def test_the_agent_is_told_until_it_has_finished_a_turn(notes: Notes) -> None:
    """[H33]: news outlive a harness; a nudge is repeated as long as they are too large."""
    (nudge,) = notes.hints()
    assert "has grown to 1.1 KiB; the most is 0.5 KiB" in nudge
    notes.heard()
    assert notes.hints() == [nudge]
    notes.replace(notes.read(), "short", 1_000)
    again = Notes(Workspace(Home(notes.path.parents[3]), "alice"), 500)
    again.heard()
    (news,) = again.hints()
    assert "was shortened from 1.1 to 0 KiB" in news
    assert again.hints() == [news]
    again.heard()
    assert again.hints() == []
