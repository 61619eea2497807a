"""`queenpost claude` and `queenpost codex`: the user's own interactive program as an agent of the fleet.

`opening` says how a program is started, `place` whose mail it gets, `app` runs it; `door`, `insisting` and `waking`
wake it while it is idle. What its hooks and its tools do is in `mcp_tools`, and runs in processes of their own.
"""
