"""opencode as the model: one `opencode serve` over many turns, spoken to over HTTP on loopback."""
