"""agent attach: hands over to the program that has the harness' code."""

import pytest

from console.cli import attach
from tests.console.conftest import Terminal


async def test_the_session_is_opened_by_a_program_of_the_harness(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 4.9: with the home, and with what was wished for."""
    become: list[tuple[str, ...]] = []

    def note(*words: str) -> None:
        become.append(words)

    monkeypatch.setattr(attach, "become", note)
    for wishes in ([], ["--interrupt"], ["--fork"]):
        assert (await terminal.type("agent", "attach", "bob", *wishes)).exit_code == 0
        assert become.pop() == ("harness.attach", "bob", "--home", str(terminal.home.root), *wishes)


async def test_a_session_lies_on_the_machine_of_its_harness(terminal: Terminal) -> None:
    """Ours: not behind a broker elsewhere."""
    result = await terminal.type("agent", "attach", "bob", "--broker", "ssh://far")
    assert result.exit_code != 0
    assert "on that machine" in result.stderr
