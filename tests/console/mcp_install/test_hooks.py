"""Our hooks among those of a person, in the JSON of a client: that of Claude Code, and what differs in others."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from console.mcp_install import hooks
from console.mcp_install.clients import CLIENTS, Hooks
from console.mcp_install.json_text import JsonText
from console.mcp_install.refusals import NotEditable
from wire.home import Home

HOME = Home(Path("/srv/my fleet"))


def hooks_of(client: str) -> Hooks:
    """Give the form of a client that has hooks."""
    found = CLIENTS[client].hooks
    assert found is not None
    return found


CLAUDE = hooks_of("claude")
MINE = """\
{
  "permissions": {"allow": ["Bash(git *)"]},
  "hooks": {
    "Stop": [
      {"hooks": [{"type": "command", "command": "say done"}]}
    ],
    "PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "check"}]}]
  }
}
"""


def settings(text: str = MINE) -> JsonText:
    """Read settings as the client does."""
    return JsonText(text, comments=False)


def commands(text: JsonText, event: str) -> list[str]:
    """Give what is run at an event."""
    return [hook["command"] for group in text.value["hooks"].get(event, []) for hook in group["hooks"]]


def test_a_hook_for_each_moment_beside_those_of_others() -> None:
    """Spec: everything else keeps every byte."""
    text = hooks.with_hooks(settings(), CLAUDE, "alice", HOME)
    assert commands(text, "Stop") == ["say done", hooks.command("stop", "alice", HOME)]
    assert commands(text, "PostToolUse") == [hooks.command("tool", "alice", HOME)]
    assert commands(text, "SessionStart") == [hooks.command("start", "alice", HOME)]
    assert commands(text, "PreToolUse") == ["check"]
    assert '"permissions": {"allow": ["Bash(git *)"]},\n' in text.text
    assert '      {"hooks": [{"type": "command", "command": "say done"}]},\n' in text.text
    assert hooks.with_hooks(text, CLAUDE, "alice", HOME).text == text.text


FORMS = [
    ("codex", ["SessionStart", "PostToolUse", "Stop"], {"type": "command", "timeout": 5}),
    ("gemini", ["SessionStart", "AfterTool", "AfterAgent"], {"name": "queenpost", "type": "command", "timeout": 5000}),
]


@pytest.mark.parametrize(("client", "events", "entry"), FORMS)
def test_each_client_has_its_own_events_and_its_own_form(client: str, events: list[str], entry: dict[str, Any]) -> None:
    """Ours: as the programs themselves read them; Gemini CLI counts milliseconds."""
    text = hooks.with_hooks(settings("{}"), hooks_of(client), "alice", HOME)
    of_moments = zip(events, ["start", "tool", "stop"], strict=True)
    assert text.value["hooks"] == {
        event: [{"hooks": [{**entry, "command": hooks.command(moment, "alice", HOME)}]}] for event, moment in of_moments
    }
    assert hooks.with_hooks(text, hooks_of(client), "alice", HOME).text == text.text
    assert hooks.without_hooks(text).value == {}


def test_the_command_is_one_for_a_shell_and_holds_no_secret() -> None:
    """Spec: a client shows it to its model."""
    words = shlex.split(hooks.command("stop", "alice", HOME))
    assert words == [sys.executable, "-I", "-S", str(hooks.program()), "stop", "alice", "/srv/my fleet"]
    assert hooks.program().is_file()


def test_hooks_for_another_agent_or_from_an_older_place_become_these() -> None:
    """Ours: otherwise two programs would settle for two agents at each turn's end."""
    old = hooks.with_hooks(settings(), CLAUDE, "bob", HOME).text.replace(str(hooks.program().parents[2]), "/old/lib")
    text = hooks.with_hooks(settings(old), CLAUDE, "alice", HOME)
    assert text.value == hooks.with_hooks(settings(), CLAUDE, "alice", HOME).value


def test_one_that_was_moved_into_a_group_of_a_person_stays_there_and_spare_ones_go() -> None:
    """Ours."""
    ours = {"type": "command", "command": hooks.command("stop", "bob", HOME), "timeout": 5}
    both = {"matcher": "", "hooks": [{"type": "command", "command": "say done"}, ours]}
    text = hooks.with_hooks(settings(json.dumps({"hooks": {"Stop": [both, {"hooks": [ours]}]}})), CLAUDE, "alice", HOME)
    assert len(text.value["hooks"]["Stop"]) == 1
    assert commands(text, "Stop") == ["say done", hooks.command("stop", "alice", HOME)]
    assert text.value["hooks"]["Stop"][0]["matcher"] == ""
    assert commands(hooks.without_hooks(text), "Stop") == ["say done"]


@pytest.mark.parametrize("before", ["{}\n", '{\n  "model": "opus"\n}\n'])
def test_taking_them_out_undoes_putting_them_in(before: str) -> None:
    """Spec: to the byte."""
    text = hooks.with_hooks(settings(before), CLAUDE, "alice", HOME)
    assert hooks.are_in(text)
    assert hooks.without_hooks(text).text == before
    assert not hooks.are_in(hooks.without_hooks(text))


def test_those_of_a_person_stay_when_ours_go() -> None:
    """Spec."""
    text = hooks.without_hooks(hooks.with_hooks(settings(), CLAUDE, "alice", HOME))
    assert text.value == settings().value
    assert text.text == MINE


@pytest.mark.parametrize("odd", ['{"hooks": []}', '{"hooks": {"Stop": {}}}', '{"hooks": {"Stop": "x"}}', "[]"])
def test_settings_that_are_not_what_they_should_be_are_refused(odd: str) -> None:
    """Ours: nothing is guessed."""
    with pytest.raises(NotEditable, match=r"is no (object|list)"):
        hooks.with_hooks(settings(odd), CLAUDE, "alice", HOME)


@pytest.mark.parametrize("odd", ['{"hooks": {"Stop": [1, {"hooks": 2}, {"hooks": [null, {"command": 3}]}]}}', "7"])
def test_what_others_wrote_may_look_as_it_likes(odd: str) -> None:
    """Ours: it is not ours to judge."""
    assert not hooks.are_in(settings(odd))
    assert hooks.without_hooks(settings(odd)).text == odd
