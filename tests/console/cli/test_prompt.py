"""prompt: hands over to the program that knows the words."""

import pytest

from console.cli import prompt
from tests.console.cli.test_status import BOB
from tests.console.conftest import Terminal
from wire.agents import AgentsShown
from wire.settings import AgentSettings


@pytest.mark.parametrize(("verb", "more"), [(("show",), []), (("show", "--next"), ["--next"]), (("diff",), ["--diff"])])
async def test_the_preview_gets_home_agent_and_role_prompt(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...], more: list[str]
) -> None:
    """Issue 4.7: as the broker knows the agent, whatever a file says by now."""
    settings = AgentSettings(backend="command", command=["x"], prompt="/srv/bob.md")
    terminal.broker.answers["agents.show"] = lambda _: AgentsShown(
        agent=BOB, settings=settings, token_path="/srv/secrets/agents/bob", token_expected=True
    )
    become: list[tuple[str, ...]] = []

    def note(*words: str) -> None:
        become.append(words)

    monkeypatch.setattr(prompt, "become", note)
    assert (await terminal.type("prompt", verb[0], "bob", *verb[1:])).exit_code == 0
    home, notes = str(terminal.home.root), ("--notes-max-bytes", str(settings.notes_max_bytes))
    assert become == [("harness.preview", "bob", "--home", home, "--role-prompt", "/srv/bob.md", *notes, *more)]
