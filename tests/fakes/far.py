"""Another machine: a client of a broker that comes over ssh or TLS, whose link a test reads along and cuts."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from broker.edge import tls
from tests.fakes.broker import Brisk, Fleet
from tests.fakes.certificates import Authority
from tests.fakes.ssh import StandIn
from wire.client import BrokerClient
from wire.dialing import Way, parse_address, way_to
from wire.private_files import write_secret
from wire.transport import Receiver, Transport

WAYS = ["ssh", "tls"]


@dataclass
class Far:
    """One machine, with a way to a fleet. Says hello as whoever `secret` in the home of the fleet names."""

    folder: Path
    way: str
    """One of WAYS."""
    heard: list[bytes] = field(default_factory=list[bytes])
    """All that came over its links."""
    _links: list[Transport] = field(default_factory=list[Transport])

    def __post_init__(self) -> None:
        self._authority = Authority(self.folder)
        self._ssh = StandIn(self.folder)

    @property
    def settings(self) -> str:
        """Give what the fleet's settings need for it."""
        if self.way == "ssh":
            return ""
        signed = self._authority.sign("localhost")
        return f'[link]\nlisten = "127.0.0.1:0"\ncertificate = "{signed.certificate}"\nkey = "{signed.key}"\n'

    @property
    def env(self) -> Mapping[str, str]:
        """Give what a program on it needs in its environment."""
        return self._ssh.env

    def options(self, fleet: Fleet) -> list[str]:
        """Give what a command of the operator needs on its command line, besides the address."""
        if self.way == "ssh":
            return []
        token = self.folder / "operator.token"
        write_secret(token, fleet.token(fleet.home.operator_secret))
        return ["--ca", str(self._authority.certificate), "--token-file", str(token)]

    def address(self, fleet: Fleet) -> str:
        """Say where the fleet is."""
        if self.way == "ssh":
            return f"ssh://post.example{fleet.home.root}"
        return f"tls://localhost:{(fleet.home.run / tls.PORT_FILE).read_text(encoding='utf-8').strip()}"

    @property
    def links(self) -> int:
        """Count the links that were made."""
        return len(self._links)

    def cut(self) -> None:
        """End the newest link at once."""
        self._links[-1].abort()

    @asynccontextmanager
    async def client(self, fleet: Fleet, secret: Path) -> AsyncGenerator[BrokerClient]:
        """Connect, and again whenever the link is lost."""
        way = self._way(fleet, secret)

        async def connect(receiver: Receiver) -> Transport:
            transport = await way.connect(_Along(receiver, self.heard))
            self._links.append(transport)
            return transport

        async with BrokerClient(connect, way.token, "test", rng=Brisk()) as client:
            yield client

    def _way(self, fleet: Fleet, secret: Path) -> Way:
        token = lambda: fleet.token(secret)  # noqa: E731  # as every caller gives it
        return way_to(parse_address(self.address(fleet)), token, ca=self._authority.certificate, env=self._ssh.env)


class _Along:
    """Passes everything on, and keeps a copy of each line."""

    def __init__(self, receiver: Receiver, heard: list[bytes]) -> None:
        self.on_overflow = receiver.on_overflow
        self.on_closed = receiver.on_closed
        self._receiver = receiver
        self._heard = heard

    def on_line(self, line: bytes) -> None:
        """See `wire.transport.Receiver`."""
        self._heard.append(line)
        self._receiver.on_line(line)
