"""The command line: one file per noun, each loaded when one of its commands is called."""

from console.cli.root import main

__all__ = ["main"]
