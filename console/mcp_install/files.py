"""A configuration file of another program: read, changed whole or not at all, with a copy of what was before."""

import difflib
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from wire.errors import Conflict, Invalid
from wire.private_files import sync_folder

BACKUP = ".queenpost-backup"
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Source:
    """What stands in a file now."""

    path: Path
    data: bytes | None
    """None where there is no file."""

    @property
    def text(self) -> str:
        """The text without a byte order mark.

        Raises:
            Invalid: it is no text.
        """
        try:
            return (self.data or b"").decode("utf-8").removeprefix(_BOM)
        except UnicodeDecodeError as exc:
            line = (self.data or b"").count(b"\n", 0, exc.start) + 1
            raise Invalid(f"{self.path}:{line}: not UTF-8 (the file was left as it is)") from None

    def bytes_of(self, text: str) -> bytes:
        """Give what to write for a text, with the mark where there was one."""
        return (_BOM if (self.data or b"").startswith(_BOM.encode()) else "").encode() + text.encode()


@dataclass(frozen=True, slots=True)
class Edit:
    """A file as it is and as it is meant to be."""

    source: Source
    text: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.source.path

    @property
    def changes(self) -> bool:
        """Say whether anything would be written."""
        if self.source.data is None:
            return bool(self.text)
        return self.source.bytes_of(self.text) != self.source.data

    def diff(self) -> str:
        """Show what would change, as `diff -u` does."""
        before = self.source.text.splitlines(keepends=True)
        lines = difflib.unified_diff(before, self.text.splitlines(keepends=True), str(self.path), str(self.path))
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

    def write(self) -> Path | None:
        """Put the new text in place; gives the copy of the old one, None where there was no file.

        A symbolic link stays one: what it leads to is replaced, and keeps its mode.

        Raises:
            Conflict: somebody else changed the file since it was read.
            Invalid: it cannot be written.
        """
        target = Path(os.path.realpath(self.path))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            backup = self._back_up(target)
            _replace(target, self.source.bytes_of(self.text), self.source.data)
        except OSError as exc:
            raise Invalid(f"cannot write {self.path}: {exc.strerror}; it was left as it is") from exc
        return backup

    def _back_up(self, target: Path) -> Path | None:
        if self.source.data is None:
            return None
        mode = target.stat().st_mode & 0o777
        backup = self.path.with_name(self.path.name + BACKUP)
        if os.path.lexists(backup):
            backup = backup.with_name(f"{backup.name}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}")
        _write_new(backup, self.source.data, mode)
        return backup


def read(path: Path) -> Source:
    """Read a file; one that is missing is none.

    Raises:
        Invalid: it cannot be read.
    """
    try:
        return Source(path, path.read_bytes())
    except FileNotFoundError:
        if path.is_symlink():
            raise Invalid(f"{path} leads nowhere; remove it, or make what it leads to") from None
        return Source(path, None)
    except OSError as exc:
        raise Invalid(f"cannot read {path}: {exc.strerror}") from exc


def _replace(target: Path, data: bytes, before: bytes | None) -> None:
    mode = target.stat().st_mode & 0o777 if before is not None else None
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    _write_new(temporary, data, mode)
    try:
        if (target.read_bytes() if target.exists() else None) != before:
            raise Conflict(f"{target} was changed at this moment by somebody else and was left as it is; try again")
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def _write_new(path: Path, data: bytes, mode: int | None) -> None:
    """Write a file that is not there yet; without a mode it gets the usual one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
    with os.fdopen(descriptor, "wb") as file:
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
