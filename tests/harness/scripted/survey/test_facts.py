"""What is counted."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.scripted.survey.facts import LONGEST, Facts, add_up, gather
from harness.scripted.survey.languages import language_of

MARK, MARK_2 = "TO" + "DO", "FIX" + "ME"


def facts_of(tmp_path: Path, **files: bytes) -> Facts:
    """Count files of these contents; `__` stands for a dot in a name."""
    names = {name.replace("__", "."): data for name, data in files.items()}
    for name, data in names.items():
        (tmp_path / name).write_bytes(data)
    return gather(tmp_path, sorted(names))


def test_lines_are_counted_per_language(tmp_path: Path) -> None:
    """Ours: blank ones too."""
    facts = facts_of(tmp_path, a__py=b"x\n\n y\n", b__py=b"\n", c__rs=b"fn\n")
    assert {name: (count.files, count.lines, count.blank) for name, count in facts.languages.items()} == {
        "Python": (2, 4, 2), "Rust": (1, 1, 0),
    }  # fmt: skip
    assert facts.longest_files == [(3, "a.py"), (1, "b.py"), (1, "c.rs")]


def test_what_is_left_to_do_is_found_with_its_place(tmp_path: Path) -> None:
    """Ours: file, line, word and text."""
    facts = facts_of(tmp_path, a__py=f"x\n# {MARK}: rest\n  // {MARK_2}(bob) now\n{MARK}S are none\n".encode())
    assert facts.marks == [f"a.py:2 {MARK} rest", f"a.py:3 {MARK_2} (bob) now"]


def test_oddities_are_found(tmp_path: Path) -> None:
    """Ours: conflict markers, missing newline, encoding, empty, binary, twice the same."""
    conflict = b"a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> other\n"
    facts = facts_of(
        tmp_path, a__md=conflict, b__txt=b"no newline", c__txt=b"\xe4\n", d__txt=b"", e__bin=b"\0\1", f__md=conflict,
    )  # fmt: skip
    assert facts.conflicts == ["a.md:2", "a.md:6", "f.md:2", "f.md:6"]
    assert (facts.no_newline, facts.not_utf8, facts.empty, facts.binary) == (["b.txt"], ["c.txt"], ["d.txt"], ["e.bin"])
    assert ["a.md", "f.md"] in facts.digests.values()


def test_a_file_that_is_gone_is_a_fact_too(tmp_path: Path) -> None:
    """Ours: somebody may work in the folder meanwhile."""
    assert gather(tmp_path, ["gone.py"]).unreadable == ["gone.py"]


def test_the_longest_functions_are_found_and_wrong_python_breaks_nothing(tmp_path: Path) -> None:
    """Ours: also what Python cannot parse, and what it warns about."""
    code = b"class A:\n    def f(self):\n        x = '\\d'\n        return x\n\n\nasync def g():\n    pass\n"
    facts = facts_of(tmp_path, a__py=code, b__py=b"def (:\n", c__py=b"(" * 100_000)
    assert facts.longest_functions == [(3, "a.py:2 f"), (2, "a.py:7 g")]


def test_only_the_longest_are_kept(tmp_path: Path) -> None:
    """Ours: an answer stays small."""
    facts = facts_of(tmp_path, **{f"f{n}__py": b"x\n" * n for n in range(1, 30)})
    assert [lines for lines, _ in facts.longest_files] == list(range(29, 29 - LONGEST, -1))


def test_facts_travel_as_json(tmp_path: Path) -> None:
    """Ours: what a worker sends is what the manager reads."""
    facts = facts_of(tmp_path, a__py=f"# {MARK}\ndef f():\n    pass".encode(), b__bin=b"\0")
    assert Facts.from_json(json.loads(json.dumps(facts.as_json()))) == facts
    wrongs: list[dict[str, Any]] = [{}, {"languages": {}}, {"languages": {"Python": {"nosuch": 1}}}]
    for wrong in wrongs:
        with pytest.raises((KeyError, TypeError, ValueError)):
            Facts.from_json(wrong)


def test_parts_add_up(tmp_path: Path) -> None:
    """Ours: the same content in two parts is found twice."""
    (tmp_path / "a.py").write_text("x\n" * 3)
    (tmp_path / "b.py").write_text("x\n" * 3)
    whole = add_up([gather(tmp_path, ["b.py"]), gather(tmp_path, ["a.py"])])
    assert (whole.languages["Python"].files, whole.languages["Python"].lines) == (2, 6)
    assert list(whole.digests.values()) == [["b.py", "a.py"]]
    assert whole.longest_files == [(3, "a.py"), (3, "b.py")]


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "Python"), ("Makefile", "Make"), ("x.TSX", "TypeScript"), ("a.b/c", "Other"),
        (".gitignore", "Git settings"),
    ],
)  # fmt: skip
def test_a_language_is_known_by_its_name(path: str, language: str) -> None:
    """Ours: by suffix or by whole name."""
    assert language_of(path) == language
