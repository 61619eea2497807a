"""Tests of sessions that `queenpost claude` and `queenpost codex` open."""
