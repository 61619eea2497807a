"""How the programs that play the model are known to be logged in: what harness and console have to agree on."""

from collections.abc import Mapping

from wire.settings import DEFAULT_ACCOUNT, AccountSettings

KEYS: Mapping[str, tuple[str, ...]] = {
    "claude": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    "codex": ("OPENAI_API_KEY", "CODEX_API_KEY"),
    "opencode": ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENCODE_CONFIG_CONTENT"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
}
"""By backend: where one of them is set for an agent, it has a login of its own."""

TOKENS: Mapping[str, str] = {
    "claude": "`claude setup-token`, or an API key",
    "codex": "an API key of the provider",
    "opencode": "an API key of the provider",
    "gemini": "an API key of the provider",
}
"""How one comes by a token for `auth = "token"`."""


def mend_of(backend: str, account: str, settings: AccountSettings) -> str:
    """Say what logs an account in, with one of the programs that use it: a command, or what to do instead."""
    if settings.kind == "token":
        return f"put {TOKENS[backend]} into {settings.token_file}, mode 0600"
    if backend == "gemini":  # it has no command for it, and asks at its start
        folder = f"GEMINI_CLI_HOME=accounts/{account}/gemini " if settings.kind == "own" else ""
        return f"{folder}gemini"
    which = f" --backend {backend}" if account == DEFAULT_ACCOUNT else ""  # several programs may use that one
    return f"queenpost login {account}{which}"
