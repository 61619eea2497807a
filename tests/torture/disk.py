"""File systems of a few MiB, which fill up quickly."""

import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: int, what: str) -> Generator[Path]:
    """Mount a file system of so many bytes at a new folder; skips the test, by name, where that cannot be had."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip(f"{what} was NOT RUN: there is no mount here")
    folder.mkdir()
    mounting = [mount, "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)]
    done = subprocess.run(mounting, check=False, capture_output=True, text=True, timeout=10)
    if done.returncode != 0:
        pytest.skip(f"{what} was NOT RUN: {done.stderr.strip() or 'may not mount'}")
    try:
        yield folder
    finally:
        subprocess.run([umount, "-l", str(folder)], check=True, timeout=10)
