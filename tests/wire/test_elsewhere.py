"""Where claims and outboxes lie for a fleet on another machine: a folder for each address, for its user only."""

from pathlib import Path

import pytest

from wire.elsewhere import elsewhere
from wire.errors import Denied, Invalid
from wire.topics import BadTopic

HERE = Path("/nowhere")


def test_each_address_has_a_folder_that_names_it(tmp_path: Path) -> None:
    """Ours: readable, and never that of another address."""
    env = {"XDG_STATE_HOME": str(tmp_path), "HOME": "/unused"}
    one = elsewhere("ssh://ada@post.example/srv/fleet", env, HERE)
    assert one.root.parent == tmp_path / "queenpost" / "elsewhere"
    assert one.root.name.startswith("ssh-ada-post-example-srv-fleet-")
    addresses = ["ssh://ada@post.example/srv/fleet", "ssh://ada@post.example/srv-fleet", "tls://post.example:7443"]
    assert len({elsewhere(address, env, HERE).root for address in addresses}) == 3
    assert elsewhere(addresses[0], env, HERE) == one
    assert one.claim("j-1") == one.root / "claims" / "j-1"
    assert one.publisher("j-1") == one.root / "publishers" / "j-1" / "outbox.db"
    assert one.outbox("bob") == one.root / "agents" / "bob" / "outbox.db"


def test_without_a_state_folder_it_is_below_the_users_own(tmp_path: Path) -> None:
    """Ours: as the home of the one fleet per user."""
    found = elsewhere("tls://post:1", {"HOME": str(tmp_path)}, HERE)
    assert found.root.parent == tmp_path / ".local" / "state" / "queenpost" / "elsewhere"
    with pytest.raises(Invalid, match="HOME is not set"):
        elsewhere("tls://post:1", {}, HERE)


def test_it_is_made_for_its_user_only(tmp_path: Path) -> None:
    """Ours: secrets of jobs lie in it; one into which others may write is refused."""
    place = elsewhere("tls://post:1", {"XDG_STATE_HOME": str(tmp_path)}, HERE)
    assert not place.root.exists()
    for _ in range(2):
        place.create()
    for folder in (place.root, place.root.parent, place.root.parent.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    place.root.chmod(0o770)
    with pytest.raises(Denied, match="chmod go-w"):
        place.create()


def test_no_name_leads_out_of_it(tmp_path: Path) -> None:
    """Ours: ids and names come from people, or from a broker."""
    place = elsewhere("tls://post:1", {"XDG_STATE_HOME": str(tmp_path)}, HERE)
    for bad in ("../x", "", "a/b", "J-1", ".."):
        for path in (place.claim, place.publisher):
            with pytest.raises(BadTopic):
                path(bad)
        with pytest.raises(Invalid):
            place.outbox(bad)
