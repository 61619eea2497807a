"""The official MCP conformance runner against the product's HTTP stack; run by `make e2e`."""
