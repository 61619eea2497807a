"""Tests of the backend for Claude Code."""
