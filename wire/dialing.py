"""Where a broker is, as a person says it, and how to get there: `unix:/path`, `tls://host:port`, `ssh://host/home`.

Which address is meant, and which credential, is decided by whoever calls; what travels then, by `wire.link`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from wire.errors import Invalid
from wire.link import Connect
from wire.private_files import read_descriptor, read_secret
from wire.ssh import SshAddress, SshDialer
from wire.tls import dial_tls
from wire.unix_socket import connect_unix

FORMS = "unix:/PATH/TO/broker.sock, tls://HOST:PORT or ssh://[USER@]HOST[/HOME]"
_WORD = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]*")
"""Names of hosts and users. None begins with a dash: ssh would read it as an option."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket on this machine."""

    path: Path

    def __str__(self) -> str:
        """Give it as a person would write it."""
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TlsAddress:
    """A port on some machine; `host` has to stand in its certificate."""

    host: str
    port: int

    def __str__(self) -> str:
        """Give it as a person would write it."""
        return f"tls://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


Address = UnixAddress | TlsAddress | SshAddress


@dataclass(frozen=True, slots=True)
class Way:
    """How to open a link and what to say on it first; both for `wire.client.BrokerClient`."""

    connect: Connect
    token: Callable[[], str]


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        Invalid: it is none; says which forms there are.
    """
    if text.startswith("unix:"):
        return _unix(text.removeprefix("unix:"))
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as exc:
        raise Invalid(f"{text!r} is no address of a broker ({exc}): it has the form {FORMS}") from None
    if parts.password is not None or parts.query or parts.fragment:
        raise Invalid("an address holds neither a password nor '?' or '#'; name a credential with --token-file")
    match parts.scheme:
        case "tls" if parts.username is None and parts.path in ("", "/") and port:
            return TlsAddress(_host(text, parts), port)
        case "ssh":
            user = f"{_word(text, parts.username)}@" if parts.username is not None else ""
            return SshAddress(f"{user}{_host(text, parts)}", port, _home(parts.path))
        case _:
            raise Invalid(f"{text!r} is no address of a broker: it has the form {FORMS}")


def way_to(
    address: Address,
    token: Callable[[], str] | None,
    *,
    ca: Path | None = None,
    as_: str | None = None,
    env: Mapping[str, str],
) -> Way:
    """Say how to get there. Without a token ssh takes that of the far home: of its operator, or of agent `as_`.

    Raises:
        Invalid: only a home has tokens to read, and none was named.
    """
    if isinstance(address, SshAddress):
        dialer = SshDialer(address, token, as_=as_, env=env)
        return Way(dialer, dialer.token)
    if token is None:
        raise Invalid(f"{address} needs a credential: name it with --token-file or --token-fd")
    if isinstance(address, UnixAddress):
        return Way(partial(connect_unix, address.path), token)
    return Way(partial(dial_tls, address.host, address.port, ca), token)


def token_from(file: Path | None, descriptor: int | None) -> Callable[[], str] | None:
    """Give a source of the credential that was named, None where none was.

    A file is read for each link, so that a token that was renewed is found; a descriptor once.
    """
    if descriptor is not None:
        return cache(partial(read_descriptor, descriptor))
    return None if file is None else partial(read_secret, file)


def _unix(path: str) -> UnixAddress:
    path = path.removeprefix("//") if path.startswith("///") else path
    if not path.startswith("/"):
        raise Invalid(f"unix:{path} is no address of a broker: the path of its socket begins with '/'")
    return UnixAddress(Path(path))


def _host(text: str, parts: SplitResult) -> str:
    host = _word(text, parts.hostname)
    start = parts.netloc.lower().rindex(host)
    return parts.netloc[start : start + len(host)]  # as it was written: names in ssh's configuration have capitals


def _word(text: str, word: str | None) -> str:
    if word is None or not _WORD.fullmatch(word):
        raise Invalid(f"{text!r} names no host or user that can be: it has the form {FORMS}")
    return word


def _home(path: str) -> str | None:
    """`/srv/fleet` is absolute, `/~/fleet` starts at the home folder of the user there."""
    path = unquote(path)
    return (path.removeprefix("/~/") or None) if path not in ("", "/", "/~") else None
