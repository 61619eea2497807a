"""The home of a fleet: which folder it is, and what lies where in it (DESIGN 1, 2).

It reads no settings (`wire.settings_file`) and no environment: that is handed in. Files and folders that
nobody else may touch are made by `wire.private_files`.
"""

import hashlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wire.errors import Invalid, QueenpostError
from wire.ids import AGENT_NAME_PATTERN
from wire.private_files import check_private, make_private_folder, write_secret
from wire.topics import check_job_id

LOCAL_NAME = ".queenpost"
"""Folder that `init --here` makes; found from any folder below the one that holds it."""
CONFIG_NAME = "queenpost.toml"
SOCKET_NAME = "broker.sock"
MAX_SOCKET_PATH_BYTES = 103
"""macOS has room for 104 with the closing NUL, Linux for 108."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one fleet. Making one touches nothing; the folder need not exist."""

    root: Path

    @property
    def database(self) -> Path:
        """Opened by the broker alone."""
        return self.root / "broker.db"

    @property
    def backups(self) -> Path:
        """Copies of the database, made by the broker."""
        return self.root / "backups"

    @property
    def logs(self) -> Path:
        """One file per program."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """What only matters while programs run."""
        return self.root / "run"

    @property
    def up_lock(self) -> Path:
        """Held by `queenpost up`."""
        return self.run / "up.lock"

    @property
    def frozen(self) -> Path:
        """Who is frozen (`wire.freeze_file`)."""
        return self.run / "frozen"

    @property
    def secrets(self) -> Path:
        """Tokens, made by the broker."""
        return self.root / "secrets"

    @property
    def operator_secret(self) -> Path:
        """The token of the command line."""
        return self.secrets / "operator"

    @property
    def harness_secret(self) -> Path:
        """The token with which a harness says hello."""
        return self.secrets / "harness"

    def agent_secret(self, name: str) -> Path:
        """The token of an agent."""
        return self.secrets / "agents" / _safe(name)

    def claim(self, job: str) -> Path:
        """What `job claim` wrote for a program outside the fleet, with the job's secret."""
        return self.secrets / "jobs" / check_job_id(job)

    def publisher(self, job: str) -> Path:
        """The outbox of such programs, one for each job."""
        return self.root / "publishers" / check_job_id(job) / "outbox.db"

    @property
    def mqtt_run(self) -> Path:
        """What the fleet's own MQTT broker is started with, and what it keeps."""
        return self.run / "mqtt"

    @property
    def mqtt_secrets(self) -> Path:
        """Passwords at the fleet's own MQTT broker."""
        return self.secrets / "mqtt"

    def mqtt_secret(self, user: str) -> Path:
        """The password of one kind of principal there."""
        return self.mqtt_secrets / _safe(user)

    def agent_state(self, name: str) -> Path:
        """The folder that belongs to an agent."""
        return self.root / "agents" / _safe(name) / "state"

    def agent_harness(self, name: str) -> Path:
        """The folder beside it that belongs to its harness."""
        return self.root / "agents" / _safe(name) / "harness"

    def agent_transcripts(self, name: str) -> Path:
        """What its program wrote: `TURN.log` for each of the newest turns, written by its harness."""
        return self.agent_harness(name) / "transcripts"

    @property
    def layout(self) -> Path:
        """Holds the number of the home's layout (`wire.layout`)."""
        return self.root / "layout"

    @property
    def accounts(self) -> Path:
        """Configuration folders of accounts with a login of their own; made when one is logged in."""
        return self.root / "accounts"

    @property
    def fleet_name(self) -> str:
        """What the fleet is called unless its settings say so."""
        return readable(self.root.parent.name if self.root.name == LOCAL_NAME else self.root.name)

    @property
    def socket(self) -> Path:
        """Where the broker listens, or would. Reads `run/socket`, where the broker notes another place."""
        with suppress(OSError, UnicodeDecodeError):
            noted = Path((self.run / "socket").read_text(encoding="utf-8").strip())
            # A copied or moved home must not lead to the broker of the home that it was.
            if noted.parent.name.startswith(self._socket_folder):
                return noted
        return self.run / SOCKET_NAME

    @property
    def _socket_folder(self) -> str:
        return f"queenpost-{hashlib.sha256(os.fsencode(self.root.resolve())).hexdigest()[:8]}-"

    def create(self) -> None:
        """Make the folders that are missing, for their owner only, and check those that are there.

        Raises:
            Denied: the home is another user's, or others may write to it.
            Invalid: its path is no text, which could not be told to anybody over the link.
        """
        try:
            str(self.root).encode()
        except UnicodeEncodeError:
            raise Invalid(f"the path of the home is not UTF-8: {os.fsencode(self.root)!r}; choose another") from None
        make_private_folder(self.root)
        agents = (self.root / "agents", self.secrets, self.secrets / "agents")
        for folder in (self.backups, self.logs, self.run, *agents):
            make_private_folder(folder)
        ignored = self.root / ".gitignore"
        if self.root.name == LOCAL_NAME and not ignored.exists():
            ignored.write_text("*\n", encoding="utf-8")

    def check(self) -> None:
        """Refuse a home that is missing, is another user's, or that others may write to.

        Raises:
            Invalid: there is none.
            Denied: it is not safe to use; says what to do.
        """
        if not self.root.exists():
            raise Invalid(f"there is no fleet in {self.root}; make one with `queenpost init`")
        check_private(self.root)

    def place_socket(self, env: Mapping[str, str]) -> Path:
        """Decide where the broker listens and note it, if that is not in the home: its path may be too long.

        The broker calls this before it listens; everybody else reads `socket`.

        Raises:
            Invalid: no folder has a path that is short enough.
        """
        usual = self.run / SOCKET_NAME
        if has_room(usual):
            (self.run / "socket").unlink(missing_ok=True)
            return usual
        noted = self.socket
        with suppress(QueenpostError):
            check_private(noted.parent)
            if noted != usual and has_room(noted):
                return noted
        elsewhere = self._socket_elsewhere(env)
        write_secret(self.run / "socket", str(elsewhere))
        return elsewhere

    def _socket_elsewhere(self, env: Mapping[str, str]) -> Path:
        for base in (env.get("XDG_RUNTIME_DIR"), env.get("TMPDIR"), "/tmp"):  # noqa: S108  # mkdtemp is safe there
            if base and has_room(Path(base) / f"{self._socket_folder}12345678" / SOCKET_NAME):
                with suppress(OSError):
                    return Path(tempfile.mkdtemp(prefix=self._socket_folder, dir=base)) / SOCKET_NAME
        raise Invalid(f"{self.run / SOCKET_NAME} is too long for a socket; use a shorter home")

    def config(self, option: str | None = None) -> Path | None:
        """Find `queenpost.toml`: as told, else in the home, else beside `.queenpost/`; None without one.

        Raises:
            Invalid: there are two.
        """
        if option:
            return Path(option).absolute()
        places = [self.root / CONFIG_NAME]
        if self.root.name == LOCAL_NAME:
            places.append(self.root.parent / CONFIG_NAME)
        found = [place for place in places if place.exists()]
        if len(found) > 1:
            raise Invalid(f"two settings files: {found[0]} and {found[1]}; remove one, or name one with --config")
        return found[0] if found else None


def find_home(option: str | None, env: Mapping[str, str], folder: Path) -> Home:
    """Say which home is meant; it need not exist.

    The option `--home`, `$QUEENPOST_HOME`, the nearest `.queenpost/` from `folder` upwards, the one per user.

    Raises:
        Invalid: neither $XDG_STATE_HOME nor $HOME is set.
    """
    named = option or env.get("QUEENPOST_HOME")
    if named:
        return Home(Path(os.path.abspath(folder / named)))
    for above in (folder, *folder.parents):
        if os.path.isdir(above / LOCAL_NAME):
            return Home(above / LOCAL_NAME)
    return Home(state_folder(env, folder))


def state_folder(env: Mapping[str, str], folder: Path) -> Path:
    """Give the folder of the user for what Queenpost keeps: the home of the one fleet per user.

    Raises:
        Invalid: neither $XDG_STATE_HOME nor $HOME is set.
    """
    state = env.get("XDG_STATE_HOME") or (env.get("HOME") and f"{env['HOME']}/.local/state")
    if not state:
        raise Invalid("no home folder: $HOME is not set; name the home of the fleet with --home")
    return folder / state / "queenpost"


def has_room(path: Path) -> bool:
    """Say whether a socket may lie there."""
    return len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES


def _safe(name: str) -> str:
    """Refuse names that would lead out of the home."""
    if not re.fullmatch(AGENT_NAME_PATTERN, name):
        raise Invalid(f"{name[:64]!r} is no name for an agent: lower-case letters, digits and '-', at most 31")
    return name


def readable(name: str) -> str:
    """Make a name of small letters, digits and '-' of any words; two may give the same."""
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:63].strip("-") or "fleet"
