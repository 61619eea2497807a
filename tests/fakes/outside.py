"""An MQTT broker of others: a real mosquitto with the certificates, users, rules and limits that a test gives it."""

import os
import pwd
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from broker.bridge import mosquitto
from broker.bridge.child import ENDS_WITH_ITS_STDIN, Choice, kept_port, running
from broker.bridge.users import Credentials
from tests.fakes.certificates import Authority, Signed
from wire.home import Home
from wire.mqtt_peer import Transport
from wire.private_files import make_private_folder, write_secret

needs_mosquitto = pytest.mark.skipif(mosquitto.find({}) is None, reason="left out: mosquitto is not installed")

USER = "harness"
PASSWORD = "the-right-one"  # of a test


@dataclass
class Outside:
    """One in a folder of its own, not yet running. Its port stays the same over all runs."""

    folder: Path
    lines: list[str] = field(default_factory=list[str])
    """Further lines of its configuration."""
    anonymous: bool = True
    tls: Signed | None = None
    authority: Authority | None = None
    """Who has to have signed the certificate of whoever comes."""
    rules: str = ""
    """Its access file; empty: everybody may do everything."""

    def __post_init__(self) -> None:
        self._home = Home(self.folder)
        make_private_folder(self.folder)
        self._home.create()
        make_private_folder(self._home.mqtt_run)
        self.port = kept_port(self._home.mqtt_run / "port")

    def password_file(self, password: str = PASSWORD) -> Path:
        """Write a file with the password of its one user, or with another one."""
        path = self.folder / "password"
        write_secret(path, password)
        return path

    def url(self, host: str = "localhost") -> str:
        """Give its address, by a name of this machine."""
        return f"mqtt{'s' if self.tls else ''}://{host}:{self.port}"

    def transport(self, host: str = "localhost", /, **fields: Any) -> Transport:
        """Give a connection to it."""
        return Transport(self.url(host), **fields)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Have it run."""
        folder = self._home.mqtt_run
        mosquitto.write_private(folder / "passwords", Credentials({USER: PASSWORD}).hashed())
        mosquitto.write_private(folder / "rules", self.rules)
        config = folder / "mosquitto.conf"
        mosquitto.write_private(config, "\n".join(self._config(folder)) + "\n")
        argv = ["/bin/sh", "-c", ENDS_WITH_ITS_STDIN, "sh", str(mosquitto.find({})), "-c", str(config)]
        async with running(self._home, Choice("mosquitto", argv, self.port)):
            yield

    def _config(self, folder: Path) -> list[str]:
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {str(self.anonymous).lower()}",
            f"password_file {folder / 'passwords'}",
            f"user {pwd.getpwuid(os.geteuid()).pw_name}",
            "log_dest stderr",
        ]
        if self.rules:
            lines.append(f"acl_file {folder / 'rules'}")
        if self.tls is not None:
            lines += [f"certfile {self.tls.certificate}", f"keyfile {self.tls.key}"]
        if self.authority is not None:
            lines += [f"cafile {self.authority.certificate}", "require_certificate true"]
        return [*lines, *self.lines]
