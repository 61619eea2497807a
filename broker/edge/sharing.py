"""Who else on this machine may reach the socket: nobody, or the members of one group (`[link] group`).

The group may enter the home and the folder of the socket, and no more: the database, logs and secrets stay private.
"""

import grp
import os
import stat
from pathlib import Path

from wire.errors import Denied, Invalid
from wire.home import Home
from wire.private_files import FOLDER_MODE

SHARED_MODE = 0o750


def share(home: Home, socket: Path, group: str | None) -> int | None:
    """Open the way to the socket for a group, or close it; gives the id of the group.

    Raises:
        Invalid: no such group, or the socket had to be placed outside of the home.
        Denied: this user may not hand files to the group; says what to do.
    """
    if group is None:
        for folder in (home.root, home.run):
            _close(folder)
        return None
    if socket.parent != home.run:
        raise Invalid(f"[link] group: the socket of {home.root} does not fit into it; use a home with a shorter path")
    number = _id_of(group)
    for folder in (home.run, home.root):
        try:
            os.chown(folder, -1, number)
            folder.chmod(SHARED_MODE)
        except PermissionError as exc:
            raise Denied(
                f"[link] group: this user may not hand {folder} to the group {group!r}; make it a member "
                f"(`usermod -aG {group} USER`, then log in again)"
            ) from exc
    return number


def _id_of(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise Invalid(f"[link] group: there is no group {group!r}; make it with `groupadd {group}`") from None


def _close(folder: Path) -> None:
    """Take back what a group was given; a folder that its owner opened otherwise is left as it is."""
    status = folder.stat()
    if stat.S_IMODE(status.st_mode) == SHARED_MODE and status.st_uid == os.geteuid():
        folder.chmod(FOLDER_MODE)
