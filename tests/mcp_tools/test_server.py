"""The surface as a whole: what is listed and what it costs, and what bad arguments read like."""

import json
from typing import Any

import pytest
from mcp import Client

from mcp_tools.handover import Place
from mcp_tools.server import build_server
from tests.fakes.desk import FakeDesk
from tests.mcp_tools.conftest import Era
from tests.mcp_tools.reading import text_of
from wire.settings import Role

BUDGET = {"agent": 1500, "manager": 2000}
"""Tokens of the whole surface."""
OF_ASKS = ["ask", "answer", "list_my_asks", "cancel_ask"]


async def listed(role: Role, era: Era) -> dict[str, Any]:
    """Give `tools/list` as it goes over the wire."""
    place = Place(FakeDesk(role=role))
    async with Client(build_server(role, lambda _: place), mode=era) as client:
        result = await client.list_tools()
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize("role", ["agent", "manager"])
async def test_the_surface_stays_within_its_budget(role: Role, era: Era) -> None:
    """Spec: characters/4 of `tools/list`. [P11]"""
    rendered = json.dumps(await listed(role, era), separators=(",", ":"), ensure_ascii=False)
    assert len(rendered) / 4 <= BUDGET[role]


async def test_each_role_sees_its_own_tools(era: Era) -> None:
    """Spec."""
    agent, manager = await listed("agent", era), await listed("manager", era)
    own = [tool["name"] for tool in agent["tools"]]
    assert own[:7] == ["recv", "recv_batch", "send", *OF_ASKS]
    assert own[-1] == "whoami"
    more = [tool["name"] for tool in manager["tools"] if tool["name"] not in own]
    assert more == ["register_job", "list_agents", "pause_agent", "resume_agent"]
    assert len(manager["tools"]) == len(own) + len(more)


async def test_nothing_promises_a_structured_copy(era: Era) -> None:
    """Spec: text only, otherwise a client pays twice."""
    assert not any("outputSchema" in tool for tool in (await listed("manager", era))["tools"])


async def test_hints_say_what_a_tool_may_do(era: Era) -> None:
    """Ours: a client may run what only reads without asking."""
    tools = {tool["name"]: tool["annotations"] for tool in (await listed("manager", era))["tools"]}
    read_only = {name for name, hints in tools.items() if hints.get("readOnlyHint")}
    assert read_only == {name for name in tools if name.startswith("list_")} | {"whoami"}
    assert all(hints["openWorldHint"] is False for hints in tools.values())


async def test_the_server_is_called_queenpost(client: Client) -> None:
    """Spec: so that a tool is `mcp__queenpost__send` in every client."""
    assert client.server_info is not None
    assert client.server_info.name == "queenpost"


async def test_schemas_take_what_the_tools_take(era: Era) -> None:
    """Ours: the exact schema of recv; a change of it is a decision."""
    recv, batch, *_ = (await listed("agent", era))["tools"]
    assert recv["inputSchema"] == {
        "type": "object",
        "properties": {"wait_seconds": {"type": "number"}, "done": {"type": "string"}},
    }
    assert batch["inputSchema"]["properties"]["max"] == {
        "type": "integer",
        "default": 10,
        "description": "1 to 32",
    }


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("recv", {"wait_seconds": "soon"}, "'wait_seconds' has to be a number; recv takes wait_seconds, done"),
    ("recv", {"wait_seconds": [1]}, "'wait_seconds' has to be a number; recv takes wait_seconds, done"),
    ("recv", {"seconds": 5}, "'seconds' is not an argument of this tool; recv takes wait_seconds, done"),
    ("recv_batch", {"max": 1.5}, "'max' has to be a whole number; recv_batch takes max, done"),
    ("send", {"to": "bob"}, "'body' is missing; send takes to, body, in_reply_to, key"),
    ("send", {"to": "bob", "body": {"a": 1}}, "'body' has to be text; send takes to, body, in_reply_to, key"),
    ("send", {"to": 5, "body": "x"}, "'to' has to be text; send takes to, body, in_reply_to, key"),
    ("whoami", {"x": 1}, "'x' is not an argument of this tool; whoami takes no arguments"),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "arguments", "sentence"), WRONG)
async def test_bad_arguments_get_a_sentence(
    client: Client, desk: FakeDesk, tool: str, arguments: dict[str, Any], sentence: str
) -> None:
    """Spec: ours, without the address of a library's help."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert text_of(result) == f"invalid: {sentence}"
    assert not desk.requests
    assert not desk.recvs


async def test_what_only_the_broker_would_refuse_to_read_is_refused_in_words_too(client: Client) -> None:
    """Ours: a reference far longer than any id is a wrong argument, not a failure of the tool."""
    result = await client.call_tool("send", {"to": "bob", "body": "x", "in_reply_to": "m" * 100_000})
    assert text_of(result).startswith("invalid: 'in_reply_to' is refused: string should have at most 64 characters;")


async def test_a_key_with_spaces_is_refused_in_words(client: Client) -> None:
    """Ours."""
    result = await client.call_tool("send", {"to": "bob", "body": "x", "key": "a b"})
    assert text_of(result).startswith("invalid: 'key' is refused: string should match pattern")


async def test_numbers_may_be_written_as_text(client: Client, desk: FakeDesk) -> None:
    """Ours: models do."""
    assert text_of(await client.call_tool("recv_batch", {"max": "5"})) == "(empty)"
    assert desk.recvs == [(5, 0.0, None)]


async def test_an_unknown_tool_lists_the_known_ones(client: Client) -> None:
    """Ours."""
    result = await client.call_tool("fetch_mail", {})
    assert result.is_error
    assert text_of(result).startswith("unknown: there is no tool 'fetch_mail'; you have recv,")
