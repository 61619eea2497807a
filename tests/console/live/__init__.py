"""A fleet as a person watches it."""
