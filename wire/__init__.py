"""What every process shares: ids, models, the op table, frames, errors, client, clock, home, settings, logs.

A leaf: it imports nothing of ours and knows neither the database nor MCP.
"""
