"""An agent's notes as files: how large they are, how they are replaced by a shorter text, what the agent is told.

`notes.md` belongs to the agent, which may write it at any moment: what replaces it was made from exactly what lies
there, or it is refused. The text as it was, with the difference, stays in `harness/notes/` for the operator.
"""

import difflib
import json
import os
import stat
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.tally import NOTES
from harness.workspace import Workspace
from prompts.loader import render
from wire.logs import get_logger
from wire.private_files import make_private_folder, sync_folder, write_secret

KEPT = 20
"""Former texts that stay."""
LONGEST_BYTES = 256 * 1024
"""Longer notes are not given to a model."""
KIB = 1024

log = get_logger("notes")


class NotesRefusedError(Exception):
    """The new text cannot take the place of the old one; the message says why."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The notes at one moment."""

    data: bytes
    mode: int

    @property
    def text(self) -> str:
        """What stands in them."""
        return self.data.decode()


@dataclass(frozen=True, slots=True)
class News:
    """What the agent has to hear about its notes."""

    before_bytes: int
    after_bytes: int


class Notes:
    """The notes of one agent."""

    def __init__(self, workspace: Workspace, most_bytes: int) -> None:
        self.path = workspace.state / NOTES
        self.most_bytes = most_bytes
        self.folder = workspace.home.agent_harness(workspace.agent) / "notes"
        self._told = False
        """The agent's last prompt held the news."""

    @property
    def size(self) -> int:
        """How large they are; 0 where there are none, or what lies there is no file."""
        try:
            status = self.path.lstat()
        except OSError:
            return 0
        return status.st_size if stat.S_ISREG(status.st_mode) else 0

    @property
    def are_too_large(self) -> bool:
        """Say whether they should be shorter."""
        return self.most_bytes > 0 and self.size > self.most_bytes

    # --- shortening ---------------------------------------------------------------------------------

    def read(self) -> Snapshot:
        """Read them as they are.

        Raises:
            NotesRefusedError: they are no text, too long for a model, or not the agent's own file.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise NotesRefusedError(f"{self.path} is no ordinary file")
                data = file.read(LONGEST_BYTES + 1)
            data.decode()
        except (OSError, UnicodeDecodeError) as exc:
            raise NotesRefusedError(f"{self.path} cannot be read: {exc}") from exc
        if len(data) > LONGEST_BYTES:
            raise NotesRefusedError(f"{self.path} is over {LONGEST_BYTES // KIB} KiB; no model gets that")
        return Snapshot(data, stat.S_IMODE(status.st_mode))

    def check(self, before: Snapshot, text: str) -> None:
        """Refuse a text that cannot take the place of what was there.

        Raises:
            NotesRefusedError: it is empty, or not shorter.
        """
        if not text.strip():
            raise NotesRefusedError("it is empty")
        size = len(text.encode(errors="replace"))
        if size >= len(before.data):
            raise NotesRefusedError(f"it has {size} bytes, and the notes have {len(before.data)}: make it shorter")

    def replace(self, before: Snapshot, text: str, now_ms: int) -> News:
        """Put the new text in the place of the old one, at once and as a whole; keep the old one and the difference.

        Raises:
            NotesRefusedError: see `check`; or the agent has written its notes since. Nothing was changed.
            OSError: a disk refuses. The notes are the old ones, or the new ones.
        """
        self.check(before, text)
        data = (text.rstrip("\n") + "\n").encode(errors="replace")
        make_private_folder(self.folder)
        self._keep(before, data.decode(), now_ms)
        draft = self.folder / "new.md"
        write_secret(draft, data.decode().removesuffix("\n"))
        draft.chmod(before.mode)
        if self.read() != before:
            draft.unlink(missing_ok=True)
            raise NotesRefusedError("the agent has written its notes meanwhile")
        draft.replace(self.path)
        sync_folder(self.path.parent)
        news = News(len(before.data), len(data))
        write_secret(self._news, json.dumps(asdict(news)))
        return news

    def _keep(self, before: Snapshot, after: str, now_ms: int) -> None:
        """Write the former text and the difference down, before anything is replaced."""
        name = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        lines = difflib.unified_diff(
            before.text.splitlines(), after.splitlines(), "notes.md before", "notes.md after", lineterm=""
        )
        write_secret(self.folder / f"{name}.md", before.text.removesuffix("\n"))
        write_secret(self.folder / f"{name}.diff", "\n".join(lines))
        for old in sorted(self.folder.glob("*Z.md"))[:-KEPT]:
            old.with_suffix(".diff").unlink(missing_ok=True)
            old.unlink(missing_ok=True)

    # --- what the agent is told ---------------------------------------------------------------------

    @property
    def _news(self) -> Path:
        return self.folder / "news.json"

    def hints(self) -> list[str]:
        """Give what the next prompt should say about the notes."""
        if (news := self._read_news()) is not None:
            self._told = True
            sizes = {"before_kib": kib(news.before_bytes), "after_kib": kib(news.after_bytes)}
            return [render("turns/notes_news.md.j2", path=self.path, **sizes)]
        if self.are_too_large:
            sizes = {"kib": kib(self.size), "most_kib": kib(self.most_bytes)}
            return [render("turns/notes_nudge.md.j2", path=self.path, **sizes)]
        return []

    def heard(self) -> None:
        """The turn whose prompt held the news was finished: they are told."""
        if self._told:
            self._told = False
            self._news.unlink(missing_ok=True)

    def _read_news(self) -> News | None:
        try:
            found: dict[str, Any] = json.loads(self._news.read_text(encoding="utf-8"))
            return News(int(found["before_bytes"]), int(found["after_bytes"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None


def kib(size: int) -> str:
    """Write a number of bytes."""
    return f"{size / KIB:.1f}".removesuffix(".0")
