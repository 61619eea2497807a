"""What each API says in its own way: reminders, deferred tools, words of the program in the user's name."""

from typing import Any

from tests.fakes.models.anthropic import Anthropic
from tests.fakes.models.chat import Chat
from tests.fakes.models.gemini import Gemini
from tests.fakes.models.responses import Responses
from tests.fakes.models.talk import Tool

Json = dict[str, Any]
SEND = Tool("send")
SERVERS = ("queenpost",)


def anthropic(*messages: Json) -> Json:
    """Ask as Claude Code does."""
    return {"model": "m", "stream": True, "messages": [*messages]}


def text(words: str) -> Json:
    """Give a block."""
    return {"type": "text", "text": words}


def test_reminders_of_claude_code_are_notes_and_not_the_prompt() -> None:
    """Ours: they stand among the user's words, or have a role of their own."""
    reminder = text("<system-reminder>\nToday is a day.\n</system-reminder>")
    asked = Anthropic().read(
        anthropic(
            {"role": "user", "content": [reminder, text("do it")]}, {"role": "system", "content": "# Environment"}
        ),
        "/v1/messages",
    )
    assert (asked.prompt, asked.fresh) == ("do it", True)
    assert asked.notes == (reminder["text"], "# Environment")


def test_words_put_into_a_turn_of_claude_code_are_notes() -> None:
    """Ours: they come with the result of a tool, as a message of the system."""
    put_in = "The user sent a new message while you were working: hurry"
    use: Json = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "no", "is_error": True}
    asked = Anthropic().read(
        anthropic(
            {"role": "user", "content": "do it"},
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [result]},
            {"role": "system", "content": [text(put_in)]},
        ),
        "/v1/messages",
    )
    assert (asked.prompt, asked.fresh, asked.notes) == ("do it", False, (put_in,))
    assert [(one.tool, one.text, one.failed) for one in asked.results] == [(Tool("Bash", None), "no", True)]


def test_deferred_tools_of_claude_code_are_on_offer() -> None:
    """Ours: it lists them by name in a note; their schemas are not sent."""
    note = "Deferred tools:\nmcp__queenpost__recv_batch\nmcp__queenpost__send\n"
    asked = Anthropic().read(
        anthropic({"role": "user", "content": "x"}, {"role": "system", "content": note}), "/v1/messages"
    )
    assert asked.tools == {SEND, Tool("recv_batch")}
    assert asked.servers == {"queenpost"}


def test_codex_names_no_more_of_a_deferred_server_than_its_name() -> None:
    """Ours: its tools are behind `tool_search`."""
    asked = Responses().read(
        {
            "model": "m",
            "input": [
                _codex(
                    "developer", "<tools>\nDeferred tool namespaces:\n- mcp__queenpost\n- multi_agent_v1: x\n</tools>"
                ),
                _codex("user", "<environment_context>\n<cwd>/x</cwd>\n</environment_context>"),
                _codex("user", "do it"),
            ],
            "tools": [{"type": "tool_search"}],
        },
        "/v1/responses",
    )
    assert asked.servers == {"queenpost"}
    assert asked.tools == {Tool("tool_search", None)}
    assert (asked.prompt, len(asked.notes)) == ("do it", 2)


def test_a_namespace_holds_the_tools_of_a_server() -> None:
    """Ours: where Codex sends them at once."""
    space = {"type": "namespace", "name": "mcp__queenpost", "tools": [{"type": "function", "name": "send"}]}
    asked = Responses().read({"model": "m", "input": [_codex("user", "x")], "tools": [space]}, "/v1/responses")
    assert asked.tools == {SEND}


def test_the_session_context_of_gemini_cli_is_a_note() -> None:
    """Ours: it is the first message of the user."""
    context = "<session_context>\nThis is the Gemini CLI.\n</session_context>"
    contents = [{"role": "user", "parts": [{"text": context}]}, {"role": "user", "parts": [{"text": "do it"}]}]
    asked = Gemini(SERVERS).read({"contents": contents}, "/v1beta/models/gemini-2.5-pro:streamGenerateContent")
    assert (asked.prompt, asked.notes, asked.model, asked.stream) == ("do it", (context,), "gemini-2.5-pro", True)


def test_a_failed_tool_of_gemini_cli_is_an_error() -> None:
    """Ours."""
    response = {"functionResponse": {"name": "mcp_queenpost_send", "response": {"error": "no such agent"}}}
    asked = Gemini(SERVERS).read({"contents": [{"role": "user", "parts": [response]}]}, "/v1beta/models/m:x")
    assert [(one.tool, one.text, one.failed) for one in asked.results] == [(SEND, "no such agent", True)]


def test_a_tool_of_opencode_belongs_to_a_server_that_is_known() -> None:
    """Ours: `read_file` is no tool `file` of a server `read`."""
    named = [{"type": "function", "function": {"name": name}} for name in ("queenpost_send", "read_file")]
    asked = Chat(SERVERS).read({"messages": [{"role": "user", "content": "x"}], "tools": named}, "/v1/chat/completions")
    assert asked.tools == {SEND, Tool("read_file", None)}


def _codex(role: str, words: str) -> Json:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": words}]}
