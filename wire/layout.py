"""The layout of a home: which version it has, and how a home of an earlier one is brought up to this one.

Since layout 2 an agent's own folder (`agents/NAME/state`) holds nothing of ours: what a harness keeps lies beside it,
in `agents/NAME/harness`. Only files that are known by their names to be a harness' own are moved; whatever else lies
in an agent's folder is the agent's, and is not touched. The database has migrations of its own.
"""

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from wire.errors import Invalid, QueenpostError
from wire.home import Home
from wire.ids import AGENT_NAME_PATTERN
from wire.private_files import make_private_folder, sync_folder, write_secret

LAYOUT = 2
"""The one that this program knows."""
MANAGER = "manager"
"""Whose folder the bare `state/` of layout 1 was."""
OURS = re.compile(r"hyperhive-(events\.sqlite|turn-stats\.sqlite)(-wal|-shm|-journal)?|hyperhive-model")
"""What a harness kept in the agent's own folder in layout 1."""


@dataclass(slots=True)
class Migration:
    """What was done to a home. Empty where it had the present layout."""

    moved: list[str] = field(default_factory=list[str])
    """`from -> to`, relative to the home."""
    left: list[str] = field(default_factory=list[str])
    """What stayed where it was, and why; both sides of a clash are kept."""
    failed: bool = False
    """Something could not be moved: it is tried again at the next start."""


def version_of(home: Home) -> int:
    """Give the layout of a home; 1 where nothing says it.

    Raises:
        Invalid: the file that should say it does not.
    """
    try:
        text = home.layout.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return 1
    except (OSError, UnicodeDecodeError) as exc:
        raise Invalid(f"{home.layout} cannot be read ({exc}); it holds the number of the home's layout") from exc
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise Invalid(f"{home.layout} does not hold the number of the home's layout; delete it to have it found anew")
    return int(text)


def require_known(home: Home) -> None:
    """Refuse a home that a newer program has laid out.

    Raises:
        Invalid: says which version of the layout it has.
    """
    version = version_of(home)
    if version > LAYOUT:
        raise Invalid(
            f"the home {home.root} has layout {version}, and this program knows {LAYOUT} only; "
            "use the newer queenpost that made it"
        )


def bring_up_to_date(home: Home) -> Migration:
    """Give a home the present layout; says what it moved and what it left.

    Idempotent, and safe to be ended at any moment: each file is moved by itself and never over another one, and that
    the home has the new layout is written down last.

    Raises:
        Invalid: the home is of a newer layout.
    """
    require_known(home)
    done = Migration()
    if version_of(home) == LAYOUT:
        return done
    bare = home.root / "state"
    if _is_folder(bare):
        _guarded(done, bare, lambda: _empty_bare(home, bare, done))
    for state in sorted((home.root / "agents").glob("*/state")):
        if re.fullmatch(AGENT_NAME_PATTERN, state.parent.name) and _is_folder(state):
            _guarded(done, state, lambda: _part(home, state, state.parent.name, done))  # noqa: B023  # used at once
    if not done.failed:
        write_secret(home.layout, str(LAYOUT))
    return done


def _guarded(done: Migration, folder: Path, step: Callable[[], None]) -> None:
    """Let one folder that cannot be changed not stand in the way of the others, nor of a start."""
    try:
        step()
    except (OSError, QueenpostError) as exc:
        done.failed = True
        done.left.append(f"{folder}: {exc}")


def _part(home: Home, folder: Path, agent: str, done: Migration) -> None:
    """Move what is ours out of an agent's folder."""
    ours = [path for path in sorted(folder.iterdir()) if OURS.fullmatch(path.name)]
    if not ours:
        return
    make_private_folder(home.agent_harness(agent))
    for path in ours:
        _move(home, path, home.agent_harness(agent) / path.name, done)
    sync_folder(home.agent_harness(agent))
    sync_folder(folder)


def _move(home: Home, path: Path, target: Path, done: Migration) -> None:
    """Move one file, under two names for a moment: a rename would go over what is there."""
    if not stat.S_ISREG(path.lstat().st_mode):
        done.left.append(f"{_name(home, path)} is no ordinary file")
        return
    try:
        os.link(path, target)
    except FileExistsError:
        if not target.samefile(path):
            done.left.append(f"{_name(home, path)}: there is another {_name(home, target)}; both are kept")
            return
    path.unlink()
    done.moved.append(f"{_name(home, path)} -> {_name(home, target)}")


def _empty_bare(home: Home, bare: Path, done: Migration) -> None:
    """Give the manager its folder: what is ours first, then the folder as it is, unless it has one already."""
    _part(home, bare, MANAGER, done)
    target = home.agent_state(MANAGER)
    make_private_folder(target.parent)
    if target.is_symlink() or (target.exists() and any(target.iterdir())):
        done.left.append(f"{_name(home, bare)}: {MANAGER} has files in {_name(home, target)} already; both are kept")
        return
    bare.rename(target)  # over an empty folder, if there is one
    sync_folder(target.parent)
    sync_folder(home.root)
    done.moved.append(f"{_name(home, bare)} -> {_name(home, target)}")


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _name(home: Home, path: Path) -> str:
    return str(path.relative_to(home.root))
