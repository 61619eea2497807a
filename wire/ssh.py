"""The link through ssh: `ssh HOST queenpost link` on one end of a socket pair, a transport on the other.

Who may log in, with which key and what for, is the business of ssh and its configuration. No port is opened and no
token is an argument: the far end reads the token of its own home and says it first, inside of the connection.
"""

import shlex
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

import anyio
import anyio.to_thread

from wire.errors import CODES, Denied, Invalid, QueenpostError, Unavailable, from_wire
from wire.greeting import PROTOCOL, Greeting, decode_greeting, program_version
from wire.logs import get_logger
from wire.transport import Receiver, Transport, adopt

SSH_VARIABLE = "QUEENPOST_SSH"
"""Environment variable with another command than `ssh`, in words as for a shell."""
GREETING_WITHIN_S = 120.0
"""A person may have to type a passphrase."""
END_WITHIN_S = 5.0
MAX_WORDS = 600
"""Characters of what ssh or the far end said last."""
SSH_FAILED = 255
NOT_FOUND = 127
USAGE = 2

log = get_logger("ssh")


@dataclass(frozen=True, slots=True)
class SshAddress:
    """`ssh://[USER@]HOST[:PORT][/HOME]`."""

    destination: str
    port: int | None = None
    home: str | None = None
    """Folder of the fleet there; None: the one of the user."""

    def __str__(self) -> str:
        """Give it as a person would write it."""
        port = f":{self.port}" if self.port else ""
        home = "" if self.home is None else self.home if self.home.startswith("/") else f"/~/{self.home}"
        return f"ssh://{self.destination}{port}{home}"


class SshDialer:
    """Opens the link, each time with an ssh of its own (`wire.link.Connect`); `token` is for the hello on it."""

    def __init__(
        self, address: SshAddress, own_token: Callable[[], str] | None, *, as_: str | None, env: Mapping[str, str]
    ) -> None:
        self._address = address
        self._own_token = own_token
        self._as = as_
        self._env = env
        self._greeting: Greeting | None = None

    def command(self) -> list[str]:
        """Give the command line. The words behind the host are read by a shell there, hence the quoting."""
        ssh = shlex.split(self._env.get(SSH_VARIABLE) or "ssh")
        port = ["-p", str(self._address.port)] if self._address.port else []
        home = ["--home", self._address.home] if self._address.home else []
        whose = ["--no-token"] if self._own_token else ["--as", self._as] if self._as else []
        far = shlex.join(["queenpost", "link", *home, *whose])
        return [*ssh, "-T", *port, "--", self._address.destination, far]

    def token(self) -> str:
        """Give the caller's own token, or that of the far home.

        Raises:
            Denied: there is none.
        """
        if self._own_token is not None:
            return self._own_token()
        if self._greeting is None or self._greeting.token is None:
            raise Denied(f"{self._address} gave no token; name one with --token-file")
        return self._greeting.token

    async def __call__(self, receiver: Receiver) -> Transport:
        """Connect, and wait for the greeting of the far end.

        Raises:
            Unavailable: no ssh here, no way there, no queenpost or no broker there; says what ssh said.
            Invalid: another protocol there, or something talks before the link.
            QueenpostError: what the far end refused.
        """
        with tempfile.TemporaryFile() as errors:
            ours, theirs = socket.socketpair()
            with theirs:
                process = await self._start(ours, theirs, errors)
            opening = _Opening()
            transport = await adopt(ours, opening, remote=True)
            try:
                self._greeting = await self._greeted(opening, process, errors)
            except BaseException:
                transport.abort()
                _reap(process)
                raise
        transport.hand_to(_Reaping(receiver, process))
        if opening.closed.is_set():
            _reap(process)
            receiver.on_closed(None)
        return transport

    async def _start(self, ours: socket.socket, theirs: socket.socket, errors: IO[bytes]) -> "subprocess.Popen[bytes]":
        command = self.command()

        # In our own process group: ssh may ask for a passphrase on the terminal.
        def start() -> "subprocess.Popen[bytes]":
            return subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=errors)

        try:
            return await anyio.to_thread.run_sync(start)
        except OSError as exc:
            ours.close()
            raise Unavailable(
                f"cannot run {command[0]}: {exc.strerror}; install OpenSSH, or name another with ${SSH_VARIABLE}"
            ) from exc
        except BaseException:
            ours.close()
            raise

    async def _greeted(self, opening: "_Opening", process: "subprocess.Popen[bytes]", errors: IO[bytes]) -> Greeting:
        where = self._address
        with anyio.move_on_after(GREETING_WITHIN_S) as patience:
            await opening.heard.wait()
        if patience.cancelled_caught:
            raise Unavailable(f"{where} has not greeted within {GREETING_WITHIN_S:g} s; trying again is safe")
        if opening.line is None:
            raise await self._why(process, errors)
        greeting = decode_greeting(opening.line)
        if greeting is None:
            said = opening.line[:80].decode("utf-8", "replace")
            raise Invalid(
                f"{where} says {said!r} where the link should begin; "
                "let its shell print nothing when it is not interactive"
            )
        if greeting.protocol != PROTOCOL:
            raise Invalid(
                f"queenpost {greeting.version} at {where} speaks protocol {greeting.protocol}, "
                f"queenpost {program_version()} here {PROTOCOL}; use the same version on both machines"
            )
        log.debug("ssh_greeted", home=greeting.home, version=greeting.version)
        return greeting

    async def _why(self, process: "subprocess.Popen[bytes]", errors: IO[bytes]) -> QueenpostError:
        """Tell from exit code and standard error why there is no greeting."""
        code = await anyio.to_thread.run_sync(_exit_code, process)
        words = _last_words(errors)
        where, refused = self._address, words.splitlines()[-1].split(": ", 2) if words else []
        if len(refused) == 3 and refused[0] == "queenpost" and refused[1] in CODES:
            return from_wire(refused[1], f"at {where}: {refused[2]}", {})
        if code == NOT_FOUND:
            return Unavailable(f"{where} finds no queenpost on the PATH of its non-interactive shell ({words})")
        if code == USAGE and "link" in words:
            return Invalid(f"the queenpost at {where} is older and has no `link` ({words}); install the same version")
        if code == SSH_FAILED:
            return Unavailable(f"ssh cannot reach {where}: {words or 'it did not say why'}")
        return Unavailable(f"`queenpost link` at {where} ended with exit code {code}: {words or 'it did not say why'}")


class _Opening:
    """Takes the first line; a receiver until the link takes over."""

    def __init__(self) -> None:
        self.line: bytes | None = None
        self.heard = anyio.Event()
        """The first line is there, or will not come."""
        self.closed = anyio.Event()

    def on_line(self, line: bytes) -> None:
        """See `wire.transport.Receiver`. The far end says one line, and no more before a hello."""
        if not self.heard.is_set():
            self.line = line
            self.heard.set()

    def on_overflow(self) -> None:
        """See `wire.transport.Receiver`."""
        self.heard.set()

    def on_closed(self, exc: Exception | None) -> None:
        """See `wire.transport.Receiver`."""
        self.closed.set()
        self.heard.set()


class _Reaping:
    """Passes everything on, and ends ssh with the connection."""

    def __init__(self, receiver: Receiver, process: "subprocess.Popen[bytes]") -> None:
        self.on_line = receiver.on_line
        self.on_overflow = receiver.on_overflow
        self._receiver = receiver
        self._process = process

    def on_closed(self, exc: Exception | None) -> None:
        """See `wire.transport.Receiver`."""
        _reap(self._process)
        self._receiver.on_closed(exc)


def _reap(process: "subprocess.Popen[bytes]") -> None:
    """End a process whose work is done. A thread waits for it: neither the loop nor the caller should."""
    process.terminate()
    threading.Thread(target=process.wait, name="ssh reaper", daemon=True).start()


def _exit_code(process: "subprocess.Popen[bytes]") -> int | None:
    try:
        return process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        return None


def _last_words(errors: IO[bytes]) -> str:
    size = errors.seek(0, 2)
    errors.seek(max(0, size - MAX_WORDS))
    return errors.read().decode("utf-8", "replace").strip()
