"""What kind of file system a home lies on. WAL needs shared memory, which a network does not give."""

import errno
import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.store.refusals import LocksBroken
from wire.private_files import FILE_MODE, sync_folder

MOUNTINFO: Final = Path("/proc/self/mountinfo")
PROBE_DEADLINE_S: Final = 20.0

_NETWORK: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs"}
) | {"nfs", "nfs4", "ocfs2", "smb3", "smbfs", "vboxsf", "virtiofs"}
_LOCAL_FUSE: Final = frozenset({"fuse.fuse-overlayfs", "fuse.bindfs"})
"""Any other `fuse.*` counts as a network: sshfs, rclone, s3fs and many more."""

_MACOS_LINE: Final = re.compile(r"^.* on (/.*) \((\w+)(.*)\)$")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")

_TRY_TO_LOCK: Final = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(0)
sys.exit(7)
"""


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of the mount table."""

    point: str
    kind: str
    network: bool


Mounts = Callable[[], Iterable[Mount]]


def mounts_here() -> list[Mount]:
    """Read this machine's mount table; empty where there is none that we know to read."""
    if MOUNTINFO.exists():
        return parse_mountinfo(MOUNTINFO.read_text("utf-8", "replace"))
    try:
        table = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_macos(table)


def parse_mountinfo(text: str) -> list[Mount]:
    """Read Linux's table (proc(5), /proc/pid/mountinfo)."""
    mounts: list[Mount] = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        if len(left.split()) < 5 or not right:
            continue
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), left.split()[4])
        kind = right.split()[0]
        fuse = kind.startswith("fuse.") and kind not in _LOCAL_FUSE
        mounts.append(Mount(point, kind, network=kind in _NETWORK or fuse))
    return mounts


def parse_macos(text: str) -> list[Mount]:
    """Read what `mount` prints on macOS, where a local file system is called so."""
    found = (_MACOS_LINE.match(line) for line in text.splitlines())
    return [Mount(match[1], match[2], network=", local" not in match[3]) for match in found if match]


def mount_of(folder: Path, mounts: Iterable[Mount]) -> Mount | None:
    """Give the mount that a folder lies on; None where the table does not say."""
    place = Path(os.path.realpath(folder))
    # A later mount on the same point hides the earlier one.
    over = [mount for mount in mounts if place.is_relative_to(mount.point)]
    return max(reversed(over), key=lambda mount: len(mount.point), default=None)


def network_kind(folder: Path, mounts: Iterable[Mount]) -> str | None:
    """Give the kind of the network file system that a folder lies on; None if it is a local one."""
    mount = mount_of(folder, mounts)
    return mount.kind if mount and mount.network else None


def sync_names(folder: Path) -> None:
    """Make names in a folder durable; a file system that cannot do so for folders keeps them its own way."""
    try:
        sync_folder(folder)
    except OSError as exc:
        if exc.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EBADF}:
            raise


def check_locks(folder: Path) -> None:
    """See whether a lock that this process holds keeps another one out.

    Raises:
        LocksBroken: it does not; two brokers would destroy the database.
    """
    probe = folder / f".lock-probe-{os.getpid()}"
    descriptor = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        # The kind of lock that SQLite takes.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other = subprocess.run(
            [sys.executable, "-I", "-c", _TRY_TO_LOCK, str(probe)], timeout=PROBE_DEADLINE_S, check=False
        )
        if other.returncode != 0:
            raise LocksBroken(f"two processes could lock one file in {folder}: choose a home on a local disk")
    except (OSError, subprocess.SubprocessError) as exc:
        raise LocksBroken(f"the locks of {folder} cannot be relied on ({exc}): choose a home on a local disk") from exc
    finally:
        os.close(descriptor)
        probe.unlink(missing_ok=True)
