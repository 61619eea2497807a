"""Logins of which the programs' own status commands say nothing: keys and providers of the user's configuration.

Only what the program itself would find counts. Files are read, never copied, and nothing of a key is kept.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

GEMINI_KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA")
GEMINI_LOGINS = ("oauth_creds.json", "gemini-credentials.json")
"""Where it keeps a login with an account of Google, by version."""


def gemini_is_logged_in(environment: Mapping[str, str]) -> bool:
    """Say whether Gemini CLI would find a login: a key in the environment or in its `.env`, or one of its files."""
    if any(environment.get(name) for name in GEMINI_KEYS):
        return True
    folder = _home(environment, "GEMINI_CLI_HOME") / ".gemini"
    if any((folder / name).is_file() for name in GEMINI_LOGINS):
        return True
    return any(name in _text(folder / ".env") for name in GEMINI_KEYS)


def codex_needs_no_login(environment: Mapping[str, str]) -> bool:
    """Say whether Codex is set to a provider of the user's own, which wants no login at OpenAI."""
    folder = environment.get("CODEX_HOME")
    path = (Path(folder) if folder else _home(environment) / ".codex") / "config.toml"
    try:
        config = tomllib.loads(_text(path))
    except ValueError:
        return False  # which Codex says better
    provider = _object(_object(config.get("model_providers")).get(str(config.get("model_provider"))))
    return bool(provider) and provider.get("requires_openai_auth") is not True


def opencode_has_a_provider(environment: Mapping[str, str]) -> bool:
    """Say whether opencode's own configuration names a provider and a model of it."""
    given = environment.get("XDG_CONFIG_HOME")
    folder = (Path(given) if given else _home(environment) / ".config") / "opencode"
    texts = [environment.get("OPENCODE_CONFIG_CONTENT", ""), _text(folder / "opencode.json")]
    return any(_names_a_provider(text) for text in texts)


def _names_a_provider(text: str) -> bool:
    try:
        config = _object(json.loads(text))
    except ValueError:
        return False  # none, or one with comments: then its login is asked for
    provider = str(config.get("model", "")).partition("/")[0]
    return bool(_object(_object(config.get("provider")).get(provider)).get("options"))


def _home(environment: Mapping[str, str], *variables: str) -> Path:
    return Path(next((environment[name] for name in (*variables, "HOME") if environment.get(name)), "/nonexistent"))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
