"""The supervisor, with small children of its own."""
