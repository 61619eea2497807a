"""The one tool of a session that makes an agent's notes shorter: save_notes. It sees no mail and reaches nobody.

Such a session runs between two turns of the agent, as the agent's own program, but at a desk of its own.
"""

from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import Field

from mcp_tools.claims import Claims, nowhere
from mcp_tools.desk import Received
from mcp_tools.tool import Arguments, Call, Tool
from wire.errors import Denied
from wire.jobs import Job
from wire.model import Request, Result
from wire.settings import Role

R = TypeVar("R", bound=Result)

NOTHING_ELSE = "this session only makes notes shorter; call save_notes and stop"


class NotesDesk:
    """See `mcp_tools.desk.Desk`: one that gives nothing but a place for the new text."""

    def __init__(self, agent: str, save: Callable[[str], str]) -> None:
        self.agent = agent
        self.role: Role = "agent"
        self.save = save
        """Takes the new text, and says what became of it.

        Raises:
            Invalid: it cannot be used; says why.
        """
        self.claims = Claims(self, nowhere, lambda: 0)

    async def claim_job(self) -> Job | None:
        """Refuse: there is no work here."""
        raise Denied(NOTHING_ELSE)

    async def call(self, request: Request, result: type[R], *, timeout_s: float = 30.0) -> R:
        """Refuse: there is no broker here."""
        raise Denied(NOTHING_ELSE)

    async def recv(self, *, maximum: int, wait_s: float, done: str | None) -> Received:
        """Refuse: there is no mail here."""
        raise Denied(NOTHING_ELSE)

    async def give_back(self, received: Received) -> None:
        """Nothing was received."""

    async def written(self, received: Received) -> None:
        """Nothing was received."""


class SaveNotes(Arguments):
    """Arguments of save_notes."""

    text: Annotated[str, Field(min_length=1)]


async def save_notes(call: Call, arguments: SaveNotes) -> str:
    """Hand in the new text."""
    if not isinstance(call.desk, NotesDesk):
        raise Denied("there are no notes to be made shorter here")
    return call.desk.save(arguments.text)


TOOLS = (
    Tool(
        "save_notes",
        "Hand in the whole new text of the notes, which takes the place of the old one. Once; then stop.",
        SaveNotes,
        save_notes,
    ),
)
