"""Reading back what a model is shown: how a careful reader finds the messages in a tool result."""

import re
from dataclasses import dataclass

from mcp.types import CallToolResult, TextContent

_OPEN = re.compile(r"<mail-([0-9a-f]{10})((?: [a-z_]+=\"[^\"<>\n]*\")*)>\n")
_PAIR = re.compile(r" ([a-z_]+)=\"([^\"]*)\"")


@dataclass(frozen=True)
class Framed:
    """One message as it was read."""

    attributes: dict[str, str]
    body: str


def framed(text: str) -> list[Framed]:
    """Find the messages: the first frame names the boundary, and nothing else with that boundary is text."""
    first = _OPEN.search(text)
    if first is None:
        return []
    boundary = first[1]
    found: list[Framed] = []
    for match in re.finditer(rf"^<mail-{boundary}(.*)>\n((?:.|\n)*?)\n</mail-{boundary}>$", text, re.MULTILINE):
        found.append(Framed(dict(_PAIR.findall(match[1])), match[2]))
    return found


def text_of(result: CallToolResult) -> str:
    """Give the text of a tool result, which is all there is."""
    assert result.structured_content is None
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text
