"""Files and folders that only their owner may read: secrets, and the folders they lie in.

It does not know what lies where; `wire.home` does.
"""

import os
import secrets
import stat
from pathlib import Path

from wire.errors import Denied, Invalid

FOLDER_MODE = 0o700
FILE_MODE = 0o600
MAX_SECRET_BYTES = 64 * 1024


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner may enter; one that is there already is checked."""
    try:
        path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as exc:
        raise Invalid(f"cannot make the folder {path}: {exc.strerror}") from exc
    check_private(path)


def check_private(folder: Path) -> None:
    """Refuse a folder into which somebody else could put files.

    Raises:
        Denied: it is another user's, or others may write to it; says what to do.
        Invalid: it is no folder.
    """
    try:
        status = folder.stat()
    except OSError as exc:
        raise Invalid(f"cannot use {folder}: {exc.strerror}") from exc
    if not stat.S_ISDIR(status.st_mode):
        raise Invalid(f"{folder} is in the way and no folder; move it elsewhere")
    if status.st_uid != os.geteuid():
        raise Denied(
            f"{folder} belongs to uid {status.st_uid}, you are uid {os.geteuid()}; "
            "work as its owner, or name another home with --home"
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Denied(f"others may write to {folder}; take that away with `chmod go-w {folder}`")


def write_secret(path: Path, text: str) -> None:
    """Put a secret into a file of mode 0600, whole or not at all; durable once this returns."""
    publish_secret(draft_secret(path, text), path)


def draft_secret(path: Path, text: str) -> Path:
    """Write a secret beside the file that it is for; gives where. Durable as soon as it is published."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        os.fchmod(descriptor, FILE_MODE)  # whatever the umask took away
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft


def publish_secret(draft: Path, path: Path) -> None:
    """Let a draft take the place of the file; durable once this returns. A draft that cannot is gone."""
    try:
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were added, renamed or removed in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_secret(path: Path) -> str:
    """Read a secret, without the line break at its end.

    Raises:
        Denied: it is missing, or others may read it; says what to do.
        Invalid: it is empty, too long, no regular file, or not text.
    """
    try:
        # Non-blocking: a FIFO without a writer must not hang the caller before it is refused.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise Denied(f"cannot read the secret {path}: {exc.strerror}") from exc
    with os.fdopen(descriptor, "rb") as file:
        check_readers(path, os.fstat(file.fileno()))
        data = file.read(MAX_SECRET_BYTES + 1)
    return _as_secret(path, data)


def read_descriptor(descriptor: int) -> str:
    """Read a secret from an open descriptor, which stays open; it can be read once.

    Raises:
        Invalid: it is not open for reading, or what it gives is no secret.
    """
    place = Path(f"descriptor {descriptor}")
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_SECRET_BYTES + 1)
    except OSError as exc:
        raise Invalid(f"cannot read the secret from {place}: {exc.strerror}") from exc
    return _as_secret(place, data)


def check_readers(path: Path, status: os.stat_result) -> None:
    """Refuse a secret that others may read.

    Raises:
        Denied: they may; says what to do. Invalid: it is no regular file.
    """
    if not stat.S_ISREG(status.st_mode):
        raise Invalid(f"the secret {path} is no regular file")
    if status.st_mode & 0o077:
        raise Denied(f"others may read the secret {path}; take that away with `chmod 600 {path}`")


def _as_secret(path: Path, data: bytes) -> str:
    if len(data) > MAX_SECRET_BYTES:
        raise Invalid(f"the secret {path} is over {MAX_SECRET_BYTES} bytes; is that the right file?")
    try:
        text = data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise Invalid(f"the secret {path} is not text; is that the right file?") from None
    if not text:
        raise Invalid(f"the secret {path} is empty")
    return text
