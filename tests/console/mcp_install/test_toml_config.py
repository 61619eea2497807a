"""Our table in a TOML file, among what a person wrote there."""

import tomllib
from typing import Any

import pytest

from console.mcp_install.refusals import NotEditable
from console.mcp_install.toml_config import with_server, without_server

ENTRY: dict[str, Any] = {"command": "/opt/p y/python", "args": ["-m", 'a"b\\c\x7fé'], "tool_timeout_sec": 300}
OTHERS = """\
# mine
model = "gpt"   # why

[mcp_servers.other]   # stays
command = 'x'
args = [
    "# no comment",
    "[mcp_servers.queenpost]",  # a comment
]
"""
OURS = """
# about ours
[mcp_servers.queenpost] # the post
command = "/old/python"
args = [
    "-m",
    "old",
]
enabled = false  # by hand

[mcp_servers.queenpost.env]
KEPT = "1"
"""
BEHIND = """
# behind
[tui]
theme = "dark"
"""


def read(text: str) -> dict[str, Any]:
    """Give our table as a client reads it."""
    return tomllib.loads(text)["mcp_servers"]["queenpost"]


@pytest.mark.parametrize("before", ["", OTHERS, OTHERS.rstrip("\n"), "# only a comment\n", "[mcp_servers]\n"])
def test_our_table_comes_behind_everything(before: str) -> None:
    """Spec: everything before it keeps every byte."""
    after = with_server(before, "mcp_servers", ENTRY)
    assert after.startswith(before)
    assert read(after) == ENTRY


def test_a_table_that_is_there_is_brought_up_to_date_in_its_place() -> None:
    """Spec: comments and what was added by hand stay."""
    after = with_server(OTHERS + OURS + BEHIND, "mcp_servers", ENTRY)
    assert read(after) == {**ENTRY, "enabled": False, "env": {"KEPT": "1"}}
    assert after.startswith(OTHERS + "\n# about ours\n[mcp_servers.queenpost] # the post\n")
    assert after.endswith('enabled = false  # by hand\n\n[mcp_servers.queenpost.env]\nKEPT = "1"\n' + BEHIND)


def test_the_second_time_changes_no_byte() -> None:
    """Spec: idempotent."""
    once = with_server(OTHERS + BEHIND, "mcp_servers", ENTRY)
    assert with_server(once, "mcp_servers", ENTRY) is once


def test_line_ends_stay_as_they_are() -> None:
    """Ours."""
    after = with_server(OTHERS.replace("\n", "\r\n"), "mcp_servers", ENTRY)
    assert after.count("\n") == after.count("\r\n")
    assert read(after) == ENTRY


def test_a_way_that_was_over_http_goes() -> None:
    """Ours: `url` and `command` in one entry contradict each other."""
    before = '[mcp_servers.queenpost]\nurl = "http://127.0.0.1:1/mcp"\nenabled = true\n'
    assert read(with_server(before, "mcp_servers", ENTRY)) == {**ENTRY, "enabled": True}


ODD = [
    'mcp_servers.queenpost.command = "x"\n',
    '[mcp_servers]\nqueenpost = { command = "x" }\n',
    "mcp_servers = {}\n",
    '[mcp_servers.queenpost.env]\nA = "1"\n',
    'text = """\n[mcp_servers.queenpost]\n"""\n[mcp_servers.queenpost]\ncommand = "x"\n',
]


@pytest.mark.parametrize("text", ODD)
def test_another_form_is_refused_with_the_lines_to_paste(text: str) -> None:
    """Spec: feasible or refused, never guessed."""
    with pytest.raises(NotEditable) as caught:
        with_server(text, "mcp_servers", ENTRY)
    assert read(caught.value.why[caught.value.why.index("[mcp_servers.queenpost]") :]) == ENTRY


BROKEN = [("a = 1\nb = \nc = 3\n", 2), ("[x\n", 1), ("a = 1\na = 2\n", 2), ('a = """\n\n', 3)]


@pytest.mark.parametrize(("text", "line"), BROKEN)
def test_what_is_no_toml_is_refused_with_its_line(text: str, line: int) -> None:
    """Spec: bad input."""
    for change in (lambda: with_server(text, "mcp_servers", ENTRY), lambda: without_server(text, "mcp_servers")):
        with pytest.raises(NotEditable, match="not valid TOML") as caught:
            change()
        assert caught.value.line == line


@pytest.mark.parametrize("before", ["", OTHERS, OTHERS + BEHIND])
def test_taking_it_out_undoes_putting_it_in(before: str) -> None:
    """Spec: to the byte."""
    assert without_server(with_server(before, "mcp_servers", ENTRY), "mcp_servers") == before


def test_it_is_taken_out_with_what_was_added_to_it() -> None:
    """Spec: the tables below it too; everything else stays."""
    after = without_server(OTHERS + OURS + BEHIND, "mcp_servers")
    assert tomllib.loads(after) == tomllib.loads(OTHERS + BEHIND)
    assert after.startswith(OTHERS)
    assert after.endswith(BEHIND)
