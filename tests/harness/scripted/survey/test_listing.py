"""Which files are surveyed, and who gets them."""

import subprocess
from pathlib import Path

import pytest

from harness.scripted.survey import listing
from harness.scripted.survey.listing import Entry, list_files, share_out


def write(folder: Path, *names: str) -> None:
    """Make files with a line in each."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("line\n")


def names_in(folder: Path) -> list[str]:
    """The files that would be surveyed."""
    return [entry.path for entry in list_files(folder).files]


def test_folders_without_source_are_left_out(tmp_path: Path) -> None:
    """Ours: wherever they lie."""
    write(tmp_path, "a.py", "b/c.py", ".git/x", "b/node_modules/y.js", ".venv/lib/z.py", "__pycache__/w.pyc")
    assert names_in(tmp_path) == ["a.py", "b/c.py"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Ours: neither out of the folder nor in a circle."""
    write(tmp_path, "a.py")
    (tmp_path / "link.py").symlink_to(tmp_path / "a.py")
    (tmp_path / "circle").symlink_to(tmp_path)
    assert names_in(tmp_path) == ["a.py"]


def test_what_git_ignores_stays_out(tmp_path: Path) -> None:
    """Ours: new files that are not ignored are surveyed, deleted ones are not."""
    write(tmp_path, "a.py", "built/out.js", "gone.py")
    (tmp_path / ".gitignore").write_text("built/\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    (tmp_path / "gone.py").unlink()
    write(tmp_path, "new.py", "node_modules/x.js")
    assert names_in(tmp_path) == [".gitignore", "a.py", "new.py"]


def test_huge_files_are_named_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: the report says which."""
    monkeypatch.setattr(listing, "LARGEST_FILE_BYTES", 4)
    write(tmp_path, "a.py")
    (tmp_path / "b.py").write_text("x\n")
    found = list_files(tmp_path)
    assert (found.files, found.huge) == ([Entry("b.py", 2)], [Entry("a.py", 5)])


def test_too_many_files_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: bounded, and said."""
    monkeypatch.setattr(listing, "MOST_FILES", 3)
    write(tmp_path, *(f"{number}.py" for number in range(5)))
    found = list_files(tmp_path)
    assert (len(found.files), found.not_listed) == (3, 2)


def test_shares_are_fair_and_whole() -> None:
    """Ours: no file twice, none forgotten, bytes about even."""
    files = [Entry(f"{number}.py", number * 100) for number in range(50)]
    shares = share_out(files, 3)
    assert sorted(entry.path for share in shares for entry in share) == sorted(entry.path for entry in files)
    weights = [sum(entry.size for entry in share) for share in shares]
    assert max(weights) - min(weights) <= 4900
    assert shares == share_out(reversed(files), 3)


def test_empty_files_are_shared_out_too() -> None:
    """Ours: they are work as well."""
    shares = share_out([Entry(f"{number}.py", 0) for number in range(10)], 2)
    assert [len(share) for share in shares] == [5, 5]
