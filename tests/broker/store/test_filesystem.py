"""Which file systems count as a network, by tables as the kernel writes them."""

from pathlib import Path

import pytest

from broker.store.filesystem import (
    Mount,
    check_locks,
    mounts_here,
    network_kind,
    parse_macos,
    parse_mountinfo,
)
from broker.store.refusals import LocksBroken

MOUNTINFO = """\
21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 21 0:35 / /mnt/my\\040disk rw,relatime - nfs4 server:/export rw,vers=4.2
41 21 0:36 / /mnt/share rw - cifs //server/share rw
42 21 0:37 / /srv/remote rw,nosuid shared:7 master:3 - fuse.sshfs me@host:/ rw
43 21 0:38 / /overlay rw - fuse.fuse-overlayfs fuse-overlayfs rw
44 41 0:39 / /mnt/share/local rw - tmpfs tmpfs rw
45 21 0:40 / /mnt/c rw - 9p C:\\134 rw
a line that is cut
"""

MACOS = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//me@server/share on /Volumes/share (smbfs, nodev, nosuid, mounted by me)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
"""


def lock_nothing(*_: object) -> None:
    """Be the lock of a file system that has none and does not say so."""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib", None),
        ("/mnt/my disk/home", "nfs4"),
        ("/mnt/share", "cifs"),
        ("/mnt/shared", None),
        ("/mnt/share/local/home", None),
        ("/srv/remote/fleet", "fuse.sshfs"),
        ("/overlay/home", None),
        ("/mnt/c/Users", "9p"),
    ],
)
def test_the_nearest_mount_decides_on_linux(folder: str, kind: str | None) -> None:
    """DESIGN 6: NFS, CIFS and SSHFS are found by the mount table [X13]."""
    assert network_kind(Path(folder), parse_mountinfo(MOUNTINFO)) == kind


def test_a_later_mount_hides_an_earlier_one_on_the_same_point() -> None:
    """Ours: as the kernel does."""
    over = [Mount("/data", "nfs", network=True), Mount("/data", "ext4", network=False)]
    assert network_kind(Path("/data/home"), over) is None
    assert network_kind(Path("/data/home"), over[::-1]) == "nfs"


def test_on_macos_what_is_not_local_is_a_network() -> None:
    """Ours: by what `mount` prints."""
    mounts = parse_macos(MACOS)
    assert network_kind(Path("/Volumes/share/fleet"), mounts) == "smbfs"
    assert network_kind(Path("/opt/fleet"), mounts) is None


def test_a_link_is_followed_to_where_the_home_lies(tmp_path: Path) -> None:
    """Ours: the name of a folder says nothing of its disk."""
    (tmp_path / "there").mkdir()
    (tmp_path / "here").symlink_to(tmp_path / "there")
    assert network_kind(tmp_path / "here", [Mount(str(tmp_path / "there"), "nfs", network=True)]) == "nfs"


def test_this_machines_table_is_read(tmp_path: Path) -> None:
    """Ours: whatever is in it, the root is."""
    assert "/" in {mount.point for mount in mounts_here()}
    assert network_kind(tmp_path, []) is None


def test_the_probe_finds_that_locks_hold_here_and_leaves_nothing(tmp_path: Path) -> None:
    """DESIGN 6: two processes, one file."""
    check_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_probe_finds_locks_that_do_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 6: a lock that another process gets too is none."""
    monkeypatch.setattr("broker.store.filesystem.fcntl.lockf", lock_nothing)
    with pytest.raises(LocksBroken, match="two processes could lock one file"):
        check_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_probe_finds_that_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 6: e.g. NFS without a lock daemon."""

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("broker.store.filesystem.fcntl.lockf", no_locks)
    with pytest.raises(LocksBroken, match="No locks available"):
        check_locks(tmp_path)
