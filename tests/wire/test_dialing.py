"""Addresses of brokers: what they mean, and what is none."""

import os
from pathlib import Path

import pytest

from wire.dialing import Address, TlsAddress, UnixAddress, parse_address, token_from, way_to
from wire.errors import Invalid
from wire.private_files import write_secret
from wire.ssh import SshAddress, SshDialer


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/fleet/broker.sock", UnixAddress(Path("/run/fleet/broker.sock"))),
        ("unix:///run/fleet/broker.sock", UnixAddress(Path("/run/fleet/broker.sock"))),
        ("tls://post.example:7443", TlsAddress("post.example", 7443)),
        ("tls://[::1]:7443", TlsAddress("::1", 7443)),
        ("ssh://post.example", SshAddress("post.example")),
        ("ssh://Post", SshAddress("Post")),
        ("ssh://ada@post.example:2222/srv/fleet", SshAddress("ada@post.example", 2222, "/srv/fleet")),
        ("ssh://post.example/~/fleets/.queenpost", SshAddress("post.example", None, "fleets/.queenpost")),
        ("ssh://post.example/srv/my%20fleet", SshAddress("post.example", None, "/srv/my fleet")),
    ],
)
def test_an_address_says_how_to_get_there(text: str, address: Address) -> None:
    """DESIGN 4: a unix socket, ssh, or TLS; a home behind the host is absolute, behind `~` the user's."""
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "address",
    ["unix:/run/broker.sock", "tls://post:7443", "tls://[::1]:7443", "ssh://ada@post:22/srv/fleet", "ssh://post/~/f"],
)
def test_an_address_is_shown_as_it_was_written(address: str) -> None:
    """Ours: errors and the fleet's line on stderr name it."""
    assert str(parse_address(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "post.example",
        "/run/broker.sock",
        "unix:broker.sock",
        "http://post.example:80",
        "tls://post.example",
        "tls://post.example:0",
        "tls://post.example:port",
        "tls://post.example:7443/home",
        "tls://ada@post.example:7443",
        "ssh://",
        "ssh:///srv/fleet",
        "ssh://-oProxyCommand=touch/fleet",
        "ssh://-l@post.example",
        "ssh://post;reboot/fleet",
        "ssh://post$(reboot)",
        "ssh://ada:password@post.example",
        "ssh://post.example?home=x",
        "ssh://post.example#x",
        "ssh://[post",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Bad input and misuse: nothing that ssh would take for an option, and no secret in an address."""
    with pytest.raises(Invalid, match=r"address|host or user"):
        parse_address(text)


@pytest.mark.parametrize("address", [UnixAddress(Path("/run/x")), TlsAddress("post", 1)])
def test_only_a_home_has_tokens_to_read(address: Address) -> None:
    """DESIGN 4 Tokens: elsewhere the credential is named, by file or descriptor."""
    with pytest.raises(Invalid, match="--token-file or --token-fd"):
        way_to(address, None, env={})
    assert way_to(address, lambda: "own", env={}).token() == "own"


def test_over_ssh_the_far_home_has_tokens_too() -> None:
    """DESIGN 4: who may log in there may read them; an own one takes precedence."""
    way = way_to(SshAddress("post"), None, as_="bob", env={})
    assert isinstance(way.connect, SshDialer)
    assert way.connect.command() == ["ssh", "-T", "--", "post", "queenpost link --as bob"]
    own = way_to(SshAddress("post"), lambda: "own", as_="bob", env={})
    assert own.token() == "own"
    assert isinstance(own.connect, SshDialer)
    assert own.connect.command()[-1] == "queenpost link --no-token"


def test_a_token_file_is_read_for_each_link(tmp_path: Path) -> None:
    """DESIGN 4 Tokens: a token that was rotated is found without a restart."""
    path = tmp_path / "token"
    write_secret(path, "one")
    token = token_from(path, None)
    assert token is not None
    assert token() == "one"
    write_secret(path, "two")
    assert token() == "two"


def test_a_descriptor_is_read_once_and_remembered() -> None:
    """[Z7] DESIGN 4 Tokens: `--token-fd`; a link that is made again needs the token again."""
    reading, writing = os.pipe()
    os.write(writing, b"secret\n")
    os.close(writing)
    token = token_from(None, reading)
    assert token is not None
    assert [token(), token()] == ["secret", "secret"]
    os.close(reading)


def test_without_a_source_there_is_none() -> None:
    """Ours: the caller then decides."""
    assert token_from(None, None) is None
