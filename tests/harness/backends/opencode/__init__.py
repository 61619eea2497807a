"""The opencode backend."""
