"""Credentials: the broker makes every token, keeps its SHA-256, and writes the token to a file of its own.

At start each token that is missing, unreadable or does not match is renewed. A token never crosses the link.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from broker.services import audit
from broker.services.callers import Caller
from broker.services.policy import NO_USER, settings_of
from broker.store.tx import Tx
from wire.errors import Denied
from wire.fleet import Principal
from wire.home import Home
from wire.private_files import draft_secret, publish_secret, read_secret, write_secret

FLEET = ("operator", "harness")
"""Credentials that belong to no agent."""


def digest_of(token: str) -> bytes:
    """Hash a token; tokens are random, so no salt is needed."""
    return hashlib.sha256(token.encode()).digest()


def path_of(home: Home, name: str) -> Path:
    """Give the file of a credential: `operator`, `harness` or `agent:NAME`."""
    return home.agent_secret(name.removeprefix("agent:")) if name.startswith("agent:") else home.secrets / name


def make(home: Home, name: str) -> bytes:
    """Make a new token, write it durably to its file, and give its digest."""
    token = secrets.token_urlsafe(32)
    write_secret(path_of(home, name), token + "\n")
    return digest_of(token)


@dataclass(frozen=True, slots=True)
class Draft:
    """A new token that lies beside the old one: on disk, and good for nothing yet."""

    name: str
    path: Path
    digest: bytes


def draft(home: Home, name: str) -> Draft:
    """Make a token that may take the place of another one."""
    token = secrets.token_urlsafe(32)
    return Draft(name, draft_secret(path_of(home, name), token + "\n"), digest_of(token))


def publish(home: Home, made: Draft) -> None:
    """Let everybody who reads the file find the new token."""
    publish_secret(made.path, path_of(home, made.name))


def sweep(home: Home) -> None:
    """Remove drafts that a broker left when it was killed."""
    for folder in (home.secrets, home.secrets / "agents"):
        for left in folder.glob(".*"):
            left.unlink(missing_ok=True)


def renew_missing(home: Home, names: Iterable[str], known: Mapping[str, bytes]) -> dict[str, bytes]:
    """Make a token for every name whose file is missing or does not match; give the new digests."""
    return {name: make(home, name) for name in names if not _matches(home, name, known.get(name))}


def _matches(home: Home, name: str, digest: bytes | None) -> bool:
    if digest is None:
        return False
    try:
        return digest_of(read_secret(path_of(home, name)).strip()) == digest
    except Exception:  # noqa: BLE001  # whatever is wrong with the file, a new token mends it
        return False


def load(tx: Tx) -> dict[str, bytes]:
    """Read all credentials: name to digest."""
    return {row["name"]: row["sha256"] for row in tx.all("credentials.all")}


def store(tx: Tx, digests: Mapping[str, bytes]) -> None:
    """Write new digests."""
    for name, digest in digests.items():
        tx.run("credentials.put", name=name, sha256=digest, now=tx.now_ms)


def rotate(tx: Tx, caller: Caller, name: str, digest: bytes) -> None:
    """Make the token void that was good before, for this one."""
    store(tx, {name: digest})
    audit.write(tx, caller, "token.rotated", name.removeprefix("agent:"))


def load_pins(tx: Tx) -> dict[str, int]:
    """Read which agents' tokens are good from one user id only."""
    rows = tx.all("agents.summaries", removed=0, name=None, day=None)
    pins = {f"agent:{row['name']}": settings_of(row["settings"]).uid for row in rows}
    return {name: uid for name, uid in pins.items() if uid is not None}


@dataclass(frozen=True, slots=True)
class Shown:
    """What a connection showed when it said hello. The token itself is not kept."""

    digest: bytes
    uid: int | None
    """The user at the other end of the socket; None where the system does not tell."""
    on_socket: bool


class KeyRing:
    """Who has which token, in memory; reloaded after each change."""

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}
        self._pins: Mapping[str, int] = {}

    def reload(self, known: Mapping[str, bytes], pins: Mapping[str, int] | None = None) -> None:
        """Take over the digests and pins as they stand in the database."""
        self._names = {digest: name for name, digest in known.items()}
        self._pins = pins or {}

    def admits(self, shown: Shown) -> bool:
        """Say whether a connection may go on: its token is not void, and its user the right one."""
        name = self._names.get(shown.digest)
        return name is not None and self._is_pinned_to(name, shown)

    def require_uid(self, shown: Shown) -> None:
        """Refuse a token that is shown by another user than the one to whom it belongs.

        Over TLS there is no user id; through ssh it is that of the login.

        Raises:
            Denied: says which user id is expected.
        """
        name = self._names.get(shown.digest, "")
        if not self._is_pinned_to(name, shown):
            who = "a user that cannot be told" if shown.uid is None else f"uid {shown.uid}"
            agent = name.removeprefix("agent:")
            if self._pins[name] == NO_USER:
                raise Denied(
                    f"the stored settings of {agent} are broken: ask the operator, whose `queenpost status` helps"
                )
            raise Denied(
                f"the token of {agent} is good from uid {self._pins[name]} only, and this is "
                f"{who}; run the program as that user, or change `uid` of the agent"
            )

    def _is_pinned_to(self, name: str, shown: Shown) -> bool:
        return not shown.on_socket or name not in self._pins or self._pins[name] == shown.uid

    def principal(self, token: str) -> Principal | None:
        """Say whose token this is. Looked up by its digest, so that timing tells nothing about a token."""
        name = self._names.get(digest_of(token))
        if name is None:
            return None
        if name.startswith("agent:"):
            return Principal(kind="agent", name=name.removeprefix("agent:"))
        return Principal(kind="harness" if name == "harness" else "operator", name=name)

    def is_agent(self, token: str | None, agent: str) -> bool:
        """Say whether this is the token of that agent."""
        return token is not None and self._names.get(digest_of(token)) == f"agent:{agent}"
