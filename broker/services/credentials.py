"""Credentials: the broker makes every token, keeps its SHA-256, and writes the token to a file of its own.

At start each token that is missing, unreadable or does not match is renewed. A token never crosses the link.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from broker.store.tx import Tx
from wire.fleet import Principal
from wire.home import Home
from wire.private_files import read_secret, write_secret


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


class KeyRing:
    """Who has which token, in memory; reloaded after each change."""

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}

    def reload(self, known: Mapping[str, bytes]) -> None:
        """Take over the digests as they stand in the database."""
        self._names = {digest: name for name, digest in known.items()}

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
