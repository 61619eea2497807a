"""The tools that the conformance scenarios call: their names, arguments and results are the suite's."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    EmbeddedResource,
    ImageContent,
    LoggingMessageNotification,
    LoggingMessageNotificationParams,
    SamplingMessage,
    TextContent,
    TextResourceContents,
    Tool,
)

from mcp_tools.server import Context

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
"""A PNG of one pixel."""
SILENCE = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
"""A WAV of no length."""

Run = Callable[[Context, dict[str, Any]], Awaitable[list[ContentBlock]]]


@dataclass(frozen=True)
class Row:
    """One tool."""

    run: Run
    properties: dict[str, Any] = field(default_factory=dict[str, Any])
    """Of the argument schema; all of them are required."""


class Failed(Exception):
    """What a tool says when it fails."""


def text(words: str) -> list[ContentBlock]:
    """Give a result that is text only."""
    return [TextContent(text=words)]


def image() -> ImageContent:
    """Give an image."""
    return ImageContent(data=PIXEL, mime_type="image/png")


def resource(uri: str, mime_type: str, content: str) -> EmbeddedResource:
    """Give a resource that is carried along."""
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime_type, text=content))


async def _simple(_: Context, __: dict[str, Any]) -> list[ContentBlock]:
    return text("This is a simple text response for testing.")


async def _image(_: Context, __: dict[str, Any]) -> list[ContentBlock]:
    return [image()]


async def _audio(_: Context, __: dict[str, Any]) -> list[ContentBlock]:
    return [AudioContent(data=SILENCE, mime_type="audio/wav")]


async def _embedded(_: Context, __: dict[str, Any]) -> list[ContentBlock]:
    return [resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


async def _mixed(_: Context, __: dict[str, Any]) -> list[ContentBlock]:
    data = json.dumps({"test": "data", "value": 123})
    carried = resource("test://mixed-content-resource", "application/json", data)
    return [*text("Multiple content types test:"), image(), carried]


async def _log(context: Context, _: dict[str, Any]) -> list[ContentBlock]:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        params = LoggingMessageNotificationParams(level="info", data=words)
        await context.session.send_notification(LoggingMessageNotification(params=params), context.request_id)
    return text("Three lines were logged.")


async def _progress(context: Context, _: dict[str, Any]) -> list[ContentBlock]:
    for percent in (0, 50, 100):
        await context.session.report_progress(percent, 100)
    return text("Progress was told three times.")


async def _fail(_: Context, __: dict[str, Any]) -> list[ContentBlock]:
    raise Failed("This tool intentionally returns an error for testing")


async def _answer_at_once(_: Context, __: dict[str, Any]) -> list[ContentBlock]:
    # The suite would have the stream closed before the answer and taken up again: see expected_failures.yml.
    return text("The stream stayed open.")


async def _sample(context: Context, arguments: dict[str, Any]) -> list[ContentBlock]:
    asked = SamplingMessage(role="user", content=TextContent(text=arguments["prompt"]))
    request = CreateMessageRequest(params=CreateMessageRequestParams(messages=[asked], max_tokens=100))
    here = ServerMessageMetadata(related_request_id=context.request_id)
    answer = await context.session.send_request(request, CreateMessageResult, metadata=here)
    return text(f"LLM response: {answer.content}")


async def _elicit(context: Context, message: str, properties: dict[str, Any], required: list[str]) -> str:
    schema = {"type": "object", "properties": properties, "required": required}
    answer = await context.session.elicit_form(message, schema, context.request_id)
    return f"action={answer.action}, content={json.dumps(answer.content)}"


async def _elicit_person(context: Context, arguments: dict[str, Any]) -> list[ContentBlock]:
    properties = {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }
    return text(f"User response: {await _elicit(context, arguments['message'], properties, [*properties])}")


async def _elicit_defaults(context: Context, _: dict[str, Any]) -> list[ContentBlock]:
    properties = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return text(f"Elicitation completed: {await _elicit(context, 'Please fill in', properties, [])}")


async def _elicit_enums(context: Context, _: dict[str, Any]) -> list[ContentBlock]:
    plain = ["option1", "option2", "option3"]
    titled = [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)]
    properties = {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return text(f"Elicitation completed: {await _elicit(context, 'Please choose', properties, [])}")


_TEXT = {"type": "string"}

ROWS: dict[str, Row] = {
    "test_simple_text": Row(_simple),
    "test_image_content": Row(_image),
    "test_audio_content": Row(_audio),
    "test_embedded_resource": Row(_embedded),
    "test_multiple_content_types": Row(_mixed),
    "test_tool_with_logging": Row(_log),
    "test_tool_with_progress": Row(_progress),
    "test_error_handling": Row(_fail),
    "test_reconnection": Row(_answer_at_once),
    "test_sampling": Row(_sample, {"prompt": _TEXT}),
    "test_elicitation": Row(_elicit_person, {"message": _TEXT}),
    "test_elicitation_sep1034_defaults": Row(_elicit_defaults),
    "test_elicitation_sep1330_enums": Row(_elicit_enums),
}

SCHEMA_2020: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"type": "object", "properties": {"street": _TEXT, "city": _TEXT}}},
    "properties": {"name": _TEXT, "address": {"$ref": "#/$defs/address"}},
    "additionalProperties": False,
}
"""Its unusual keywords have to arrive as they are."""


def listed() -> list[Tool]:
    """Give the entries for `tools/list`."""
    tools = [
        Tool(
            name=name,
            description=f"{name}, as the suite wants it",
            input_schema={"type": "object", "properties": row.properties, "required": [*row.properties]},
        )
        for name, row in ROWS.items()
    ]
    special = Tool(name="json_schema_2020_12_tool", description="Never called", input_schema=SCHEMA_2020)
    return [*tools, special]


async def call(context: Context, name: str, arguments: dict[str, Any]) -> CallToolResult:
    """Run a tool; its failure is a result."""
    try:
        if name not in ROWS:
            raise Failed(f"there is no tool {name!r}")
        return CallToolResult(content=await ROWS[name].run(context, arguments))
    except Failed as exc:
        return CallToolResult(content=text(str(exc)), is_error=True)
