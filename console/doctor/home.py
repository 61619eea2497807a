"""Whether the home of a fleet is as it should be: folders, secrets, socket, settings, disk. Needs no broker."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from console.doctor.verdict import Verdict
from wire.errors import QueenpostError
from wire.home import Home, has_room
from wire.private_files import check_private, read_secret
from wire.settings import Limits
from wire.settings_file import read_settings

MIB = 1024 * 1024


def checks(home: Home, config: Path | None) -> Iterator[Verdict]:
    """Look at a home that is there."""
    yield from _folders(home)
    yield _secrets(home)
    yield _socket(home)
    settings, limits = _settings(home, config)
    yield settings
    yield disk(_free_bytes(home.root), limits)


def _folders(home: Home) -> Iterator[Verdict]:
    for name, folder in (("home", home.root), ("secrets folder", home.secrets), ("run folder", home.run)):
        if not folder.exists():
            yield Verdict(name, "warning", f"{folder} is missing", "`queenpost up` makes it")
            continue
        try:
            check_private(folder)
        except QueenpostError as exc:
            yield Verdict(name, "error", exc.message, f"chmod go-w {folder}")
            continue
        others = stat.S_IMODE(folder.stat().st_mode) & stat.S_IRWXO
        if others:
            yield Verdict(name, "warning", f"everybody on this machine may look into {folder}", f"chmod o-rwx {folder}")
        elif name == "home":
            yield Verdict(name, "ok", str(folder))


def _secrets(home: Home) -> Verdict:
    """Read each token that lies here, as programs would."""
    agents = home.secrets / "agents"
    tokens = [home.operator_secret, home.harness_secret]
    try:
        # Hidden ones are being written at this moment.
        tokens += sorted(path for path in agents.iterdir() if not path.name.startswith("."))
    except OSError as exc:
        return Verdict("tokens", "error", f"cannot look into {agents}: {exc.strerror}", "`queenpost up` makes it")
    for path in tokens:
        try:
            read_secret(path)
        except QueenpostError as exc:
            mend = (
                f"chmod 600 {path}"
                if path.exists()
                else "start the broker anew, which makes what is missing: `queenpost up`"
            )
            return Verdict("tokens", "error", exc.message, mend)
    return Verdict("tokens", "ok", f"{len(tokens)} of them, each for its owner only")


def _socket(home: Home) -> Verdict:
    usual = home.run / "broker.sock"
    if has_room(usual):
        return Verdict("socket path", "ok", str(home.socket))
    if home.socket != usual:
        return Verdict("socket path", "note", f"{usual} is too long for a socket; the broker listens on {home.socket}")
    return Verdict("socket path", "note", f"{usual} is too long for a socket; the broker will choose another place")


def _settings(home: Home, config: Path | None) -> tuple[Verdict, Limits]:
    if config is None:
        return Verdict("settings", "ok", "no queenpost.toml; agents are added by command"), Limits()
    try:
        settings = read_settings(config, home=home.root)
    except QueenpostError as exc:
        return Verdict("settings", "error", exc.message, f"edit {config}, then `queenpost apply`"), Limits()
    return Verdict("settings", "ok", f"{config}, {len(settings.agents)} agents"), settings.limits


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def disk(free: int | None, limits: Limits) -> Verdict:
    """Compare what is free with what the broker keeps back for acks and the operator."""
    if free is None:
        return Verdict("disk", "warning", "how much is free cannot be told", f"look at the disk: df -h {os.sep}")
    said = f"{free // MIB:,} MiB free"
    reserve = limits.disk_headroom_bytes
    if free < reserve:
        return Verdict(
            "disk",
            "error",
            f"{said}, less than the {reserve // MIB} MiB kept back: sends are refused",
            "free some space",
        )
    if free < 4 * reserve:
        return Verdict("disk", "warning", f"{said}; below {reserve // MIB} MiB sends are refused", "free some space")
    return Verdict("disk", "ok", said)
