"""Programs at a terminal."""
