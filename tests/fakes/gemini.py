"""A program that speaks the agent client protocol as Gemini CLI does, without a model: it does what its prompt says.

`say WORDS` · `think WORDS` · `tool NAME` · `may COMMAND` (asks for it, says what was decided) · `write FILE` (the
same for an edit) · `stuck` (until cancelled) · `spend TOKENS` · `stop REASON` · `fail CODE WORDS` · `die STATUS` ·
`flood KILOBYTES` · `orphan` (leaves a child) · `deaf` (reads nothing more and ignores SIGTERM) · `ask METHOD` ·
`raw TEXT`. FAKE_VERSION, FAKE_STATUS, FAKE_READY (`never`, `dies`), FAKE_OPEN (words of an error, or `nothing`) and
FAKE_KNOCK (a file that is made when our MCP server would be called) change the rest. What it was started with is in
`starts.jsonl`, what it was told in `heard.jsonl`, its sessions in `sessions/`, all in its own folder.
"""

import json
import os
import queue
import signal
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

ARGV = sys.argv[1:]
Line = dict[str, Any]


def send(**message: object) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def note(name: str, line: object) -> None:
    """Keep something for the test."""
    with Path(name).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def part(message: Line, name: str) -> Line:
    """Give an object within an object."""
    found: Line | None = message.get(name)
    return found if isinstance(found, dict) else {}


def listen() -> None:
    """Read what comes, all the time, as the program does."""
    for line in sys.stdin:
        message = json.loads(line)
        note("heard.jsonl", message)
        lines.put(message)
    lines.put(None)


class Turn:
    """What one prompt asks for."""

    def __init__(self, session: str, prompt: str) -> None:
        self.session = session
        self.reason = "end_turn"
        self.tokens = 7
        self.error: Line | None = None
        self.calls = 0
        for step in prompt.splitlines():
            word, _, rest = step.partition(" ")
            getattr(self, f"do_{word}", self.nothing)(rest)
            if self.cancelled or self.error is not None:
                break

    @property
    def cancelled(self) -> bool:
        return self.reason == "cancelled"

    def update(self, what: str, **fields: object) -> None:
        send(method="session/update", params={"sessionId": self.session, "update": {"sessionUpdate": what, **fields}})

    def nothing(self, rest: str) -> None:
        """Words that are no step."""

    def do_say(self, rest: str) -> None:
        self.update("agent_message_chunk", content={"type": "text", "text": rest})

    def do_think(self, rest: str) -> None:
        self.update("agent_thought_chunk", content={"type": "text", "text": rest})

    def do_tool(self, rest: str) -> None:
        call = self.call(rest)
        self.update("tool_call", toolCallId=call, status="in_progress", title=rest, kind="other")
        self.update("tool_call_update", toolCallId=call, status="completed", title=rest, kind="other")

    def do_may(self, rest: str) -> None:
        folder = {"type": "content", "content": {"type": "text", "text": "[current working directory /w]"}}
        self.may("run_shell_command", rest, "execute", folder)

    def do_write(self, rest: str) -> None:
        diff = {"type": "diff", "path": rest, "oldText": "", "newText": "hello"}
        self.may("write_file", "Writing to it", "edit", diff)

    def may(self, tool: str, title: str, kind: str, content: Line) -> None:
        """Ask for a permission, as it does: at most one at a time."""
        call = self.call(tool)
        wanted = {"toolCallId": call, "status": "pending", "title": title, "content": [content], "kind": kind}
        options = [
            {"optionId": "proceed_always", "name": "Allow for this session", "kind": "allow_always"},
            {"optionId": "proceed_once", "name": "Allow", "kind": "allow_once"},
            {"optionId": "cancel", "name": "Reject", "kind": "reject_once"},
        ]
        params = {"sessionId": self.session, "options": options, "toolCall": wanted}
        send(id=self.calls, method="session/request_permission", params=params)
        outcome = part(self.answer(self.calls), "outcome")
        if self.cancelled:
            return
        self.update("tool_call_update", toolCallId=call, status="completed", title=title, kind=kind)
        self.do_say(json.dumps(outcome))

    def do_ask(self, rest: str) -> None:
        self.calls += 1
        send(id=self.calls, method=rest, params={})
        self.do_say(json.dumps(self.answer(self.calls)))

    def do_stuck(self, rest: str) -> None:
        self.answer(-1)

    def do_spend(self, rest: str) -> None:
        self.tokens = int(rest)

    def do_stop(self, rest: str) -> None:
        self.reason = rest

    def do_fail(self, rest: str) -> None:
        code, _, words = rest.partition(" ")
        self.error = {"code": int(code), "message": words}

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

    def do_raw(self, rest: str) -> None:
        sys.stdout.write(rest + "\n")
        sys.stdout.flush()

    def call(self, tool: str) -> str:
        """Give the id of a new call."""
        self.calls += 1
        return f"{tool}__{self.calls}"

    def answer(self, number: int) -> Line:
        """Wait for an answer; where the turn is cancelled meanwhile, it is still waited for, if it was asked for."""
        while (message := lines.get()) is not None:
            if message.get("method") == "session/cancel":
                self.reason = "cancelled"
                if number < 0:
                    return {}
            if "method" not in message and message.get("id") == number:
                return part(message, "result") or part(message, "error")
        os._exit(0)


def prompted(params: Line) -> Line:
    """Play a turn and give its answer."""
    session, (said,) = str(params["sessionId"]), params["prompt"]
    turn = Turn(session, str(said["text"]))
    with (Path("sessions") / session).open("a") as file:
        file.write("x\n")
    if turn.error is not None:
        return {"error": turn.error}
    quota = {"token_count": {"input_tokens": turn.tokens, "output_tokens": 5}}
    return {"result": {"stopReason": turn.reason, "_meta": {"quota": quota}}}


def opened(method: str, params: Line) -> Line:
    """Begin a session, or go on with one and tell it again."""
    words = os.environ.get("FAKE_OPEN", "")
    if words == "nothing":
        return {"result": {}}
    if words:
        return {"error": {"code": -32000, "message": words}}
    if knock := os.environ.get("FAKE_KNOCK"):
        Path(knock).touch()
    if method == "session/new":
        session = str(uuid.uuid4())
        (Path("sessions") / session).touch()
        return {"result": {"sessionId": session}}
    session = str(params["sessionId"])
    if not (Path("sessions") / session).exists():
        return {"error": {"code": -32603, "message": "Internal error", "data": {"details": "No previous sessions"}}}
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "from before"}}
    send(method="session/update", params={"sessionId": session, "update": update})
    return {"result": {}}


def handle(message: Line) -> None:
    """Answer one request."""
    method, params = str(message.get("method")), part(message, "params")
    match method:
        case "initialize" if os.environ.get("FAKE_READY") == "never":
            return
        case "initialize" if os.environ.get("FAKE_READY") == "dies":
            sys.stderr.write("no such flag\n")
            sys.stderr.flush()
            os._exit(1)
        case "initialize":
            send(id=message["id"], result={"agentInfo": {"version": "0.61.0"}})
        case "session/new" | "session/load":
            send(id=message["id"], **opened(method, params))
        case "session/prompt":
            send(id=message["id"], **prompted(params))
        case _:
            pass


if "--version" in ARGV:
    sys.stdout.write(os.environ.get("FAKE_VERSION", "0.61.0") + "\n")
    sys.exit(int(os.environ.get("FAKE_STATUS", "0")))

Path("sessions").mkdir(exist_ok=True)
note("starts.jsonl", {"pid": os.getpid(), "argv": ARGV, "env": dict(os.environ)})
lines: "queue.Queue[Line | None]" = queue.Queue()
threading.Thread(target=listen, daemon=True).start()
while (heard := lines.get()) is not None:
    handle(heard)
os._exit(0)
