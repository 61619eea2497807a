"""Configurations for the module: one that says everything, and every setting there is."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from wire.settings import AccountSettings, AgentSettings, Settings

STRANGE = [
    'a "quoted" \\ word',
    "${HOME} $${x} ''",
    "line\nbreak\r\ttab",
    "\x7f\x01\x1b",
    "ü ☃ 😀",
    "# no comment",
    "'''",
    "",
]

FULL: dict[str, Any] = {
    "fleet": {"name": "demo"},
    "limits": {
        "send_burst": 7, "send_per_minute": 0.5, "inbox_messages": 10, "inbox_bytes": 2048, "body_bytes": 512,
        "disk_headroom_bytes": 0, "storm_messages": 3, "storm_window_s": 60.5, "storm_per_day": 9, "storm_depth": 4,
    },
    "retention": {"handled_days": 7, "dead_days": 8.25, "statistics_days": 1},
    "mqtt": {
        "url": "mqtts://broker.example:8883", "program": "mosquitto", "topic_prefix": "python/mqtt", "user": "fleet",
        "password_file": "secrets/mqtt-password", "ca_file": "/etc/ssl/mqtt-ca.pem", "cert_file": "/etc/ssl/mqtt.pem",
        "key_file": "/run/secrets/mqtt.key",
    },
    "link": {"listen": "0.0.0.0:7411", "certificate": "/etc/ssl/fleet.pem", "key": "/run/secrets/fleet.key",
    "group": "users"},
    "accounts": {
        "team": {
            "auth": "token", "token_file": "secrets/team", "token_variable": "TEAM_KEY", "max_running": 6,
            "max_warm": 10,
        },
    },
    "agents": {
        "manager": {"role": "manager", "backend": "scripted", "script": "survey-manager", "args": ["worker"]},
        "alice": {
            "backend": "command", "command": ["/srv/alice.sh", *STRANGE], "args": STRANGE, "prompt": "/srv/alice.md",
            "workdir": "/srv", "env": {f"NAME {n}" if n else "NAME": text for n, text in enumerate(STRANGE)},
            "worktree": True, "env_file": "secrets/alice.env", "allowed_recipients": ["manager", "worker"], "uid": 1000,
            "batch_max": 1, "silence_s": 12.5, "model": "opus-5", "account": "team", "permissions": "edits",
            "allowed_tools": ["Bash(git *)", "Read"], "warm": False, "daily_budget_tokens": 2_000_000,
            "daily_budget_usd": 12.5,
        },
        "worker": {"allowed_recipients": []},
        "carol": {
            "backend": "claude", "delegate": {"manager": ["Bash(npm test*)"]}, "mcp": "/srv/carol.mcp.json",
            "inherit": ["skills", "claude_md"], "notes_max_bytes": 4096,
        },
        "dave": {
            "backend": "pty", "command": ["program"],
            "pty": {"ready": "^> $", "answers": [{"screen": "trust", "send": "1\r"}], "columns": 80},
        },
    },
}  # fmt: skip
"""Every setting, none at its default."""

BY_NAME: dict[str, type[BaseModel]] = {"agents": AgentSettings, "accounts": AccountSettings}
"""Tables of tables."""


def fields(
    model: type[BaseModel] = Settings, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Every setting that may stand in queenpost.toml; NAME stands for the name of an agent or account."""
    for name, field in model.model_fields.items():
        inner = BY_NAME.get(name, field.annotation)
        at = (*path, name, "NAME") if name in BY_NAME else (*path, name)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, at)
        else:
            yield at, field
