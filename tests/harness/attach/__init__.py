"""An agent's own session at a terminal."""
