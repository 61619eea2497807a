"""Our server in the JSON of a client: one member of one object."""

from collections.abc import Mapping
from typing import Any, cast

from console.mcp_install.json_text import JsonText

NAME = "queenpost"
"""The same in every client, so that a tool is called `mcp__queenpost__send` everywhere."""

OTHER_WAYS = ("url", "httpUrl", "headers", "environment", "cwd")
"""What belongs to another way of reaching a server than ours; left in our entry it would contradict it."""


def with_server(text: JsonText, table: str, entry: Mapping[str, Any]) -> JsonText:
    """Put our server. What a person added to our entry stays; an entry that is right already keeps its bytes.

    Raises:
        NotEditable: the table is no object.
    """
    present = text.get((table, NAME))
    kept = cast("dict[str, Any]", present) if isinstance(present, dict) else {}
    wanted = {**{key: value for key, value in kept.items() if key not in OTHER_WAYS}, **entry}
    return text if present == wanted else text.put((table, NAME), wanted)


def without_server(text: JsonText, table: str) -> JsonText:
    """Take our server out; nothing where it is not in."""
    return text.take((table, NAME))
