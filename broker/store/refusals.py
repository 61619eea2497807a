"""What the store refuses, and the one place where an error of SQLite becomes one of ours.

A message says what to do next and shows no detail of the database; that is in the log.
"""

import secrets
import sqlite3
from typing import Final

from wire.errors import Conflict, Full, Internal, QueenpostError, Unavailable
from wire.logs import get_logger

log = get_logger("store")

RETRY: Final = "a retry with the same key is safe"
MEND: Final = "`queenpost restore FILE` with the newest of backups/ mends it, and keeps what is there now"
DAMAGED: Final = f"the database is damaged; no broker may run on it: {MEND}"


class SecondBroker(Conflict):
    """Another broker runs on this home."""


class NotWritable(Unavailable):
    """The home is missing, on a read-only disk, or somebody else's."""


class NotOurs(Unavailable):
    """The file is no database, or another program's."""


class Damaged(Unavailable):
    """The database is corrupt; it was left as it is."""


class HalfRestored(Unavailable):
    """A restore was interrupted: what lies here may be neither the old database nor the new one."""


class NewerSchema(Unavailable):
    """A newer Queenpost made this database; it was left as it is."""


class LocksBroken(Unavailable):
    """The file system does not keep two processes apart."""


class MigrationFailed(Unavailable):
    """The database could not be brought to this release's schema."""


def refusal(error: BaseException) -> QueenpostError:
    """Give the answer for an error that ended a command, a transaction or the opening of a database."""
    if isinstance(error, QueenpostError):
        return error
    if isinstance(error, MemoryError):
        return Unavailable(f"the broker has no memory left: end other programs, then try again; {RETRY}")
    # Only errors that SQLite itself raised have a code; its high bytes are the extended part.
    code = getattr(error, "sqlite_errorcode", None)
    answer = _by_code(code & 0xFF) if isinstance(code, int) else None
    if answer is None:
        return defect()
    log.error("store_failed", sqlite_error=getattr(error, "sqlite_errorname", ""), detail=str(error))
    return answer


def defect() -> Internal:
    """Log a defect that is being handled; the answer holds nothing but the id to find it by."""
    correlation = secrets.token_hex(4)
    log.exception("command_failed", correlation_id=correlation)  # noqa: LOG004  # called by handlers only
    return Internal(f"internal error {correlation}: look for this id in the broker's log", correlation_id=correlation)


def _by_code(code: int) -> QueenpostError | None:
    match code:
        case sqlite3.SQLITE_FULL:
            return Full(f"the disk is full: free disk space where the home lies, then send again; {RETRY}")
        case sqlite3.SQLITE_CORRUPT:
            return Damaged(DAMAGED)
        case sqlite3.SQLITE_NOTADB:
            return NotOurs(f"broker.db is no SQLite database: {MEND}")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return NotWritable(f"the home cannot be written: check its disk and its permissions; {RETRY}")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
            return Unavailable(f"another program holds a lock on the database: end it, then try again; {RETRY}")
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM | sqlite3.SQLITE_INTERRUPT:
            return Unavailable(f"the disk of the home failed (the broker's log says how): check it; {RETRY}")
        case _:
            return None
