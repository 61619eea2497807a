"""Starting a script."""

import io
import sys
from pathlib import Path

import pytest

from harness.scripted.__main__ import main
from harness.scripted.loading import load, script_names, script_problem


@pytest.fixture(autouse=True)
def door(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the harness sets."""
    monkeypatch.setenv("QUEENPOST_MCP_URL", "http://127.0.0.1:1/mcp")
    monkeypatch.setenv("QUEENPOST_MCP_TOKEN", "t")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"the prompt")))


def test_a_script_of_the_users_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ours: by its path; it sees prompt, arguments and state."""
    script = tmp_path / "mine.py"
    script.write_text("def run(agent):\n    agent.say(f'{agent.prompt} {agent.args} {agent.state}')\n")
    assert main(["--state", "/s", str(script), "a", "-b"]) == 0
    assert capsys.readouterr().out == "the prompt ['a', '-b'] /s\n"


@pytest.mark.parametrize("arguments", [[], ["echo"], ["--state"], ["--state", "/s"], ["--state", "/s", "nosuch"]])
def test_a_wrong_start_is_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Ours: usage on stderr, nothing on stdout, exit code 2."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert "usage:" in captured.err
    assert captured.out == ""


def test_the_shipped_scripts_can_be_loaded() -> None:
    """Ours: by their names with dashes."""
    assert script_names() == ["echo", "survey-manager", "survey-worker"]
    for name in script_names():
        assert callable(load(name))
        assert script_problem(name) is None
    with pytest.raises(LookupError, match="choose one of: echo"):
        load("nosuch")
    with pytest.raises(LookupError, match="there is no script file"):
        load("/no/such.py")
