"""Codex as the model: one long-lived `codex app-server` that speaks JSON lines, resumed by its thread id."""
