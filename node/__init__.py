"""A remote machine that lends itself to the fleet: a sandboxed shell, workspace sync, a browser.

Holds no code yet. What it will not own: mail and turns, which stay with the broker and the harness.
"""
