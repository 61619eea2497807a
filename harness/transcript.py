"""What a program wrote in a turn, kept for people: bounded, secrets masked, the newest turns only."""

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

CAP_BYTES = 8 * 1024 * 1024
"""Of one turn; what comes after is counted, not kept."""

KEPT = 50
"""Turns whose transcripts stay."""

LAST_WORDS_BYTES = 800

MASK = b"[masked]"


class Transcript:
    """The file of one turn. A full disk costs the transcript, never the turn."""

    def __init__(self, folder: Path, turn: str, *, secrets: Iterable[str] = (), cap_bytes: int = CAP_BYTES) -> None:
        self._path = folder / f"{turn}.log"
        self._secrets = sorted((secret.encode() for secret in secrets if secret), key=len, reverse=True)
        self._cap_bytes = cap_bytes
        self._held: dict[str, bytes] = {}
        """By stream: the end of what came, where it may be the beginning of a secret."""
        self._tail = b""
        self._written = 0
        self.seen_bytes = 0
        """All that came, kept or not."""
        self.problem: str | None = None
        """Why the file is not whole, if it is not."""
        self._file: int | None = None

    def __enter__(self) -> Self:
        try:
            prune(self._path.parent, KEPT - 1)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            self.problem = str(exc)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        for held in self._held.values():
            self._keep(held)
        if self.seen_bytes > self._cap_bytes:
            self._append(f"\n[queenpost: {self.seen_bytes - self._cap_bytes} further bytes were not kept]\n".encode())
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Add what came on one stream."""
        self.seen_bytes += len(data)
        whole = self._held.pop(stream, b"") + data
        for secret in self._secrets:
            whole = whole.replace(secret, MASK)
        cut = len(whole) - max((_begun(whole, secret) for secret in self._secrets), default=0)
        self._held[stream] = whole[cut:]
        self._keep(whole[:cut])

    @property
    def last_words(self) -> str:
        """The end of what came, for whoever has to see why a program ended."""
        return (self._tail + b"".join(self._held.values())).decode(errors="replace").strip()

    def _keep(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-LAST_WORDS_BYTES:]
        room = self._cap_bytes - self._written
        if room > 0:
            self._written += len(data[:room])
            self._append(data[:room])

    def _append(self, data: bytes) -> None:
        if self._file is None:
            return
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as exc:
            self.problem = str(exc)
            os.close(self._file)
            self._file = None


def _begun(data: bytes, secret: bytes) -> int:
    """Give how many bytes at the end of the data may be the beginning of the secret."""
    return next((n for n in range(min(len(secret) - 1, len(data)), 0, -1) if data.endswith(secret[:n])), 0)


def prune(folder: Path, kept: int) -> None:
    """Delete the transcripts of all but the newest turns."""
    files = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in files[kept:]:
        path.unlink(missing_ok=True)
