"""A file of another program: whole or not at all, with a copy, through links, with its mode."""

import os
from pathlib import Path

import pytest

from console.mcp_install.files import Edit, read
from wire.errors import Conflict, Invalid


def test_a_new_file_has_no_copy(tmp_path: Path) -> None:
    """Spec: folders on the way are made."""
    path = tmp_path / "a" / "b.json"
    edit = Edit(read(path), "new")
    assert edit.changes
    assert edit.write() is None
    assert path.read_text() == "new"
    assert [entry.name for entry in path.parent.iterdir()] == ["b.json"]


def test_each_change_keeps_a_copy_of_what_was_before(tmp_path: Path) -> None:
    """Spec: the first under a plain name, later ones beside it."""
    path = tmp_path / "f.json"
    path.write_text("one")
    path.chmod(0o640)
    first = Edit(read(path), "two").write()
    second = Edit(read(path), "three").write()
    third = Edit(read(path), "four").write()
    assert first == tmp_path / "f.json.queenpost-backup"
    copies = [copy for copy in (first, second, third) if copy is not None]
    assert len({*copies}) == 3
    assert [copy.read_text() for copy in copies] == ["one", "two", "three"]
    assert {entry.stat().st_mode & 0o777 for entry in (path, *copies)} == {0o640}
    assert len(list(tmp_path.iterdir())) == 4


def test_a_link_is_followed_and_stays_one(tmp_path: Path) -> None:
    """Spec: dotfiles are often links."""
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "f.json"
    target.write_text("one")
    link = tmp_path / "f.json"
    link.symlink_to(target)
    backup = Edit(read(link), "two").write()
    assert link.is_symlink()
    assert target.read_text() == "two"
    assert backup == tmp_path / "f.json.queenpost-backup"


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    """Ours."""
    (tmp_path / "f").symlink_to(tmp_path / "gone")
    with pytest.raises(Invalid, match="leads nowhere"):
        read(tmp_path / "f")


def test_what_somebody_else_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """Ours: clients write their own files too."""
    path = tmp_path / "f"
    path.write_text("one")
    edit = Edit(read(path), "ours")
    path.write_text("theirs")
    with pytest.raises(Conflict, match="try again"):
        edit.write()
    assert path.read_text() == "theirs"
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith(".f")]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    """Ours: a file where a folder has to be."""
    (tmp_path / "a").write_text("")
    with pytest.raises(Invalid, match="cannot read"):
        read(tmp_path / "a" / "f")
    edit = Edit(read(tmp_path / "b" / "f"), "x")
    (tmp_path / "b").write_text("")
    with pytest.raises(Invalid, match="left as it is"):
        edit.write()


def test_what_is_no_text_is_refused_with_its_line(tmp_path: Path) -> None:
    """Spec: bad input."""
    path = tmp_path / "f"
    path.write_bytes(b"{}\n\xff\xfe")
    with pytest.raises(Invalid, match=rf"{path}:2: not UTF-8"):
        _ = read(path).text


def test_a_byte_order_mark_stays(tmp_path: Path) -> None:
    """Ours: some editors write one."""
    path = tmp_path / "f"
    path.write_bytes(b"\xef\xbb\xbf{}")
    source = read(path)
    assert source.text == "{}"
    assert not Edit(source, "{}").changes
    Edit(source, '{"a":1}').write()
    assert path.read_bytes() == b'\xef\xbb\xbf{"a":1}'


def test_the_difference_is_shown_as_diff_does(tmp_path: Path) -> None:
    """Spec: `--dry-run`."""
    path = tmp_path / "f"
    path.write_text("a\nb")
    assert Edit(read(path), "a\nc\n").diff().splitlines() == [
        f"--- {path}",
        f"+++ {path}",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "\\ No newline at end of file",
        "+c",
    ]
    assert os.listdir(tmp_path) == ["f"]
