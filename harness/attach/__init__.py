"""An agent's own session at a person's terminal: a harness of its own for one program, without turns."""
