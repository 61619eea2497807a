"""What runs for a job outside the fleet: a process or a tmux session of this machine, found again, asked, ended.

It is written down so that nothing else is ever taken for it: a process by pid and start, a tmux session by its id on a
server that is named like a process. Names, which another session may have later, are not used.
"""

import json
import os
import platform
import shutil
import signal
import subprocess
from dataclasses import asdict, dataclass

import anyio

from wire.errors import Invalid, Unavailable
from wire.processes import Process, identity

ASKED_S = 10.0
"""How long tmux may take for an answer."""
END_S = 5.0
"""How long something may take to end before it is killed."""
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class JobProcess:
    """One process, or with `session` one tmux session, whose server is the process."""

    host: str
    pid: int
    name: str
    """The `identity` of the process."""
    session: str = ""
    """The id of a tmux session, like `$3`: never given twice by one server."""
    socket: str = ""
    """Where that server listens."""

    @property
    def words(self) -> str:
        """Say what it is."""
        return f"tmux session {self.session} on {self.socket}" if self.session else f"process {self.pid}"

    def written(self) -> str:
        """Give it as the broker keeps it."""
        return json.dumps(asdict(self))

    def is_alive(self) -> bool | None:
        """Say whether it still runs; None where that cannot be seen from this machine.

        Raises:
            Unavailable: tmux is not there to be asked, or does not answer.
        """
        if self.host != platform.node() or _elsewhere(self.name):
            return None
        if not Process(self.pid, self.name).is_alive():
            return False
        return not self.session or _tmux(["-S", self.socket], "has-session", "-t", self.session).returncode == 0

    async def end(self) -> None:
        """End it and nothing else: a tmux session at once; a process by SIGTERM, after a while by SIGKILL. Idempotent.

        Raises:
            Unavailable: it runs on.
        """
        if self.is_alive() is not True:
            return
        if self.session:
            _tmux(["-S", self.socket], "kill-session", "-t", self.session)
        else:
            self._signal(signal.SIGTERM)
        if await self._is_gone():
            return
        if not self.session:
            self._signal(signal.SIGKILL)
        if not await self._is_gone():
            raise Unavailable(f"{self.words} cannot be ended; end it yourself, then reconcile again")

    def _signal(self, number: signal.Signals) -> None:
        process = Process(self.pid, self.name)
        try:
            leads = os.getpgid(self.pid) == self.pid
        except ProcessLookupError:
            return
        if leads:
            process.kill_group(number)
        else:
            process.kill(number)

    async def _is_gone(self) -> bool:
        for _ in range(int(END_S / POLL_S)):
            if not self.is_alive():
                return True
            await anyio.sleep(POLL_S)
        return False


def _elsewhere(name: str) -> bool:
    """Say whether a process belongs to another pid namespace of this boot, where pids mean something else."""
    theirs, ours = name.split("/"), (identity(os.getpid()) or "").split("/")
    return len(theirs) == len(ours) == 3 and theirs[0] == ours[0] and theirs[1] != ours[1]


def read(text: str) -> JobProcess | None:
    """Read what the broker kept; None where it is none of ours."""
    try:
        return JobProcess(**json.loads(text))
    except (ValueError, TypeError):
        return None


def of_pid(pid: int) -> JobProcess:
    """Name a process that runs.

    Raises:
        Invalid: there is none.
    """
    name = identity(pid)
    if name is None:
        raise Invalid(f"no process {pid} runs here; name the one that works on the job")
    return JobProcess(platform.node(), pid, name)


def of_tmux(session: str, socket: str | None) -> JobProcess:
    """Name a tmux session that runs: on the server of this terminal, or on `socket`, a name or a path.

    Raises:
        Invalid: there is none. Unavailable: tmux is not installed, or does not answer.
    """
    server = [] if socket is None else ["-S" if "/" in socket else "-L", socket]
    form = "#{pid}\t#{session_id}\t#{socket_path}"
    told = _tmux(server, "display-message", "-p", "-t", f"={session}:", form)
    fields = told.stdout.strip().split("\t")
    name = identity(int(fields[0])) if len(fields) == 3 and fields[0].isdigit() else None
    if told.returncode != 0 or name is None or not fields[1].startswith("$"):
        where = f" on {socket}" if socket else ""
        raise Invalid(f"there is no tmux session {session!r}{where}; `tmux ls` lists them")
    return JobProcess(platform.node(), int(fields[0]), name, fields[1], fields[2])


def _tmux(server: list[str], *words: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("tmux")
    if program is None:
        raise Unavailable("tmux is not on PATH; its sessions cannot be looked at")
    try:
        return subprocess.run(
            [program, *server, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=ASKED_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as exc:
        raise Unavailable(f"tmux does not answer within {ASKED_S:g} s; try again") from exc
