"""The resources, prompts and completions that the conformance scenarios ask for, under the suite's names."""

import json
from collections.abc import Callable
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    BlobResourceContents,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)

from mcp_tools.server import Context
from tests.conformance.tools import PIXEL, image, resource

TEXTS = {
    "test://static-text": "This is the content of the static text resource.",
    "test://watched-resource": "Watched resource content",
}
BINARY = "test://static-binary"
TEMPLATE = "test://template/{id}/data"


async def list_resources(_: Context, __: PaginatedRequestParams | None) -> ListResourcesResult:
    """See `resources/list`."""
    return ListResourcesResult(resources=[Resource(uri=uri, name=uri) for uri in (*TEXTS, BINARY)])


async def list_templates(_: Context, __: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
    """See `resources/templates/list`."""
    return ListResourceTemplatesResult(resource_templates=[ResourceTemplate(uri_template=TEMPLATE, name="template")])


async def read_resource(_: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
    """See `resources/read`."""
    uri = str(params.uri)
    if uri == BINARY:
        return ReadResourceResult(contents=[BlobResourceContents(uri=uri, mime_type="image/png", blob=PIXEL)])
    return ReadResourceResult(contents=[_read_text(uri)])


def _read_text(uri: str) -> TextResourceContents:
    before, _, after = TEMPLATE.partition("{id}")
    if uri.startswith(before) and uri.endswith(after):
        number = uri.removeprefix(before).removesuffix(after)
        data = json.dumps({"id": number, "templateTest": True, "data": f"Data for ID: {number}"})
        return TextResourceContents(uri=uri, mime_type="application/json", text=data)
    if uri not in TEXTS:
        raise MCPError(INVALID_PARAMS, f"there is no resource {uri!r}")
    return TextResourceContents(uri=uri, mime_type="text/plain", text=TEXTS[uri])


async def subscribe(_: Context, __: SubscribeRequestParams) -> EmptyResult:
    """See `resources/subscribe`: nothing here ever changes, so there is nothing to keep."""
    return EmptyResult()


async def unsubscribe(_: Context, __: UnsubscribeRequestParams) -> EmptyResult:
    """See `resources/unsubscribe`."""
    return EmptyResult()


def _say(*contents: Any) -> list[PromptMessage]:
    return [PromptMessage(role="user", content=content) for content in contents]


def _with_arguments(given: dict[str, str]) -> list[PromptMessage]:
    words = f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"
    return _say(TextContent(text=words))


def _with_resource(given: dict[str, str]) -> list[PromptMessage]:
    carried = resource(given["resourceUri"], "text/plain", "Embedded resource content for testing.")
    return _say(carried, TextContent(text="Please process the embedded resource above."))


PROMPTS: dict[str, tuple[list[str], Callable[[dict[str, str]], list[PromptMessage]]]] = {
    "test_simple_prompt": ([], lambda _: _say(TextContent(text="This is a simple prompt for testing."))),
    "test_prompt_with_arguments": (["arg1", "arg2"], _with_arguments),
    "test_prompt_with_embedded_resource": (["resourceUri"], _with_resource),
    "test_prompt_with_image": ([], lambda _: _say(image(), TextContent(text="Please analyze the image above."))),
}
"""Required arguments and messages by name."""


async def list_prompts(_: Context, __: PaginatedRequestParams | None) -> ListPromptsResult:
    """See `prompts/list`."""
    prompts = [
        Prompt(
            name=name,
            description=f"{name}, as the suite wants it",
            arguments=[PromptArgument(name=argument, required=True) for argument in arguments],
        )
        for name, (arguments, _) in PROMPTS.items()
    ]
    return ListPromptsResult(prompts=prompts)


async def get_prompt(_: Context, params: GetPromptRequestParams) -> GetPromptResult:
    """See `prompts/get`."""
    if params.name not in PROMPTS:
        raise MCPError(INVALID_PARAMS, f"there is no prompt {params.name!r}")
    return GetPromptResult(messages=PROMPTS[params.name][1](params.arguments or {}))


async def complete(_: Context, params: CompleteRequestParams) -> CompleteResult:
    """See `completion/complete`."""
    values = [value for value in ("test", "testing", "tested") if value.startswith(params.argument.value)]
    return CompleteResult(completion=Completion(values=values, total=len(values), has_more=False))
