"""Delegates, MCP servers and inherited parts of an agent: what goes together, said with its line."""

from pathlib import Path

import pytest

from wire.errors import Invalid
from wire.settings_file import read_settings

FLEET = '[agents.boss]\nrole = "manager"\n[agents.bob]\n[agents.alice]\n'
CLAUDE = f'{FLEET}backend = "claude"\n'


def complaint(tmp_path: Path, text: str) -> str:
    """Read a file that is refused; gives why."""
    file = tmp_path / "queenpost.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Invalid) as refused:
        read_settings(file, home=tmp_path)
    return refused.value.message.replace(f"{file}:", "")


def test_all_of_it_is_read_and_paths_start_at_the_file(tmp_path: Path) -> None:
    """[H26] DESIGN 10: the delegate by name, or by its role."""
    file = tmp_path / "queenpost.toml"
    own = 'delegate = { manager = ["Bash(npm test*)"], bob = ["Read"] }\nmcp = "a.json"\ninherit = ["skills"]\n'
    file.write_text(CLAUDE + own, encoding="utf-8")
    alice = read_settings(file, home=tmp_path).agents["alice"]
    assert alice.delegate == {"manager": ["Bash(npm test*)"], "bob": ["Read"]}
    assert (alice.mcp, alice.inherit) == (str(tmp_path / "a.json"), ["skills"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('delegate = { zoe = ["Read"] }', "6: agents.alice.delegate names 'zoe', which no [agents.…] table declares"),
        ('delegate = { alice = ["Read"] }', "6: agents.alice.delegate names 'alice': nobody decides for itself"),
        (
            'delegate = { operator = ["Read"] }',
            "6: agents.alice.delegate names 'operator', who is asked anyway; take it out",
        ),
        (
            'delegate = { bob = ["Bash("] }',
            (
                "6: agents.alice.delegate.bob[0]: 'Bash(' is no rule; "
                'write "Tool" or "Tool(text with *)", for example "Bash(npm test*)"'
            ),
        ),
        ('delegate = { bob = "Read" }', '6: agents.alice.delegate.bob: has to be a list in [brackets], not "Read"'),
        ('permissions = "deny"\ndelegate = { bob = ["Read"] }', "4: agents.alice: permissions = 'deny' asks nobody"),
        (
            'inherit = ["settings"]',
            (
                '6: agents.alice.inherit[0]: "settings" is not possible; '
                "use 'skills', 'commands', 'agents', 'claude_md', 'agents_md' or 'gemini_md'"
            ),
        ),
        (
            'inherit = ["skills", "agents_md"]',
            "4: agents.alice: inherit: claude knows no 'agents_md'; it knows skills, commands, agents, claude_md",
        ),
    ],
)
def test_what_cannot_be_is_said_with_its_line(tmp_path: Path, line: str, words: str) -> None:
    """DESIGN 10: an error with file and line, which says what is known."""
    assert complaint(tmp_path, CLAUDE + line).startswith(words)


def test_a_manager_cannot_be_its_own_manager(tmp_path: Path) -> None:
    """Ours: not by its role either."""
    text = '[agents.boss]\nrole = "manager"\nbackend = "claude"\ndelegate = { manager = ["Read"] }\n'
    assert complaint(tmp_path, text) == "4: agents.boss.delegate names 'manager': nobody decides for itself"
    text = '[agents.alice]\nbackend = "claude"\ndelegate = { manager = ["Read"] }\n'
    assert "'manager', which no [agents.…] table declares" in complaint(tmp_path, text)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('delegate = { bob = ["Read"] }', "asks for no permission; take delegate out"),
        ('mcp = "a.json"', "takes no MCP servers from here; take mcp out"),
        ('inherit = ["skills"]', "has no configuration folder; take inherit out"),
    ],
)
def test_a_backend_without_the_notion_says_so(tmp_path: Path, line: str, words: str) -> None:
    """DESIGN 10: by name, instead of doing nothing."""
    text = f'{FLEET}backend = "command"\ncommand = ["x"]\n{line}\n'
    assert complaint(tmp_path, text) == f"4: agents.alice: backend 'command' {words}"
