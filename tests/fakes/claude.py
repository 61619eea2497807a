"""A program that speaks Claude Code's JSON lines, without a model: it does what the lines of the prompt say.

`say WORDS` · `tool NAME` · `may COMMAND` (asks for it, says what was decided) · `queue` (takes the next line in, as
it does between two tools) · `stuck` (until interrupted) · `cost USD` · `compact` · `limit EPOCH` · `fail JSON` (the
result has these fields) · `die STATUS` · `flood KILOBYTES` · `orphan` (leaves a child) · `deaf` (reads nothing more
and ignores SIGTERM) · `ask SUBTYPE` (a control request) · `raw TEXT` · `recall` (says what was typed in its session).
What it was started with is in `starts.jsonl`, what it was told in `heard.jsonl`, its sessions in `sessions/`, those
that were to become shorter in `compacted.jsonl` (FAKE_COMPACT: `fail`, `wall` or `hang`), all in its own folder.
Without `-p` it is at a terminal: it keeps the lines that are typed in its session, but for `clear` (begins another
one) and `exit`.

Long because a program that runs by itself is one file.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import cast

ARGV = sys.argv[1:]
Line = dict[str, object]


def say(message: Line) -> None:
    """Write one line; two threads do."""
    with saying:
        sys.stdout.write(json.dumps({"session_id": session, **message}) + "\n")
        sys.stdout.flush()


def object_of(value: object) -> Line:
    """Give an object, an empty one for anything else."""
    return cast("Line", value) if isinstance(value, dict) else {}


def note(name: str, line: object) -> None:
    """Keep something for the test."""
    with Path(name).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def value_of(flag: str) -> str | None:
    """Give what follows a flag."""
    return ARGV[ARGV.index(flag) + 1] if flag in ARGV else None


def listen(lines: "queue.Queue[dict[str, object] | None]") -> None:
    """Read what comes, all the time, as the program does."""
    for line in sys.stdin:
        message = json.loads(line)
        note("heard.jsonl", message)
        lines.put(message)
        if message.get("type") == "user":
            waiting.append(message)
            say({"type": "command_lifecycle", "command_uuid": message["uuid"], "state": "queued"})
    lines.put(None)


class Turn:
    """What one prompt asks for."""

    def __init__(self, prompt: Line) -> None:
        self.fields: Line = {}
        self.aborted = False
        say({"type": "system", "subtype": "init", "mcp_servers": [*FURTHER, {"name": "queenpost", "status": MCP}]})
        echo(prompt)
        for step in text_of(prompt).splitlines():
            word, _, rest = step.partition(" ")
            getattr(self, f"do_{word}", self.nothing)(rest)
            if self.aborted:
                break

    def nothing(self, rest: str) -> None:
        """Words that are no step."""

    def do_say(self, rest: str) -> None:
        answer({"type": "text", "text": rest})

    def do_tool(self, rest: str) -> None:
        answer({"type": "tool_use", "id": "toolu_1", "name": rest, "input": {}})

    def do_may(self, rest: str) -> None:
        for command in rest.split("&"):
            rules = [{"toolName": "Bash", "ruleContent": command.strip()}]
            request = {
                "subtype": "can_use_tool",
                "tool_name": "Bash",
                "input": {"command": command.strip()},
                "permission_suggestions": [
                    {"type": "setMode", "mode": "acceptEdits", "destination": "session"},
                    {"type": "addRules", "rules": rules, "behavior": "allow", "destination": "localSettings"},
                ],
            }
            say({"type": "control_request", "request_id": f"may-{command.strip()}", "request": request})
        for _ in rest.split("&"):
            decided = self.next("control_response")
            if not self.aborted:
                self.do_say(json.dumps(decided))

    def do_ask(self, rest: str) -> None:
        say({"type": "control_request", "request_id": "asked", "request": {"subtype": rest}})
        self.do_say(json.dumps(self.next("control_response")))

    def do_queue(self, rest: str) -> None:
        self.do_say(f"took {text_of(taken())}")

    def do_stuck(self, rest: str) -> None:
        self.next("never")

    def do_cost(self, rest: str) -> None:
        self.fields["total_cost_usd"] = float(rest)

    def do_compact(self, rest: str) -> None:
        say({"type": "system", "subtype": "compact_boundary", "compact_metadata": {"trigger": "auto"}})

    def do_limit(self, rest: str) -> None:
        info = {"status": "rejected", "resetsAt": int(rest), "rateLimitType": "five_hour"}
        say({"type": "rate_limit_event", "rate_limit_info": info})

    def do_fail(self, rest: str) -> None:
        self.fields |= {"is_error": True, "terminal_reason": "api_error", **json.loads(rest)}

    def do_die(self, rest: str) -> None:
        sys.stderr.write("something is wrong\n")
        sys.stderr.flush()
        os._exit(int(rest))

    def do_flood(self, rest: str) -> None:
        for _ in range(int(rest)):
            sys.stdout.write("x" * 1024)
        sys.stdout.write("\n")

    def do_orphan(self, rest: str) -> None:
        if (child := os.fork()) == 0:
            signal.pause()
        self.do_say(f"child {child}")

    def do_deaf(self, rest: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.do_say("deaf")
        while True:
            signal.pause()

    def do_recall(self, rest: str) -> None:
        self.do_say(f"recalled {Path('sessions', session).read_text(encoding='utf-8').split()}")

    def do_raw(self, rest: str) -> None:
        sys.stdout.write(rest + "\n")
        sys.stdout.flush()

    def next(self, kind: str) -> Line:
        """Wait for a line of a kind; an interrupt ends the turn."""
        while (message := lines.get()) is not None:
            if object_of(message.get("request")).get("subtype") == "interrupt":
                if kind == "control_response":
                    say({"type": "control_cancel_request", "request_id": "may-x"})
                self.aborted = True
                self.fields = {
                    "subtype": "error_during_execution",
                    "is_error": True,
                    "terminal_reason": "aborted_tools",
                }
                return {}
            if message.get("type") == kind:
                return object_of(message.get("response"))
            if message.get("type") == "user":
                later.append(message)
        os._exit(0)


def taken() -> Line:
    """Take a line up that came during the turn, waiting for it."""
    while True:
        message = later.pop(0) if later else lines.get()
        if message is None:
            os._exit(0)
        if message.get("type") == "user":
            echo(message)
            return message


def echo(message: Line) -> None:
    """Say that a line was taken up, as `--replay-user-messages` asks for."""
    waiting.remove(message)
    say({**message, "isReplay": True})


def text_of(message: Line) -> str:
    """Give the words of a line."""
    return str(object_of(message.get("message")).get("content"))


def answer(block: Line) -> None:
    """Be the model for one block."""
    say({"type": "assistant", "message": {"model": "fake", "content": [block]}})


def compact(message: Line) -> None:
    """Make the history a summary, or say that it cannot; the command itself is not echoed."""
    waiting.remove(message)
    note("compacted.jsonl", session)
    say({"type": "system", "subtype": "status", "status": "compacting"})
    how = os.environ.get("FAKE_COMPACT", "")
    if how == "hang":
        signal.pause()
    words = COMPACTIONS.get(how, "")
    outcome = {"compact_result": "failed", "compact_error": words} if words else {"compact_result": "success"}
    say({"type": "system", "subtype": "status", "status": None, **outcome})
    say({"type": "system", "subtype": "init", "mcp_servers": [{"name": "queenpost", "status": MCP}]})
    if not words:
        say({"type": "system", "subtype": "compact_boundary", "compact_metadata": {"trigger": "manual"}})
    say({"type": "result", "subtype": "success", "is_error": False, "num_turns": 0, "result": words})


def result(turn: Turn) -> None:
    """End a turn."""
    usage = {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 5}
    fields: Line = {"subtype": "success", "is_error": False, "terminal_reason": "completed", "result": "done"}
    say({"type": "result", "queued_turn_count": len(waiting), "usage": usage, **fields, **turn.fields})


def begin_session() -> str:
    """Find the session that is wanted, or make it."""
    known = Path("sessions")
    known.mkdir(exist_ok=True)
    if (wanted := value_of("--resume")) is not None:
        if not (known / wanted).exists():
            words = f"No conversation found with session ID: {wanted}"
            sys.stderr.write(words + "\n")
            failed = {"type": "result", "subtype": "error_during_execution", "is_error": True, "errors": [words]}
            sys.stdout.write(json.dumps(failed) + "\n")
            sys.stdout.flush()
            sys.exit(1)
        return wanted
    made = value_of("--session-id") or str(uuid.uuid4())
    (known / made).touch()
    return made


def at_terminal(now: str) -> None:
    """Keep what is typed."""
    now = branch(now, "fork", copied=True) if "--fork-session" in ARGV else now
    if "--fork-session" not in ARGV:
        tell(now, "resume")
    show(f"READY {now}")
    for line in sys.stdin:
        match line.strip():
            case "exit":
                return
            case "clear":
                now = branch(now, "clear")
                show(f"CLEARED {now}")
            case words:
                with Path("sessions", now).open("a", encoding="utf-8") as file:
                    file.write(words + "\n")
                show(f"KEPT {words}")


def show(words: str) -> None:
    """Write on the terminal."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def branch(now: str, source: str, *, copied: bool = False) -> str:
    """Begin another session."""
    made = Path("sessions", str(uuid.uuid4()))
    made.write_bytes(Path("sessions", now).read_bytes() if copied else b"")
    tell(made.name, source)
    return made.name


def tell(now: str, source: str) -> None:
    """Run the hook that wants to know of a session."""
    hooks = object_of(object_of(json.loads(value_of("--settings") or "{}")).get("hooks"))
    told = {"session_id": now, "source": source, "transcript_path": str(Path("sessions", now).absolute())}
    for group in cast("list[Line]", hooks.get("SessionStart", [])):
        for hook in cast("list[Line]", group["hooks"]):
            subprocess.run(["/bin/sh", "-c", str(hook["command"])], check=True, input=json.dumps(told).encode())


if "--version" in ARGV:
    sys.stdout.write(os.environ.get("FAKE_VERSION", "2.1.329 (Claude Code)") + "\n")
    sys.exit(int(os.environ.get("FAKE_STATUS", "0")))

MCP = os.environ.get("FAKE_MCP", "connected")
COMPACTIONS = {
    "fail": "Compaction failed · conversation could not be reduced below the context limit",
    "wall": "Error during compaction: API Error: Request rejected (429) · This request would exceed your rate limit.",
}
FURTHER = json.loads(os.environ.get("FAKE_FURTHER", "[]"))
note("starts.jsonl", {"pid": os.getpid(), "argv": ARGV, "env": dict(os.environ)})
session = begin_session()
if "-p" not in ARGV:
    at_terminal(session)
    sys.exit(0)
saying = threading.Lock()
lines: "queue.Queue[Line | None]" = queue.Queue()
waiting: list[Line] = []
later: list[Line] = []
threading.Thread(target=listen, args=(lines,), daemon=True).start()
while (message := later.pop(0) if later else lines.get()) is not None:
    if message.get("type") == "user" and text_of(message) == "/compact":
        compact(message)
    elif message.get("type") == "user":
        result(Turn(message))
os._exit(0)
