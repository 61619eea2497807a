"""What a file of ours never says: that it is unfinished, or where it was written."""

import re

from tests.architecture.tree import ROOT, all_files, imports, name_of, product_files, strings

UNFINISHED = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "NotImplemented" + "Error")))
"""Put together from parts, so that this file does not find itself."""

HOME_FOLDER = re.compile(r"(?<![\w.])/(?:home|Users|root)/\w+")


def test_nothing_is_left_to_do() -> None:
    """Ours: an open end is an issue, not a comment; a stub is not shipped."""
    found = [
        f"{name_of(path)}:{number} {line.strip()}"
        for path in product_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if UNFINISHED.search(line)
    ]
    assert not found


def test_no_file_knows_the_home_folder_of_its_author() -> None:
    """Ours: a path of one machine means nothing on another."""
    found = [
        f"{name_of(path)}:{line} {text!r}"
        for path in all_files()
        for line, text in strings(path)
        if HOME_FOLDER.search(text)
    ]
    assert not found


def test_nothing_of_ours_is_imported_under_a_second_name() -> None:
    """Ours: there is no package called queenpost; the root packages have plain names (ADR 0004)."""
    found = [
        f"{name_of(path)}:{line} {name}"
        for path in all_files()
        for line, name in imports(path)
        if name.split(".")[0] == "queenpost"
    ]
    assert not found
    assert not (ROOT / "queenpost").exists()
