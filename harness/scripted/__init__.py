"""A model made of Python: a program that follows a script and uses the same tools as any agent.

It starts for each turn, so it is light: the standard library only, no MCP SDK, no pydantic, nothing of wire.
"""
