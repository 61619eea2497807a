"""Putting a fleet into the configuration of an MCP client, and taking it out again: `queenpost mcp install`.

It edits text of other programs: what is not ours in a file keeps every byte, and a doubtful file is left as it is.
"""
