"""The Codex backends, without the program."""
