"""Tiny programs for the supervisor to run."""

import sys

READY = 'print(\'{"event": "ready", "x": 1}\', flush=True)\n'
SLEEP = "import threading; threading.Event().wait(60)\n"


def script(body: str) -> list[str]:
    """Give the command line of a small Python program."""
    return [sys.executable, "-S", "-c", f"import os, signal, sys\n{body}"]


def steady() -> list[str]:
    """One that is ready and stays."""
    return script(READY + SLEEP)


def dying(code: int = 7, words: str = "no more") -> list[str]:
    """One that is ready, says something and ends."""
    return script(f"{READY}print({words!r}, file=sys.stderr)\nsys.exit({code})")
