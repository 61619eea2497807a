"""mosquitto as the fleet's own MQTT broker: where it is, and the configuration that it is started with."""

import os
import pwd
import shutil
from collections.abc import Mapping
from pathlib import Path

from broker.bridge.users import Credentials, acl
from wire.canonical import MAX_BYTES
from wire.home import Home

PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
"""Where Debian, the source and Homebrew put it, none of which has to be on PATH."""
MAX_QUEUED = 100_000
MAX_INFLIGHT = 500


def find(env: Mapping[str, str]) -> Path | None:
    """Give the program, or None where it is not installed."""
    path = os.pathsep.join([env.get("PATH", ""), *PLACES])
    found = shutil.which("mosquitto", path=path)
    return Path(found) if found else None


def configure(home: Home, credentials: Credentials, prefix: str, port: int) -> Path:
    """Write all files that it reads, below `run/mqtt`; gives the one that names the others. Loopback only."""
    folder = home.mqtt_run
    write_private(folder / "passwords", credentials.hashed())
    write_private(folder / "acl", acl(prefix))
    config = folder / "mosquitto.conf"
    write_private(config, _config(folder, port))
    return config


def _config(folder: Path, port: int) -> str:
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous false",
        "set_tcp_nodelay true",
        f"password_file {folder / 'passwords'}",
        f"acl_file {folder / 'acl'}",
        "persistence true",
        f"persistence_location {folder}/",
        "persistence_file mosquitto.db",
        "autosave_interval 5",
        f"max_inflight_messages {MAX_INFLIGHT}",
        f"max_queued_messages {MAX_QUEUED}",
        # A strange frame that is too long is a frame for the quarantine, not for a lost connection.
        f"message_size_limit {4 * MAX_BYTES}",
        "persistent_client_expiration 7d",
        "connection_messages false",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        # Started by root it would become another user, who may read none of these files.
        f"user {pwd.getpwuid(os.geteuid()).pw_name}",
    ]
    return "\n".join(lines) + "\n"


def write_private(path: Path, text: str) -> None:
    """Put text into a file that nobody else may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)
