"""The documents at the root and in docs/: their form, and that what they point to is there."""

import re
import tomllib
from pathlib import Path

from tests.architecture.tree import ROOT, name_of

LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
MAKE_TARGET = re.compile(r"`make ([a-z][a-z0-9]*)\b")


def test_links_between_documents_lead_somewhere() -> None:
    """Ours: a link to a file of the tree is checked; addresses are not."""
    dead = [
        f"{name_of(document)}: {target}"
        for document in _documents()
        for target in LINK.findall(document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]
    assert not dead


def test_documents_name_targets_that_exist() -> None:
    """Ours: a reader who types what a document says gets what it says."""
    targets = set(re.findall(r"^([a-z][a-z0-9]*):", _text("Makefile"), re.MULTILINE))
    unknown = [
        f"{name_of(document)}: make {target}"
        for document in _documents()
        for target in MAKE_TARGET.findall(document.read_text(encoding="utf-8"))
        if target not in targets
    ]
    assert not unknown


def test_tests_that_documents_name_are_there() -> None:
    """Ours: a promise that names its test can be looked up."""
    gone = [
        f"{name_of(document)}: {path}::{test}"
        for document in _documents()
        for path, test in TEST.findall(document.read_text(encoding="utf-8"))
        if not (ROOT / path).exists() or f"def {test}(" not in _text(path)
    ]
    assert not gone


def test_agents_md_is_short_and_claude_md_points_to_it() -> None:
    """Ours: what is read at every start has to be worth it."""
    assert len(_text("AGENTS.md").splitlines()) < 120
    assert _text("CLAUDE.md") == "@AGENTS.md\n"


def test_the_changelog_has_a_place_for_what_is_next() -> None:
    """Ours: Keep a Changelog; released versions are below it, newest first."""
    assert re.findall(r"^## \[(.+?)\]", _text("CHANGELOG.md"), re.MULTILINE)[0] == "Unreleased"


def test_every_decision_is_listed_and_has_its_four_parts() -> None:
    """Ours: docs/adr/README.md gives the form."""
    listed = _text("docs/adr/README.md")
    for decision in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")):
        assert f"({decision.name})" in listed
        text = decision.read_text(encoding="utf-8")
        assert text.startswith(f"# {decision.name[:4]}: "), decision.name
        for part in ("Context", "Decision", "Measured", "Consequences"):
            assert f"\n## {part}\n" in text, f"{decision.name} has no part {part}"


def test_the_nix_package_has_the_version_and_the_libraries_of_pyproject() -> None:
    """Ours: the second packaging does not drift from the first."""
    project = tomllib.loads(_text("pyproject.toml"))["project"]
    package = _text("nix/package.nix")
    assert f'version = "{project["version"]}";' in package
    block = re.search(r"dependencies = with python3Packages; \[(.*?)\]", package, re.DOTALL)
    assert block is not None
    assert block[1].split() == [re.split(r"[^a-z0-9-]", text)[0] for text in project["dependencies"]]


def _documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")])


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")
