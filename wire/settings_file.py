"""Reads `queenpost.toml` into `wire.settings.Settings`. All that is wrong is said at once, by file and line.

What settings may be is decided there, in which words a person is told in `wire.settings_errors`. Here is what
is no TOML, and what relative paths start from.
"""

import os
import re
import tomllib
from pathlib import Path

from pydantic import ValidationError

from wire.errors import Invalid
from wire.settings import AgentSettings, LinkSettings, MqttSettings, Settings
from wire.settings_errors import in_words

MAX_FILE_BYTES = 1024 * 1024


def read_settings(path: Path, *, home: Path) -> Settings:
    """Read the settings of a fleet. Paths in the result are absolute.

    A relative path starts at the folder of the file; one that begins with `secrets/`, at the home.

    Raises:
        Invalid: unreadable, not TOML, or not settings; one line per error, as `file:line: key: why`.
    """
    text = _text(path)
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise Invalid(_syntax_error(path, text, exc)) from None
    try:
        settings = Settings.model_validate(data)
    except ValidationError as exc:
        # Without the cause: it quotes values, and some may be secret.
        raise Invalid(in_words(exc, path, text)) from None
    agents = {name: _resolved(agent, path.parent, home) for name, agent in settings.agents.items()}
    accounts = {
        name: account.model_copy(update={"token_file": _absolute(account.token_file, path.parent, home)})
        for name, account in settings.accounts.items()
        if account.token_file is not None
    }
    link = _resolved_link(settings.link, path.parent, home)
    mqtt = _resolved_mqtt(settings.mqtt, path.parent, home)
    return settings.model_copy(
        update={"mqtt": mqtt, "agents": agents, "accounts": {**settings.accounts, **accounts}, "link": link}
    )


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise Invalid(f"cannot read the settings {path}: {exc.strerror}") from exc
    if len(data) > MAX_FILE_BYTES:
        raise Invalid(f"{path} is over {MAX_FILE_BYTES} bytes; is that the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise Invalid(f"{path}:{line}: not UTF-8; save the file in that encoding") from None


def _syntax_error(path: Path, text: str, exc: Exception) -> str:
    place = re.search(r" \(at line (\d+), column (\d+)\)$| \(at end of document\)$", str(exc))
    if place is None:
        return f"{path}: not TOML: {exc}"
    line = place[1] or text.count("\n") + 1
    return f"{path}:{line}: not TOML: {str(exc)[: place.start()]}"


def _resolved(agent: AgentSettings, folder: Path, home: Path) -> AgentSettings:
    paths: dict[str, str | list[str]] = {
        key: _absolute(value, folder, home)
        for key in ("workdir", "prompt", "env_file", "mcp")
        if (value := getattr(agent, key)) is not None
    }
    if agent.command and "/" in agent.command[0]:  # else it is looked for on PATH
        paths["command"] = [_absolute(agent.command[0], folder, home), *agent.command[1:]]
    return agent.model_copy(update=paths)


def _resolved_link(link: LinkSettings, folder: Path, home: Path) -> LinkSettings:
    files = {"certificate": link.certificate, "key": link.key}
    return link.model_copy(update={key: _absolute(file, folder, home) for key, file in files.items() if file})


def _resolved_mqtt(mqtt: MqttSettings, folder: Path, home: Path) -> MqttSettings:
    names = ("password_file", "ca_file", "cert_file", "key_file")
    given = {name: value for name in names if (value := getattr(mqtt, name)) is not None}
    return mqtt.model_copy(update={name: _absolute(value, folder, home) for name, value in given.items()})


def _absolute(text: str, folder: Path, home: Path) -> str:
    path = Path(text).expanduser()
    start = home if path.parts[:1] == ("secrets",) else folder
    return os.path.abspath(start / path)
