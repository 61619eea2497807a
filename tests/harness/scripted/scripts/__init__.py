"""The shipped scripts."""
