"""Each real program, by its plain command line, against the scripted model: it answers, uses a tool, meets a wall.

What is asserted of its events is what the backends rely on. A new version of a program that says it otherwise is
found here first.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_tools.desk import Received
from mcp_tools.rendering import draw_boundary, fit_reply
from tests.e2e.conftest import Served
from tests.e2e.headless import Json, Ran, run
from tests.e2e.programs import Name, Program, need
from tests.fakes.desk import letter
from tests.fakes.models.brains import Drain, Script
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Failing, Heard, Reply, Tool, Usage
from wire.inbox import InboxSend

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]

PROMPT = "please greet bob"
RECEIPT = "m7 to bob: queued"
USAGE = Usage(input=300, cached=100, output=20)
"""Of each of two requests."""


def greet() -> Script:
    """Use one tool, then end."""
    call = Reply.calling("send", to="bob", body="hello")
    return Script(Reply(calls=call.calls, usage=USAGE), Reply("All done.", usage=USAGE))


_WALLS: dict[Name, dict[Failing, str]] = {
    "claude": {
        "forbidden": "'api_error_status': 403",
        "rate_limit": "'api_error_status': 429",
        "context": "'terminal_reason': 'prompt_too_long'",
    },
    "codex": {
        "forbidden": "unexpected status 403 Forbidden",
        "rate_limit": "exceeded retry limit, last status: 429 Too Many Requests",
        "quota": "You’ve hit your usage limit.",
        "context": "Codex ran out of room in the model's context window.",
    },
    "opencode": {"forbidden": "'statusCode': 403"},
    "gemini": {
        "forbidden": "PERMISSION_DENIED",
        "quota": "You have exhausted your daily quota",
        "context": "exceeds the maximum number of tokens",
    },
}
"""What the last event holds where a program meets a wall and gives up."""


async def test_a_prompt_is_answered_and_a_tool_is_used(
    program: Program, home: Path, models: ModelServer, served: Served
) -> None:
    """Ours: by the real program; the call arrives at our server and its result at the model."""
    talk = models.open("alice", greet())
    ran = await run(program, home, talk, served.door, PROMPT)
    assert ran.code == 0, ran.errors
    _EVENTS[program.name](ran)

    (request,) = served.desk.requests
    assert isinstance(request, InboxSend)
    assert (request.to, request.body) == ("bob", "hello")
    first, second = talk.heard
    assert first.prompt == PROMPT
    assert (first.fresh, first.answers, second.fresh, second.answers) == (True, 0, False, 1)
    assert "queenpost" in first.servers
    assert program.name == "codex" or Tool("send") in first.tools
    assert RECEIPT in second.result("send")
    assert all(heard.key.startswith("sk-ant-fake") for heard in talk.heard)


async def test_a_session_is_taken_up_again(program: Program, home: Path, models: ModelServer, served: Served) -> None:
    """Ours: by its id, in a new process; the history comes along."""
    talk = models.open("alice", Script(Reply("one"), Reply("two")))
    first = await run(program, home, talk, served.door, "remember 42")
    again = await run(program, home, talk, served.door, "what was it?", session=_session(program.name, first))
    assert (first.code, again.code) == (0, 0), again.errors
    assert _session(program.name, again) == _session(program.name, first)
    assert talk.heard[1].prompt == "what was it?"
    assert (talk.heard[1].fresh, talk.heard[1].answers) == (True, 1)
    assert "remember 42" in str(talk.heard[1].body)


@pytest.mark.parametrize("name", ["claude", "codex", "gemini", "opencode"])
async def test_an_agent_drains_its_mail(name: Name, home: Path, models: ModelServer, served: Served) -> None:
    """Ours: what the prompt holds, what `recv_batch` brings, and then it ends; nothing of it comes back."""
    for number in (2, 3):
        served.desk.put(letter(number, f"job {number}"))
    first = [letter(1, "job 1")]
    prompt = fit_reply(Received(first, 2, "t1", peek=False, note=None), draw_boundary(first)).text
    talk = models.open("alice", Drain())
    ran = await run(need(name), home, talk, served.door, f"You have mail.\n\n{prompt}\n\nDo it.")
    sent = [(one.in_reply_to, one.body) for one in served.desk.requests if isinstance(one, InboxSend)]
    assert sorted(sent, key=str) == [(f"m{number}", f"done: job {number}") for number in (1, 2, 3)]
    assert (ran.code, len(talk.heard), served.desk.wrote) == (0, 3, ["m2", "m3"])
    assert not served.desk.given_back


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, walls in _WALLS.items() for kind in walls])
async def test_a_wall_is_told_in_the_program_s_own_words(
    name: Name, kind: Failing, home: Path, models: ModelServer, served: Served
) -> None:
    """Ours: the same wall as often as the program runs into it; left out is where it would do so for minutes."""
    talk = models.open("alice", _wall(kind))
    talk.aside = _wall(kind)
    ran = await run(need(name), home, talk, served.door, PROMPT)
    assert ran.code != 0
    assert _WALLS[name][kind] in str(ran.events[-1])


def _wall(kind: Failing) -> Callable[[Heard], Reply]:
    return lambda _: Reply.failing(kind)


_SESSIONS: dict[Name, str] = {
    "claude": "session_id",
    "codex": "thread_id",
    "opencode": "sessionID",
    "gemini": "session_id",
}
"""What the first event calls it."""


def _session(name: Name, ran: Ran) -> str:
    return str(ran.events[0][_SESSIONS[name]])


def _claude(ran: Ran) -> None:
    init, *_ = ran.of("system")
    assert (init["subtype"], init["permissionMode"]) == ("init", "dontAsk")
    assert [(server["name"], server["status"]) for server in init["mcp_servers"]] == [("queenpost", "connected")]
    called, ended = ran.of("assistant")
    (use,) = called["message"]["content"]
    assert (use["type"], use["name"], use["input"]) == (
        "tool_use",
        "mcp__queenpost__send",
        {"to": "bob", "body": "hello"},
    )
    (given,) = ran.of("user")
    (result,) = given["message"]["content"]
    assert (result["tool_use_id"], result["content"]) == (use["id"], [{"type": "text", "text": RECEIPT}])
    assert [block["text"] for block in ended["message"]["content"]] == ["All done."]
    assert ran.events[-1]["type"] == "result"
    expected: Json = {
        "subtype": "success", "is_error": False, "terminal_reason": "completed", "stop_reason": "end_turn",
        "result": "All done.", "num_turns": 2, "queued_turn_count": 0, "permission_denials": [],
        "api_error_status": None, "session_id": init["session_id"],
    }  # fmt: skip
    last = ran.events[-1]
    assert {name: last[name] for name in expected} == expected
    tokens = {"input_tokens": 400, "cache_read_input_tokens": 200, "output_tokens": 40}
    assert {name: last["usage"][name] for name in tokens} == tokens
    assert last["total_cost_usd"] > 0


def _codex(ran: Ran) -> None:
    assert [event["type"] for event in ran.events] == [
        "thread.started", "turn.started", "item.started", "item.completed", "item.completed", "turn.completed",
    ]  # fmt: skip
    called, said = (event["item"] for event in ran.of("item.completed"))
    expected = {"type": "mcp_tool_call", "server": "queenpost", "tool": "send", "status": "completed", "error": None}
    assert {name: called[name] for name in expected} == expected
    assert called["arguments"] == {"to": "bob", "body": "hello"}
    assert called["result"]["content"] == [{"type": "text", "text": RECEIPT}]
    assert (said["type"], said["text"]) == ("agent_message", "All done.")
    tokens = {"input_tokens": 600, "cached_input_tokens": 200, "output_tokens": 40}
    assert {name: ran.events[-1]["usage"][name] for name in tokens} == tokens


def _opencode(ran: Ran) -> None:
    assert [event["type"] for event in ran.events] == [
        "step_start", "tool_use", "step_finish", "step_start", "text", "step_finish",
    ]  # fmt: skip
    assert len({event["sessionID"] for event in ran.events}) == 1
    (used,) = ran.of("tool_use")
    state = used["part"]["state"]
    assert (used["part"]["tool"], state["status"], state["output"]) == ("queenpost_send", "completed", RECEIPT)
    assert state["input"] == {"to": "bob", "body": "hello"}
    (said,) = ran.of("text")
    assert said["part"]["text"] == "All done."
    assert [event["part"]["reason"] for event in ran.of("step_finish")] == ["tool-calls", "stop"]
    tokens = ran.events[-1]["part"]["tokens"]
    assert (tokens["input"], tokens["cache"]["read"], tokens["output"]) == (200, 100, 20)


def _gemini(ran: Ran) -> None:
    assert [event["type"] for event in ran.events] == [
        "init",
        "message",
        "tool_use",
        "tool_result",
        "message",
        "result",
    ]
    (used,), (given,) = ran.of("tool_use"), ran.of("tool_result")
    assert (used["tool_name"], used["parameters"]) == ("mcp_queenpost_send", {"to": "bob", "body": "hello"})
    assert (given["tool_id"], given["status"], given["output"]) == (used["tool_id"], "success", RECEIPT)
    said = ran.of("message")[-1]
    assert (said["role"], said["content"]) == ("assistant", "All done.")
    last = ran.events[-1]
    assert (last["status"], last["stats"]["tool_calls"]) == ("success", 1)
    assert (last["stats"]["input_tokens"], last["stats"]["cached"], last["stats"]["output_tokens"]) == (600, 200, 40)


_EVENTS: dict[Name, Callable[[Ran], None]] = {
    "claude": _claude,
    "codex": _codex,
    "opencode": _opencode,
    "gemini": _gemini,
}
