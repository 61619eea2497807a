"""How the programs that play the model are known to be logged in: what harness and console have to agree on."""

from collections.abc import Mapping

KEYS: Mapping[str, tuple[str, ...]] = {
    "claude": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    "codex": ("OPENAI_API_KEY", "CODEX_API_KEY"),
    "opencode": ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENCODE_CONFIG_CONTENT"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
}
"""By backend: where one of them is set for an agent, it has a login of its own."""
