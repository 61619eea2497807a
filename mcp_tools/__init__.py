"""The tools an agent works with, over MCP: stdio for plain clients, HTTP where a harness hosts the agent."""
