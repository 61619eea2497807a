"""What `queenpost new` writes, where, and why not."""
