"""How a Codex in one piece is woken: by its own `codex queue`, into which the session looks every ten seconds.

It needs the session's id, which a hook tells with the first prompt. While a turn runs nothing is put in: its hooks
tell of mail. A Codex without that command is not woken; its hooks work all the same.
"""

import subprocess
from collections.abc import Mapping, Sequence

import anyio

from console.session.door import Said
from wire.logs import get_logger

QUEUED_WITHIN_S = 30.0

log = get_logger("session")


class Queue:
    """The bell of one Codex session."""

    def __init__(self, program: Sequence[str], environment: Mapping[str, str]) -> None:
        self._program = program
        self._environment = environment
        self._idle_session: str | None = None

    def heard(self, said: Said) -> None:
        """Follow whether the session works: it does from a prompt to the end of its turn."""
        self._idle_session = said.session if said.event == "Stop" else None

    @property
    def is_ready(self) -> bool:
        """Say whether the session is idle, and known."""
        return self._idle_session is not None

    async def ring(self, count: int) -> bool:
        """Queue a prompt; False where the program refused it."""
        session = self._idle_session
        if session is None:
            return False
        command = [*self._program, "queue", "--thread", session, "--message", sentence(count)]
        with anyio.move_on_after(QUEUED_WITHIN_S):
            try:
                ended = await anyio.run_process(
                    command, env=self._environment, stdin=subprocess.DEVNULL, check=False, start_new_session=True
                )
            except OSError as exc:  # for a moment, while it is brought up to date; the session goes on
                log.warning("not_queued", reason=str(exc))
                return False
            if ended.returncode == 0:
                return True
            log.warning("not_queued", code=ended.returncode, said=ended.stderr.decode("utf-8", "replace")[-300:])
            return False
        log.warning("not_queued", within_s=QUEUED_WITHIN_S)
        return False


def sentence(count: int) -> str:
    """Say that messages wait, and what to do; as the hooks say it."""
    return f"Queenpost: {count} message{'' if count == 1 else 's'} wait{'s' if count == 1 else ''}; call recv."
