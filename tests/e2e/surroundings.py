"""What a user of each program has around it: a home, a configuration, an address of the model and a key for it.

Nothing of ours is in it: our tools come from the command line or from the harness. Every program is told to call
nobody but the model, and what it calls nevertheless goes to a proxy that is the model server: it refuses and keeps it.
"""

import json
import os
from pathlib import Path

from tests.e2e.programs import Name
from tests.fakes.models.conversation import Conversation

KEY = "sk-ant-fake-000000000000"
"""Good for nothing; a program only wants to have one."""

_CLAUDE = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_MAX_RETRIES": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}
_OPENCODE = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
}
_CODEX = """\
model = "gpt-5.5"
model_provider = "scripted"
check_for_update_on_startup = false

[analytics]
enabled = false

[features]
plugins = false

[model_providers.scripted]
name = "scripted"
base_url = "{url}"
env_key = "SCRIPTED_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1
"""
_CODEX_KNOWS = """
[projects."{folder}"]
trust_level = "trusted"

[tui.model_availability_nux]
"gpt-6.1-sol" = 1

[notice.model_migrations]
"gpt-5.5" = "gpt-6-sol"
"""
"""What its window would ask about at its first start."""
_PLUGIN = "@opencode-ai/plugin"
"""opencode fetches it into each folder of its configuration, unless a lock there says that it has it."""


def surround(name: Name, home: Path, talk: Conversation) -> dict[str, str]:
    """Furnish an empty home outside of the system's folder for temporary files; gives the whole environment.

    What the program leaves behind is in the home too. Furnishing again changes nothing.
    """
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    common = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "LANG": "C.UTF-8",
        **_nowhere_else(talk),
    }
    return {**common, **_FURNISH[name](home, talk)}


def known_to_codex(folder: Path) -> str:
    """Give what else stands in Codex's configuration once it was at a terminal in this folder."""
    return _CODEX_KNOWS.format(folder=folder)


def paid(port: int, name: str) -> list[str]:
    """Give arguments that make the model of an agent's Codex one that has to be logged in to."""
    url = f"http://127.0.0.1:{port}/c/{name}/v1"
    provider = f'name="paid", base_url="{url}", wire_api="responses", requires_openai_auth=true'
    return ["-c", 'model_provider="paid"', "-c", f"model_providers.paid={{{provider}}}"]


def _nowhere_else(talk: Conversation) -> dict[str, str]:
    proxy = talk.url.partition("/c/")[0]
    pairs = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "ALL_PROXY": proxy, "NO_PROXY": "127.0.0.1"}
    return {**pairs, **{name.lower(): value for name, value in pairs.items()}}


def _claude(home: Path, talk: Conversation) -> dict[str, str]:
    own = {"CLAUDE_CONFIG_DIR": str(home / ".claude"), "ANTHROPIC_BASE_URL": talk.url, "ANTHROPIC_API_KEY": KEY}
    return {**own, **_CLAUDE}


def _codex(home: Path, talk: Conversation) -> dict[str, str]:
    _write(home / ".codex" / "config.toml", _CODEX.format(url=talk.url_v1))
    return {"CODEX_HOME": str(home / ".codex"), "SCRIPTED_KEY": KEY}


def _opencode(home: Path, talk: Conversation) -> dict[str, str]:
    folder = home / ".config" / "opencode"
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": talk.url_v1, "apiKey": KEY},
        "models": {"large": {"limit": {"context": 100_000, "output": 8_000}}, "small": {}},
    }
    config = {
        "autoupdate": False,
        "share": "disabled",
        "model": "scripted/large",
        "small_model": "scripted/small",
        "enabled_providers": ["scripted"],
        "provider": {"scripted": provider},
    }
    _write(folder / "opencode.json", json.dumps(config))
    (folder / "node_modules").mkdir(exist_ok=True)
    _write(folder / "package.json", json.dumps({"dependencies": {_PLUGIN: "*"}}))
    lock = {"lockfileVersion": 3, "packages": {"": {"dependencies": {_PLUGIN: "*"}}}}
    _write(folder / "package-lock.json", json.dumps(lock))
    return dict(_OPENCODE)


def _gemini(home: Path, talk: Conversation) -> dict[str, str]:
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    }
    _write(home / ".gemini" / "settings.json", json.dumps(settings))
    return {"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": talk.url}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


_FURNISH = {"claude": _claude, "codex": _codex, "opencode": _opencode, "gemini": _gemini}
