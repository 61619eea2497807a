"""The broker process: the only one that opens `broker.db`. No HTTP, no agent code, no MCP SDK."""
