"""The hooks of a session as Codex and Gemini CLI run them: where their events are not those of Claude Code."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.mcp_tools.hooks.conftest import Hooks, context

ONE_WAITS = "Queenpost: 1 message waits; call recv."
ENTRIES: dict[str, Any] = {
    "asked": {"id": "1", "type": "user", "content": [{"text": "go"}]},
    "said": {"id": "2", "type": "gemini", "content": "done"},
    "failed": {"id": "3", "type": "error", "content": "[API Error: …]"},
    "cancelled": {"id": "4", "type": "info", "content": "Request cancelled."},
    "at": {"$set": {"lastUpdated": "2026-11-21T18:37:20.258Z"}},
    "cut": {"$set": {"messages": [{"id": "1", "type": "user", "content": []}], "lastUpdated": "x"}},
}
"""Lines of a story of Gemini CLI 0.61, as it writes them."""


def story(folder: Path, *names: str) -> str:
    """Write one; gives its path."""
    path = folder / "session-1.jsonl"
    lines = [json.dumps({"sessionId": "s1", "kind": "main"}), *(json.dumps(ENTRIES[name]) for name in names)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def end(**said: Any) -> dict[str, Any]:
    """What Gemini CLI says at the end of a turn that its model has finished."""
    return {
        "hook_event_name": "AfterAgent",
        "prompt": "go",
        "prompt_response": "done",
        "stop_hook_active": False,
    } | said


GO_ON = {"decision": "block", "reason": ONE_WAITS}


async def test_gemini_goes_on_but_once_though_it_forgets_that_it_did(hooks: Hooks) -> None:
    """[P03] `stop_hook_active` is false again once a tool was used, and one uses recv: the prompt tells the turn."""
    hooks.waiting(1)
    assert await hooks.run("stop", **end()) == GO_ON
    assert await hooks.run("tool", hook_event_name="AfterTool", tool_name="mcp_queenpost_recv") is None
    assert await hooks.run("stop", **end()) is None
    assert hooks.ops().count("turns.settle") == 2
    assert await hooks.run("stop", **end()) == GO_ON, "of the next turn, with the same words"


async def test_another_prompt_of_gemini_is_another_turn(hooks: Hooks) -> None:
    """Ours: the one before was broken off behind its continuation."""
    hooks.waiting(1)
    assert await hooks.run("stop", **end()) == GO_ON
    assert await hooks.run("stop", **end(prompt="something else")) == GO_ON
    assert await hooks.run("stop", **end(prompt="something else", stop_hook_active=True)) is None


async def test_no_word_of_the_prompt_is_kept(hooks: Hooks) -> None:
    """Ours: the note lies in the home."""
    hooks.waiting(1)
    await hooks.run("stop", **end(prompt="the password is sesame"))
    assert "sesame" not in (hooks.home.run / "told-alice").read_text()


STORIES: Mapping[tuple[str, ...], bool] = {
    ("asked", "at", "said", "at"): True,
    ("asked", "said", "cancelled"): True,
    ("said", "asked", "at"): False,
    ("said", "asked", "failed", "at", "cancelled"): False,
    ("asked", "said", "cancelled", "at", "cut"): False,
    (): True,
}


@pytest.mark.parametrize(("names", "has_ended"), STORIES.items())
async def test_a_turn_of_gemini_is_over_when_its_model_has_answered(
    hooks: Hooks, tmp_path: Path, names: tuple[str, ...], has_ended: bool
) -> None:
    """[H21] Its hooks of a turn's end run for one that failed or was broken off, too. What cannot be told is an end."""
    hooks.waiting(1)
    said = await hooks.run("stop", **end(transcript_path=story(tmp_path, *names)))
    assert said == (GO_ON if has_ended else None)
    assert ("turns.settle" in hooks.ops()) is has_ended


@pytest.mark.parametrize("text", [b"", b"garbage\n", b"[]\n7\nnull\n", b'{"type":[]}\n', b'{"$set":[]}\n', b"\xff\n"])
async def test_a_story_of_another_kind_is_no_reason_not_to_settle(hooks: Hooks, tmp_path: Path, text: bytes) -> None:
    """Ours: of another version, or none."""
    path = tmp_path / "story"
    path.write_bytes(text)
    os.mkfifo(tmp_path / "pipe")
    hooks.waiting(1)
    odd = [
        str(path),
        str(tmp_path / "missing"),
        str(tmp_path),
        str(tmp_path / "pipe"),
        "/dev/zero",
        "a\0b",
        "\udc00",
        None,
    ]
    for where in odd:
        await hooks.run("stop", **end(transcript_path=where, prompt="\udc00"))
    assert hooks.ops().count("turns.settle") == len(odd)
    assert [path.name for path in hooks.home.run.glob("told-*")] == ["told-alice"]


async def test_a_long_story_is_read_from_its_end(hooks: Hooks, tmp_path: Path) -> None:
    """Ours: bounded, and the line that is cut is passed over."""
    path = Path(story(tmp_path, "asked"))
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"type": "user", "content": "x" * 5_000_000}) + "\n")
        file.write(json.dumps(ENTRIES["said"]) + "\n")
    await hooks.run("stop", **end(transcript_path=str(path)))
    assert "turns.settle" in hooks.ops()


async def test_mail_is_named_behind_a_tool_of_gemini(hooks: Hooks) -> None:
    """[P02] In its own words for the event; not behind a tool of ours, which has another prefix there."""
    hooks.waiting(1)
    assert await hooks.run("tool", hook_event_name="AfterTool", tool_name="mcp_queenpost_send") is None
    hooks.waiting(2)
    said = await hooks.run("tool", hook_event_name="AfterTool", tool_name="run_shell_command")
    assert context(said, "AfterTool") == "Queenpost: 2 messages wait; call recv."


async def test_codex_speaks_as_claude_code_does(hooks: Hooks) -> None:
    """[P03] It keeps `stop_hook_active` for the whole turn."""
    hooks.waiting(1)
    codex = {"turn_id": "t1", "model": "gpt-5.5", "last_assistant_message": "done"}
    said = await hooks.run("tool", hook_event_name="PostToolUse", tool_name="Bash", **codex)
    assert context(said, "PostToolUse") == ONE_WAITS
    assert await hooks.run("stop", hook_event_name="Stop", stop_hook_active=False, **codex) == GO_ON
    assert await hooks.run("stop", hook_event_name="Stop", stop_hook_active=True, **codex) is None
