"""Claude Code as the model: one long-lived process that speaks JSON lines, resumed by its session id."""
