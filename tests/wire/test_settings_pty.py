"""The table of a program at a terminal: what it may hold, and how a person is told what is wrong with it."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT
from tests.e2e.pty_cases import ARGS, TABLE
from tests.wire.test_settings_file import HOME, complaints
from wire.settings import AgentSettings, Settings
from wire.settings_file import read_settings
from wire.settings_pty import PtySettings

MISSING = "is no regular expression: missing ), unterminated subpattern at position 0"
AGENT = '[agents.alice]\nbackend = "pty"\ncommand = ["dialog"]\n[agents.alice.pty]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the settings of a test lie."""
    return tmp_path / "queenpost.toml"


def test_a_prompt_is_all_that_has_to_be_said(file: Path) -> None:
    """Ours: the rest has defaults that are right for a shell."""
    file.write_text(AGENT + "ready = '^> \\Z'\n", encoding="utf-8")
    pty = read_settings(file, home=HOME).agents["alice"].pty
    assert pty is not None
    assert pty == PtySettings(ready="^> \\Z")
    assert (pty.submit, pty.interrupt, pty.busy, pty.answers) == ("\r", "\x03", None, [])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            AGENT + "ready = '(> '\n",
            f":5: agents.alice.pty.ready: {MISSING}; write it in 'single quotes', where \\ is a \\",
        ),
        (AGENT + "ready = '> '\nbussy = '*'\n", ":6: agents.alice.pty.bussy: unknown key; did you mean 'busy'?"),
        (
            AGENT + "ready = '> '\nanswers = [\n{ screen = 'sure', sent = 'y' }]\n",
            ":7: agents.alice.pty.answers[0].sent: unknown key; did you mean 'send'?",
        ),
        (
            AGENT + "ready = '> '\nanswers = [\n{ screen = 'sure' }]\n",
            ':7: agents.alice.pty.answers[0]: needs send = "…", or for a permission both allow = "…" and deny = "…"',
        ),
        (
            AGENT + "ready = '> '\nanswers = [\n{ screen = 'sure', send = 'y', deny = 'n' }]\n",
            ':7: agents.alice.pty.answers[0]: needs send = "…", or for a permission both allow = "…" and deny = "…"',
        ),
        (AGENT + "ready = '> '\nsettle_s = 0\n", ":6: agents.alice.pty.settle_s: has to be more than 0.0, not 0"),
        (
            '[agents.alice]\nbackend = "pty"\n',
            ":1: agents.alice: backend 'pty' needs command = [\"program\", …]",
        ),
        (
            '[agents.alice]\nbackend = "pty"\ncommand = ["dialog"]\n',
            ":1: agents.alice: backend 'pty' needs a table [agents.NAME.pty] with ready = 'how its prompt looks'",
        ),
        (
            "[agents.alice]\npty = { ready = '> ' }\n",
            ":1: agents.alice: backend 'none' uses no pty table; take it out",
        ),
        (
            AGENT.replace("[agents.alice.pty]", 'model = "best"\n[agents.alice.pty]') + "ready = '> '\n",
            ":1: agents.alice: backend 'pty' knows no model; name it to the program in args",
        ),
        (
            AGENT.replace("[agents.alice.pty]", 'permissions = "edits"\n[agents.alice.pty]') + "ready = '> '\n",
            ":1: agents.alice: backend 'pty' knows no permissions = \"edits\"; name it to the program in args",
        ),
    ],
)
def test_what_is_wrong_is_said_by_line(file: Path, text: str, complaint: str) -> None:
    """DESIGN 10: with file and line."""
    assert complaints(file, text) == [f"queenpost.toml{complaint}"]


def test_the_documentation_says_what_was_tried_with_the_real_program() -> None:
    """Ours: the table of the documentation is that of `make e2e`."""
    section = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8").partition("## `pty`")[2]
    example = re.search(r"```toml\n(.*?)```", section, re.DOTALL)
    assert example is not None
    agent = Settings.model_validate(tomllib.loads(example[1])).agents["dora"]
    assert agent.pty == PtySettings.model_validate(TABLE)
    assert agent.args == list(ARGS)


def test_what_is_kept_is_read_again() -> None:
    """Ours: the database and the link hold it as JSON."""
    agent = AgentSettings.model_validate({"backend": "pty", "command": ["dialog"], "pty": TABLE})
    assert AgentSettings.model_validate_json(agent.model_dump_json()) == agent
