"""Takes the terminal it was started on as its own and becomes the program that its arguments name.

Run as a file by `harness.backends.pty.terminal`, under the program's own environment: it imports nothing of ours. The
harness has threads, so none of its Python may run between fork and exec; here it may, in a process that has none.
"""

import fcntl
import os
import sys
import termios

NOT_FOUND, NOT_RUN = 127, 126
"""As shells say it."""


def main(argv: list[str]) -> None:
    """Become the program; never returns."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    try:
        os.execvp(argv[0], argv)  # noqa: S606  # no shell is wanted
    except OSError as exc:
        sys.stderr.write(f"{argv[0]!r} cannot be started: {exc.strerror}\r\n")
        sys.exit(NOT_FOUND if isinstance(exc, FileNotFoundError) else NOT_RUN)


if __name__ == "__main__":
    main(sys.argv[1:])
