"""What is typed for a program: text that no terminal and no program can take for anything but text.

Mail is untrusted. A control character in it would press a key, and the end of a paste in it would leave the paste.
"""

import os
from pathlib import Path

from prompts.loader import render
from wire.private_files import write_secret

PASTE, PASTED = "\x1b[200~", "\x1b[201~"
"""Begins and ends what a program takes as one piece, line breaks included."""

MOST_LINE_BYTES = 800
"""A terminal in its first mode holds a line of 1024 bytes on macOS, 4095 on Linux, and drops the rest."""

KEPT = "\n\t"
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in KEPT}
_SHOWN = {**_PICTURES, 0x7F: "\u2421", **dict.fromkeys(range(0x80, 0xA0), "\ufffd")}


def harmless(text: str) -> str:
    """Give the text with every control character but line break and tab as a sign that shows it."""
    return text.replace("\r\n", "\n").translate(_SHOWN)


def pasted(text: str) -> str:
    """Give what is typed for a program that takes pastes."""
    return f"{PASTE}{harmless(text)}{PASTED}"


def in_one_line(text: str, file: Path) -> str:
    """Give what is typed for a program that knows no paste: each line break would submit, and a long line is cut.

    More than one line is written into the file instead, and its path is typed.

    Raises:
        OSError: it cannot be written.
    """
    text = harmless(text).strip()
    if "\n" in text or len(os.fsencode(text)) > MOST_LINE_BYTES:
        write_secret(file, text + "\n")
        return harmless(render("turns/in_file.md.j2", path=file))
    return text.replace("\t", " ")
