"""Who may do what at the fleet's own MQTT broker: one password for each kind of principal, in files of their own."""

import base64
import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from wire.errors import Denied
from wire.home import Home
from wire.jobs import MqttUser
from wire.private_files import make_private_folder, read_secret, write_secret
from wire.topics import events_filter

Access = Literal["readwrite", "write", "read"]

RIGHTS: Mapping[MqttUser, Access] = {
    "bridge": "readwrite",  # hears all events, says what the broker itself decides
    "harness": "write",
    "publisher": "write",  # `queenpost job publish`, for programs outside the fleet
    "watcher": "read",  # a person with mosquitto_sub
}
ITERATIONS = 101
"""What mosquitto_passwd uses; the passwords are random and long, so that nothing is gained by guessing slower."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The passwords of one fleet's MQTT broker."""

    passwords: Mapping[MqttUser, str] = field(repr=False)

    def hashed(self) -> str:
        """Give the lines of mosquitto's password file: PBKDF2 with SHA-512."""
        return "".join(f"{user}:{_hash(password)}\n" for user, password in self.passwords.items())


def made(home: Home) -> Credentials:
    """Read the passwords; those that are missing are made. Durable, mode 0600."""
    make_private_folder(home.mqtt_secrets)
    found: dict[MqttUser, str] = {}
    for user in RIGHTS:
        path = home.mqtt_secret(user)
        try:
            found[user] = read_secret(path)
        except Denied:
            if path.exists():
                raise
            found[user] = secrets.token_urlsafe(24)
            write_secret(path, found[user])
    # mosquitto_sub reads it where XDG_CONFIG_HOME is this folder: no password has to stand in its argv.
    write_secret(home.mqtt_secrets / "mosquitto_sub", f"-u watcher\n-P {found['watcher']}")
    return Credentials(found)


def acl(prefix: str) -> str:
    """Give the lines of mosquitto's access file: each user on the topics of jobs alone."""
    topic = events_filter(prefix)
    return "".join(f"user {user}\ntopic {access} {topic}\n\n" for user, access in RIGHTS.items())


def _hash(password: str) -> str:
    salt = os.urandom(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
