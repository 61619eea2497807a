"""A session beside an agent's own: its program anew, at a desk that gives nothing but a place for shorter notes."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from harness.accounts import Account
from harness.backends.protocol import Backend, NotStartedError
from harness.backends.seat import Seat
from harness.backends.tool_calls import ToolCalls
from harness.compaction import ASIDE, Compactor
from harness.notes import Notes
from harness.post import Post
from harness.reporting import Reporter
from harness.supervision.house import House
from harness.tidying import Tidier
from harness.warmth import unbounded
from mcp_tools.notes import NotesDesk


def tidier_of(house: House, seat: Seat, post: Post, account: Account, reporter: Reporter) -> Tidier:
    """Give what makes the notes of a seat's agent shorter between its turns."""

    @contextmanager
    def open_beside(desk: NotesDesk) -> Generator[Backend]:
        token = house.bearers.issue(desk, beside=ASIDE)
        try:
            yield _backend(house, seat, token)
        finally:
            house.bearers.revoke(desk.agent, beside=ASIDE)

    notes = Notes(seat.workspace, seat.settings.notes_max_bytes)
    compactor = Compactor(notes, seat.workspace, open_beside, house.clock)
    return Tidier(compactor, post, account, reporter, house.clock, seat.secrets)


def _backend(house: House, seat: Seat, token: str) -> Backend:
    """Give the agent's program for one session that may do nothing but call our tool.

    Raises:
        NotStartedError: it has none.
    """
    quiet: dict[str, object] = {"permissions": "deny", "allowed_tools": [], "warm": False}
    backend = house.choose(
        replace(
            seat,
            workspace=replace(seat.workspace, aside=ASIDE),
            settings=seat.settings.model_copy(update=quiet),
            mcp_token=token,
            place=unbounded(),
            tools=ToolCalls(),
        )
    )
    if backend is None:
        raise NotStartedError("missing_program", "its backend is 'none'")
    return backend
