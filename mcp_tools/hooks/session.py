"""What an interactive session tells the post office, and is told by it, through the hooks of its client (DESIGN 5.4).

`python -I -S session.py start|tool|stop AGENT HOME`, the client's JSON on stdin, JSON in the client's form on stdout.
stop: the turn is over, so what it was handed is handled; waiting mail is named once. start, tool: mail is named.
Claude Code, Codex and Gemini CLI run it; `FORMS` says what is not the same in all of them.

It runs at every tool call of a client, so it has to start at once: the standard library only, nothing of ours, one
blocking socket. Exit code 0 always; where anything is in the way it is silent, after a second at the latest. What it
says holds counts and no word of a body: what a client puts into a conversation for us must not be written by others.
Long because each module more that it would load costs time at every tool call.
"""

from __future__ import annotations

import json
import os
import select
import socket
import stat
import sys
import time
import zlib
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:  # loading it takes as long as the interpreter's start
    from typing import Any

WITHIN_S = 0.9
"""Bound on all that waits: for the client's JSON and for the broker."""

HEARD_WITHIN_S = 0.3
"""Bound on the client's JSON alone: one that never ends its sentence must not cost the settling."""

STDIN, STDOUT = 0, 1
PROTOCOL = 1
MAX_BYTES = 4 * 1024 * 1024
"""Of the client's JSON and of one answer; tool results of any size are in the former, and are not needed."""

ANCESTORS = 3
"""How far above a hook its client is: a shell, perhaps one more."""

HOSTED = ("QUEENPOST_MCP_TOKEN", "QUEENPOST_MCP_URL")
"""Set in programs that a harness runs: one that works in the same folder reads the same hooks, and is another agent.
Either will do: Gemini CLI can be told to keep tokens from its hooks."""

SESSION = "QUEENPOST_SESSION"
"""Names the agent that a session was opened as: hooks that the folder has for another one are not its own."""

CLAUDE = {"tool": "PostToolUse", "server": "mcp__queenpost__", "turn": "", "story": ""}
GEMINI = {"tool": "AfterTool", "server": "mcp_queenpost_", "turn": "prompt", "story": "transcript_path"}
"""What differs: the event after a tool; how the names of our tools begin (recv says by itself what still waits); the
field that stays the same while one turn goes on, where `stop_hook_active` is forgotten at the next tool; the field that
names the story of the session, where the end of a turn is told of one that failed or was broken off as well."""

FORMS = {"AfterTool": GEMINI, "AfterAgent": GEMINI}
"""By the client's name of the event; every other is as in Claude Code, and so is all of Codex."""

ASIDE = {"info", "warning"}
"""Entries of a story that neither the model nor its user has written."""


class Silent(Exception):
    """There is nothing to say."""


class Line:
    """A connection to the broker as the agent, used for a few calls."""

    def __init__(self, home: str, agent: str, deadline: float) -> None:
        self._deadline = deadline
        self._rest = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        token = _secret(os.path.join(home, "secrets", "agents", agent))
        self._socket.settimeout(self._left_s())
        self._socket.connect(_socket_path(home))
        if "protocol" not in self._ask(hello="queenpost", protocol=PROTOCOL, token=token, kind="hook"):
            raise Silent

    def call(self, op: str, **fields: Any) -> dict[str, Any]:
        """Ask the broker; a refusal means that there is nothing to say."""
        answer = self._ask(id=1, op=op, **fields)
        if answer.get("ok") is not True:
            raise Silent
        return answer["result"]

    def _ask(self, **frame: Any) -> dict[str, Any]:
        self._socket.settimeout(self._left_s())
        self._socket.sendall(json.dumps(frame).encode() + b"\n")
        while True:
            answer = json.loads(self._line())
            if "event" not in answer:  # pushes come unasked
                return answer

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            self._socket.settimeout(self._left_s())
            data = self._socket.recv(65536)
            if not data or len(self._rest) > MAX_BYTES:
                raise Silent
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _left_s(self) -> float:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise Silent
        return left_s


def main(arguments: list[str]) -> None:
    """Do what the moment asks for, and say what there is to say."""
    deadline = time.monotonic() + WITHIN_S
    moment, agent, home = arguments
    heard = listen()
    if is_of_somebody_else(agent) or _is_of_another_window(home, agent):
        return
    _show_life(home, agent)
    said = MOMENTS[moment](Line(home, agent, deadline), agent, home, heard)
    os.write(STDOUT, json.dumps(said).encode() + b"\n")


def start(line: Line, agent: str, home: str, heard: dict[str, Any]) -> dict[str, Any]:
    """A session begins, or goes on with a shorter memory."""
    waiting = _waiting(line)
    _remember(home, agent, _known(home, agent, heard), waiting)
    now = f" {sentence(waiting)}" if waiting else ""
    who = f"You are {agent} in a Queenpost fleet; recv and send of the server queenpost are your mail."
    return _context("SessionStart", f"{who} What recv gives you counts as handled when your turn ends.{now}")


def tool(line: Line, agent: str, home: str, heard: dict[str, Any]) -> dict[str, Any]:
    """A tool was used in the middle of a turn: name mail that has come since it was named last."""
    form, known = _form(heard), _known(home, agent, heard)
    waiting = _waiting(line)
    _remember(home, agent, known, waiting, known["turn"])
    if waiting <= known["waiting"] or str(heard.get("tool_name")).startswith(form["server"]):
        raise Silent
    return _context(form["tool"], sentence(waiting))


def stop(line: Line, agent: str, home: str, heard: dict[str, Any]) -> dict[str, Any]:
    """The turn ends: settle it. Where mail waits the session goes on, but only once."""
    form, known = _form(heard), _known(home, agent, heard)
    if form["story"] and not _has_answered(str(heard.get(form["story"]))):
        raise Silent
    line.call("turns.settle")
    waiting = _waiting(line)
    turn = zlib.crc32(repr(heard.get(form["turn"])).encode("ascii", "backslashreplace")) if form["turn"] else None
    # Where it does not say whether it already went on because of us, it might do so for ever.
    went_on = heard.get("stop_hook_active") is not False or (turn is not None and turn == known["turn"])
    goes_on = waiting > 0 and not went_on
    _remember(home, agent, known, waiting, turn if goes_on else None)
    if not goes_on:
        raise Silent
    return {"decision": "block", "reason": sentence(waiting)}


MOMENTS = {"start": start, "tool": tool, "stop": stop}


def _waiting(line: Line) -> int:
    return int(line.call("inbox.peek", max=1)["waiting"])


def sentence(count: int) -> str:
    """Say that messages wait, and what to do."""
    return f"Queenpost: {count} message{'' if count == 1 else 's'} wait{'s' if count == 1 else ''}; call recv."


def _form(heard: dict[str, Any]) -> dict[str, str]:
    return FORMS.get(str(heard.get("hook_event_name")), CLAUDE)


def _has_answered(story: str) -> bool:
    """Say whether the last entry of a story is the model's answer. True where that cannot be told."""
    try:
        with open(os.open(story, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # a pipe would be waited for
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return True
            file.seek(max(status.st_size - MAX_BYTES, 0))
            lines = file.read(MAX_BYTES).splitlines()
    except (OSError, ValueError):
        return True
    for line in reversed(lines):
        with suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
            entry = json.loads(line)
            last = entry["$set"]["messages"][-1] if "$set" in entry else entry  # a history that was cut is set anew
            if last["type"] not in ASIDE:
                return last["type"] == "gemini"
    return True


def _context(event: str, text: str) -> dict[str, Any]:
    return {"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}}


def listen() -> dict[str, Any]:
    """Read what the client says; anything else than an object says nothing."""
    data, deadline = bytearray(), time.monotonic() + HEARD_WITHIN_S
    try:
        while select.select([STDIN], [], [], max(deadline - time.monotonic(), 0))[0]:
            chunk = os.read(STDIN, 65536)
            if not chunk:
                break
            data += chunk[: MAX_BYTES - len(data)]  # read on: a pipe that is closed too early may end a client
        said = json.loads(data)
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}  # pyright: ignore[reportUnknownVariableType]  # JSON has text as keys


def is_of_somebody_else(agent: str) -> bool:
    """Say whether the program that runs this hook is another agent than the one that the hook is for."""
    return any(name in os.environ for name in HOSTED) or os.environ.get(SESSION, agent) != agent


def _is_of_another_window(home: str, agent: str) -> bool:
    """Say whether the agent's mail is with another process of the client than the one that runs this hook.

    `mcp_tools.session_note` says whose it is. False where that cannot be told.
    """
    try:
        with open(os.path.join(home, "run", f"session-{agent}"), encoding="ascii") as note:
            server, client = map(int, note.read().split())
        os.kill(server, 0)
        pid = os.getppid()
        for _ in range(ANCESTORS):
            if pid == client:
                return False
            pid = _parent(pid)
    except (OSError, ValueError):
        return False  # nobody has it, whoever had it was killed, or this system has no /proc
    return True


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat", "rb") as status:
        return int(status.read().rpartition(b")")[2].split()[1])


def _show_life(home: str, agent: str) -> None:
    """Tell a server over HTTP that its client is there."""
    try:
        os.utime(os.path.join(home, "run", f"mcp-{agent}.token"))
    except OSError:
        return


def _known(home: str, agent: str, heard: dict[str, Any]) -> dict[str, Any]:
    """Give what is noted of this session: of how much mail it knows, and which of its turns went on because of it."""
    nothing = {"session": str(heard.get("session_id"))[:64], "waiting": 0, "turn": None}
    try:
        with open(_told(home, agent), encoding="utf-8") as file:
            noted = json.load(file)
        return {**nothing, **noted} if noted["session"] == nothing["session"] else nothing
    except (OSError, ValueError, KeyError, TypeError):
        return nothing


def _remember(home: str, agent: str, known: dict[str, Any], waiting: int, turn: int | None = None) -> None:
    """Note what the session knows now."""
    now = {"session": known["session"], "waiting": waiting, "turn": turn}
    if now != known:
        path = _told(home, agent)
        beside = f"{path}.{os.getpid()}"  # two hooks may run at once: neither reads what the other has half written
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(now, file)
        os.replace(beside, path)


def _told(home: str, agent: str) -> str:
    return os.path.join(home, "run", f"told-{agent}")


def _secret(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise Silent
        return file.read().rstrip("\r\n")


def _socket_path(home: str) -> str:
    """Find the broker as `wire.home.Home.socket` does: where it is noted, if the note was made for this home."""
    try:
        with open(os.path.join(home, "run", "socket"), encoding="utf-8") as note:
            noted = note.read().strip()
    except OSError:
        return os.path.join(home, "run", "broker.sock")
    import hashlib  # noqa: PLC0415  # rare, and slow to load

    own = hashlib.sha256(os.fsencode(os.path.realpath(home))).hexdigest()[:8]
    if os.path.basename(os.path.dirname(noted)).startswith(f"queenpost-{own}-"):
        return noted
    return os.path.join(home, "run", "broker.sock")


if __name__ == "__main__":
    with suppress(Exception):  # whatever it is: the session goes on undisturbed, and there is no log
        main(sys.argv[1:])
