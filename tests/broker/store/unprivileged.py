"""Being an ordinary user for a moment, also where the tests run as root, as they do in containers."""

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

_LINUX_CAPABILITY_VERSION_3 = 0x20080522


def without_privileges(call: Callable[[], T]) -> T:
    """Call something as a user for whom file modes count; skips the test where that cannot be had.

    On Linux capabilities belong to a thread, so one that gives them up and ends changes nothing for the rest.
    """
    if os.geteuid() != 0:
        return call()
    if sys.platform != "linux":
        pytest.skip("runs as root, for whom no file is read-only")
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            _give_up_capabilities()
            results.append(call())
        except BaseException as exc:  # noqa: BLE001  # raised again in the caller's thread
            errors.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _give_up_capabilities() -> None:
    header = (ctypes.c_uint32 * 2)(_LINUX_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(ctypes.byref(header), ctypes.byref(nothing)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
