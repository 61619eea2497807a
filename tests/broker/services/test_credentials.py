"""Tokens: made by the broker, kept as digests, written to files that only their owner may read."""

import hashlib
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.services import credentials
from broker.services.credentials import KeyRing, Shown
from tests.fakes.office import FakeOffice
from wire.errors import Denied
from wire.fleet import Principal
from wire.home import Home
from wire.private_files import read_secret
from wire.settings import AgentSettings

NAMES = ("operator", "harness", "agent:bob")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with its folders."""
    home = Home(tmp_path / "home")
    home.create()
    return home


def test_a_token_is_written_for_its_owner_only(home: Home) -> None:
    """[Z7] DESIGN 4: 0600; the broker keeps the SHA-256 and nothing else."""
    digest = credentials.make(home, "agent:bob")
    path = home.agent_secret("bob")
    token = read_secret(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert digest == hashlib.sha256(token.encode()).digest()
    assert len(token) >= 43


def test_every_credential_has_a_file_of_its_own(home: Home) -> None:
    """DESIGN 4: secrets/operator, secrets/harness, secrets/agents/<name>."""
    assert credentials.path_of(home, "operator") == home.operator_secret
    assert credentials.path_of(home, "harness") == home.harness_secret
    assert credentials.path_of(home, "agent:bob") == home.agent_secret("bob")


def test_tokens_are_all_different(home: Home) -> None:
    """[Z7] DESIGN 4: random, never derived from a name."""
    assert len({credentials.make(home, "agent:bob") for _ in range(20)}) == 20


def break_nothing(_path: Path) -> None:
    """Leave the file as it is."""


def remove(path: Path) -> None:
    """Lose the file."""
    path.unlink()


def overwrite(path: Path) -> None:
    """Put another token into it."""
    path.write_text("another token\n", encoding="utf-8")


def garble(path: Path) -> None:
    """Put something into it that is no text."""
    path.write_bytes(b"\xff\xfe\x00")


def expose(path: Path) -> None:
    """Let others read it."""
    path.chmod(0o644)


def empty(path: Path) -> None:
    """Cut it short."""
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "renewed"),
    [(break_nothing, False), (remove, True), (overwrite, True), (garble, True), (expose, True), (empty, True)],
)
def test_a_token_that_is_missing_or_does_not_match_is_renewed(
    home: Home, harm: Callable[[Path], None], renewed: bool
) -> None:
    """DESIGN 4: at start, each by itself; the others stay as they are."""
    known = {name: credentials.make(home, name) for name in NAMES}
    harm(home.agent_secret("bob"))
    fresh = credentials.renew_missing(home, NAMES, known)
    assert set(fresh) == ({"agent:bob"} if renewed else set())
    if renewed:
        token = read_secret(home.agent_secret("bob"))
        assert fresh["agent:bob"] == credentials.digest_of(token) != known["agent:bob"]
        assert credentials.renew_missing(home, NAMES, known | fresh) == {}


def test_a_credential_that_the_database_does_not_know_is_made(home: Home) -> None:
    """DESIGN 4: a new home has none; a file without its digest is worth nothing."""
    credentials.make(home, "operator")
    assert set(credentials.renew_missing(home, NAMES, {})) == set(NAMES)


def test_digests_are_stored_and_loaded(office: FakeOffice) -> None:
    """DESIGN 4: renewed ones replace the old."""
    for token in ("one", "two"):
        office.do(lambda tx, token=token: credentials.store(tx, {"operator": credentials.digest_of(token)}))
    assert office.do(credentials.load)["operator"] == credentials.digest_of("two")


def test_a_key_ring_knows_whose_token_it_is() -> None:
    """[H01] [Z7] DESIGN 1: the principal comes from the credential."""
    ring = KeyRing()
    ring.reload({name: credentials.digest_of(f"token of {name}") for name in NAMES})
    assert ring.principal("token of operator") == Principal(kind="operator", name="operator")
    assert ring.principal("token of harness") == Principal(kind="harness", name="harness")
    assert ring.principal("token of agent:bob") == Principal(kind="agent", name="bob")
    assert ring.principal("token of nobody") is None
    assert ring.principal("") is None


def test_a_key_ring_proves_an_agent_by_its_own_token_only() -> None:
    """[Z7] DESIGN 4: the harness proves each agent; its own token and the operator's prove none."""
    ring = KeyRing()
    ring.reload({name: credentials.digest_of(f"token of {name}") for name in (*NAMES, "agent:alice")})
    assert ring.is_agent("token of agent:bob", "bob")
    for token in ("token of agent:alice", "token of harness", "token of operator", "", None):
        assert not ring.is_agent(token, "bob")


def test_a_void_token_is_forgotten_when_the_ring_is_reloaded() -> None:
    """DESIGN 5.18: a removed agent's token opens nothing."""
    ring = KeyRing()
    ring.reload({"agent:bob": credentials.digest_of("token")})
    ring.reload({})
    assert ring.principal("token") is None
    assert not ring.is_agent("token", "bob")


def shown(token: str, uid: int | None, *, on_socket: bool = True) -> Shown:
    """Give what a connection showed."""
    return Shown(credentials.digest_of(token), uid, on_socket=on_socket)


def test_a_pinned_token_is_admitted_from_its_user_only() -> None:
    """[H01] DESIGN 4: root is no exception; over TLS there is no user to compare."""
    ring = KeyRing()
    ring.reload({name: credentials.digest_of(f"token of {name}") for name in NAMES}, {"agent:bob": 1002})
    assert ring.admits(shown("token of agent:bob", 1002))
    assert ring.admits(shown("token of agent:bob", None, on_socket=False))
    assert ring.admits(shown("token of operator", 1001))
    for uid in (0, 1001, None):
        assert not ring.admits(shown("token of agent:bob", uid))
        with pytest.raises(Denied, match="good from uid 1002 only"):
            ring.require_uid(shown("token of agent:bob", uid))
    ring.require_uid(shown("token of agent:bob", 1002))


def test_a_void_token_is_not_admitted() -> None:
    """DESIGN 5.18: neither the one before a rotation, nor one that never was."""
    ring = KeyRing()
    ring.reload({"agent:bob": credentials.digest_of("new")})
    assert ring.admits(shown("new", 1))
    assert not ring.admits(shown("old", 1))


def test_pins_are_those_of_the_agents_settings(office: FakeOffice) -> None:
    """DESIGN 4: an agent without one may come from any user."""
    office.add("unpinned")
    office.add("pinned", AgentSettings(uid=1002))
    assert office.do(credentials.load_pins) == {"agent:pinned": 1002}


def test_a_draft_is_good_for_nothing_until_it_is_published(home: Home) -> None:
    """DESIGN 4: beside the old one, for its owner only; what was left of others is swept."""
    old = credentials.make(home, "agent:bob")
    made = credentials.draft(home, "agent:bob")
    assert credentials.digest_of(read_secret(home.agent_secret("bob"))) == old != made.digest
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    left = credentials.draft(home, "operator")
    credentials.publish(home, made)
    assert credentials.digest_of(read_secret(home.agent_secret("bob"))) == made.digest
    credentials.sweep(home)
    assert not left.path.exists()
    assert home.agent_secret("bob").exists()
