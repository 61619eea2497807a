"""Loading prompts strictly."""

import jinja2
import pytest

from prompts.loader import FOLDER, UnknownPromptError, render, text


def test_an_unknown_prompt_is_an_error() -> None:
    """Ours: also one outside of the folder."""
    for name in ("turns/nosuch.md.j2", "../pyproject.toml", "/etc/hostname"):
        with pytest.raises(UnknownPromptError, match="there is no prompt"):
            render(name)


def test_a_missing_value_is_an_error() -> None:
    """Ours: a prompt never has a gap."""
    with pytest.raises(jinja2.UndefinedError):
        render("turns/finish.md.j2", silent_s=1)


def test_nothing_is_escaped() -> None:
    """Ours: Markdown for a model is not HTML."""
    assert "<b>&" in render("turns/finish.md.j2", silent_s="<b>&", left_s=1)


def test_files_without_variables_are_plain() -> None:
    """Ours: they hold no template syntax, and end without a line break."""
    for path in sorted(FOLDER.rglob("*.md")):
        name = path.relative_to(FOLDER).as_posix()
        assert text(name) == path.read_text(encoding="utf-8").strip("\n")
        assert "{{" not in text(name)
