"""What an agent's program inherits, and what it does not."""

from pathlib import Path

import pytest

from harness.backends.environment import environment, read_env_file
from harness.backends.protocol import NotStartedError

URL, TOKEN = "http://127.0.0.1:1/mcp", "the-bearer"


def test_nothing_of_ours_is_inherited_but_the_one_door() -> None:
    """Ours: with the operator's variables a program could act as the operator."""
    inherited = {"PATH": "/bin", "QUEENPOST_HOME": "/fleet", "QUEENPOST_MCP_TOKEN": "old", "QUEENPOST_X": "1"}
    made = environment({"COLOUR": "red"}, mcp_url=URL, mcp_token=TOKEN, inherited=inherited)
    assert made == {
        "PATH": "/bin", "COLOUR": "red", "QUEENPOST_MCP_URL": URL, "QUEENPOST_MCP_TOKEN": TOKEN,
    }  # fmt: skip


def test_settings_cannot_bring_ours_back() -> None:
    """Ours: exactly the two, whatever `env` says."""
    made = environment(
        {"QUEENPOST_HOME": "/x", "QUEENPOST_MCP_URL": "evil"}, mcp_url=URL, mcp_token=TOKEN, inherited={}
    )
    assert made == {"QUEENPOST_MCP_URL": URL, "QUEENPOST_MCP_TOKEN": TOKEN}


def test_an_env_file_is_lines_of_name_and_value(tmp_path: Path) -> None:
    """Ours: as people write such files."""
    path = tmp_path / "alice.env"
    path.write_text("# a key\n\nKEY=abc=def\nexport QUOTED=\"a b\"\n  SINGLE = 'x' \nEMPTY=\n")
    assert read_env_file(path) == {"KEY": "abc=def", "QUOTED": "a b", "SINGLE": "x", "EMPTY": ""}


@pytest.mark.parametrize("text", ["just words", "=value", "1ABC=x", "A B=x"])
def test_a_wrong_line_is_named_without_its_value(tmp_path: Path, text: str) -> None:
    """Ours: by file and line, and no secret in the message."""
    path = tmp_path / "alice.env"
    path.write_text(f"GOOD=secret\n{text}secret\n")
    with pytest.raises(NotStartedError, match=r"alice\.env:2: a line has to be NAME=VALUE") as caught:
        read_env_file(path)
    assert "secret" not in str(caught.value)
    assert caught.value.outcome == "missing_program"


def test_a_file_that_cannot_be_read_starts_nothing(tmp_path: Path) -> None:
    """Ours: a program without its key would only fail later, and less clearly."""
    with pytest.raises(NotStartedError, match="cannot be read: No such file"):
        read_env_file(tmp_path / "missing")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(NotStartedError, match="it is not UTF-8"):
        read_env_file(tmp_path / "binary")
