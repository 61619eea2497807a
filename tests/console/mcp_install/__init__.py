"""What `queenpost mcp install` does to the files of clients."""
