"""A program that speaks as Codex does, `app-server` and `exec`, without a model: it does what the prompt's lines say.

`say WORDS` · `tool NAME` (an item of that kind) · `mcp SERVER TOOL` · `may COMMAND & COMMAND` (asks for them at once,
says what was decided) · `patch PATH` · `elicit SERVER TOOL` · `ask METHOD JSON` · `steer` (says what is put in)
· `stuck` (until interrupted) · `tokens IN OUT` · `compact` · `limit PERCENT EPOCH` · `helper` (a thread of its own
ends its turn) · `fail JSON` (the turn's error) · `die STATUS` · `flood KILOBYTES` · `orphan` (leaves a child) · `deaf`
(reads nothing more and ignores SIGTERM) · `raw TEXT` · `replay FILE` (writes what the real program wrote). What it was
started with is in `starts.jsonl`, what it was told in `heard.jsonl`, its threads in `threads/`, those that were to
become shorter in `compacted.jsonl` (FAKE_COMPACT: `fail`, `wall` or `hang`), all in its own folder.

Long because both of its ways to speak share the steps, and a program that runs by itself is one file.
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
THREADS = Path("threads")
NO_TOOLS = (
    "error creating thread: Fatal error: Failed to initialize session: required MCP servers failed to initialize: "
    "queenpost: handshaking with MCP server failed: Send message error Transport [of many words] error: Client error: "
    "HTTP request failed: connection refused, when send initialize request"
)
COMPACTIONS: "dict[str, dict[str, Any]]" = {
    "fail": {
        "message": "Codex ran out of room in the model's context window.",
        "codexErrorInfo": "contextWindowExceeded",
    },
    "wall": {"message": "unexpected status 429 Too Many Requests", "codexErrorInfo": "rateLimitExceeded"},
}
Line = dict[str, Any]


def write(message: Line) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def note(name: str, line: object) -> None:
    """Keep something for the test."""
    with Path(name).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


class Thread:
    """A conversation, with the tokens it has used so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = THREADS / name
        known: Line = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
        self.tokens: list[int] = known.get("tokens", [0, 0])
        self.keep()

    def keep(self) -> None:
        """Write it down."""
        THREADS.mkdir(exist_ok=True)
        self.path.write_text(json.dumps({"tokens": self.tokens}), encoding="utf-8")


class Turn:
    """What one prompt asks for; `Server` and `Exec` say it in their own words."""

    def __init__(self, thread: Thread) -> None:
        self.thread = thread
        self.error: Line | None = None
        self.items = 0

    def play(self, prompt: str) -> None:
        """Do the steps."""
        for step in prompt.splitlines():
            word, _, rest = step.partition(" ")
            getattr(self, f"do_{word}", self.nothing)(rest)
            if self.over:
                return

    @property
    def over(self) -> bool:
        """Whether nothing more is done."""
        return False

    def nothing(self, rest: str) -> None:
        """Words that are no step."""

    def item(self, kind: str, **fields: object) -> Line:
        """Begin and end an item."""
        raise NotImplementedError

    def do_fail(self, rest: str) -> None:
        self.error = json.loads(rest)

    def do_tokens(self, rest: str) -> None:
        more = [int(word) for word in rest.split()]
        self.thread.tokens = [now + one for now, one in zip(self.thread.tokens, more, strict=True)]
        self.thread.keep()

    def do_die(self, rest: str) -> None:
        sys.stderr.write("2026-01-01T00:00:00Z ERROR codex_core: \x1b[31msomething is wrong\x1b[0m\n")
        sys.stderr.flush()
        os._exit(int(rest))

    def do_flood(self, rest: str) -> None:
        for _ in range(int(rest)):
            sys.stdout.write("x" * 1024)
        sys.stdout.write("\n")

    def do_raw(self, rest: str) -> None:
        sys.stdout.write(rest + "\n")
        sys.stdout.flush()

    def do_orphan(self, rest: str) -> None:
        if (child := os.fork()) == 0:
            signal.pause()
        self.item("agentMessage", text=f"child {child}")

    def do_deaf(self, rest: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.item("agentMessage", text="deaf")
        while True:
            signal.pause()


class ServerTurn(Turn):
    """A turn of the app-server."""

    def __init__(self, thread: Thread, name: str, heard: "queue.Queue[Line | None]") -> None:
        super().__init__(thread)
        self.name = name
        self.heard = heard
        self.aborted = False
        self.answered: Line = {}

    @property
    def over(self) -> bool:
        return self.aborted

    def tell(self, method: str, **params: object) -> None:
        """Write a notification."""
        write({"method": method, "params": {"threadId": self.thread.name, "turnId": self.name, **params}})

    def item(self, kind: str, **fields: object) -> Line:
        self.items += 1
        made: Line = {"type": kind, "id": f"item_{self.items}", **fields}
        self.tell("item/started", item=made)
        self.tell("item/completed", item=made)
        return made

    def do_say(self, rest: str) -> None:
        self.item("agentMessage", text=rest)

    def do_tool(self, rest: str) -> None:
        self.item(rest)

    def do_mcp(self, rest: str) -> None:
        server, tool = rest.split()
        self.item("mcpToolCall", server=server, tool=tool)

    def do_compact(self, rest: str) -> None:
        self.item("contextCompaction")

    def do_limit(self, rest: str) -> None:
        percent, epoch = (int(word) for word in rest.split())
        windows = {"primary": {"usedPercent": percent, "windowDurationMins": 300, "resetsAt": epoch}, "secondary": None}
        write({"method": "account/rateLimits/updated", "params": {"rateLimits": windows}})

    def do_helper(self, rest: str) -> None:
        turn = {"id": "its", "status": "failed", "error": {"message": "of a helper"}}
        write({"method": "turn/completed", "params": {"threadId": "another", "turn": turn}})

    def do_may(self, rest: str) -> None:
        commands = [word.strip() for word in rest.split("&")]
        for place, command in enumerate(commands):
            asked = {"kind": "command", "command": f"/bin/bash -lc '{command}'", "reason": "I want", "itemId": "i"}
            self.request(f"may-{place}", "item/commandExecution/requestApproval", asked)
        self.take(len(commands))

    def do_patch(self, rest: str) -> None:
        change = {"path": rest, "kind": {"type": "add"}, "diff": "hello"}
        self.tell("item/started", item={"type": "fileChange", "id": "patch", "changes": [change]})
        self.request("patch", "item/fileChange/requestApproval", {"itemId": "patch", "reason": None, "grantRoot": None})
        self.take(1)

    def do_elicit(self, rest: str) -> None:
        server, tool = rest.split()
        meta = {"codex_approval_kind": "mcp_tool_call", "tool_name": tool, "tool_params": {"to": "bob"}}
        self.request("elicit", "mcpServer/elicitation/request", {"serverName": server, "mode": "form", "_meta": meta})
        self.take(1)

    def do_ask(self, rest: str) -> None:
        method, _, params = rest.partition(" ")
        self.request("asked", method, json.loads(params or "{}"))
        self.take(1)

    def do_steer(self, rest: str) -> None:
        if (message := self.next("turn/steer")) is not None:
            self.item("userMessage", content=message["params"]["input"])
            write({"id": message["id"], "result": {"turnId": self.name}})
            self.do_say(f"took {text_of(message)}")

    def do_stuck(self, rest: str) -> None:
        self.next("never")

    def do_replay(self, rest: str) -> None:
        for line in Path(rest).read_text(encoding="utf-8").splitlines():
            message = json.loads(line)
            if "threadId" in message.get("params", {}):
                message["params"]["threadId"] = self.thread.name
            write(message)
        self.aborted, self.error = True, {"replayed": True}

    def request(self, name: str, method: str, params: Line) -> None:
        """Ask the client for something."""
        params = {"threadId": self.thread.name, "turnId": self.name, **params}
        write({"id": name, "method": method, "params": params})

    def take(self, count: int) -> None:
        """Say what was answered."""
        for _ in range(count):
            if self.next("answer") is not None:
                answer = {key: value for key, value in self.answered.items() if key != "id"}
                self.do_say(f"{self.answered['id']} {json.dumps(answer)}")

    def next(self, wanted: str) -> Line | None:
        """Wait for a line of a kind; None where the turn is interrupted."""
        while (message := self.heard.get()) is not None:
            method = message.get("method", "answer")
            if method == "turn/interrupt":
                write({"id": message["id"], "result": {}})
                self.aborted = True
                return None
            if method == "turn/steer" and wanted != "turn/steer":
                write({"id": message["id"], "result": {"turnId": self.name}})
                note("steered.jsonl", text_of(message))
                continue
            if method == wanted:
                self.answered = message
                return message
        os._exit(0)

    def end(self) -> None:
        """Say how it ended."""
        if self.error == {"replayed": True}:
            return
        total = {"inputTokens": self.thread.tokens[0], "outputTokens": self.thread.tokens[1]}
        self.tell("thread/tokenUsage/updated", tokenUsage={"total": total, "last": total})
        status = "interrupted" if self.aborted else "failed" if self.error else "completed"
        self.tell("turn/completed", turn={"id": self.name, "items": [], "status": status, "error": self.error})


class ExecTurn(Turn):
    """A turn of `codex exec`."""

    def item(self, kind: str, **fields: object) -> Line:
        self.items += 1
        made: Line = {"id": f"item_{self.items}", "type": kind, **fields}
        write({"type": "item.started", "item": made})
        write({"type": "item.completed", "item": made})
        return made

    def do_say(self, rest: str) -> None:
        self.item("agent_message", text=rest)

    def do_tool(self, rest: str) -> None:
        self.item(rest)

    def do_replay(self, rest: str) -> None:
        sys.stdout.write(Path(rest).read_text(encoding="utf-8"))
        sys.stdout.flush()
        os._exit(0)

    def end(self) -> int:
        """Say how it ended; gives the exit status."""
        if self.error is not None:
            write({"type": "turn.failed", "error": self.error})
            return 1
        spent = {"input_tokens": self.thread.tokens[0], "output_tokens": self.thread.tokens[1]}
        write({"type": "turn.completed", "usage": spent})
        return 0


def text_of(message: Line) -> str:
    """Give the words of a prompt, or of what is put in."""
    return "".join(part["text"] for part in message["params"]["input"])


def listen(heard: "queue.Queue[Line | None]") -> None:
    """Read what comes, all the time, as the program does."""
    for line in sys.stdin:
        message = json.loads(line)
        note("heard.jsonl", message)
        heard.put(message)
    heard.put(None)


def account() -> Line:
    """Say who pays."""
    needed = os.environ.get("FAKE_ACCOUNT", "there") != "free"
    there = {"type": "chatgpt"} if os.environ.get("FAKE_ACCOUNT", "there") == "there" else None
    return {"account": there, "requiresOpenaiAuth": needed}


def begin(params: Line) -> Line:
    """Begin a thread or go on with one; gives what stands in the answer."""
    wanted = params.get("threadId")
    if wanted is not None and not (THREADS / wanted).exists():
        return {"error": {"code": -32600, "message": f"no rollout found for thread id {wanted}"}}
    if os.environ.get("FAKE_MCP") == "failed":
        return {"error": {"code": -32603, "message": NO_TOOLS}}
    thread = Thread(wanted or str(uuid.uuid4()))
    return {"result": {"thread": {"id": thread.name}, "model": "fake"}}


def serve() -> None:
    """Be the app-server."""
    heard: queue.Queue[Line | None] = queue.Queue()
    threading.Thread(target=listen, args=(heard,), daemon=True).start()
    while (message := heard.get()) is not None:
        method = message.get("method")
        params: Line = message.get("params") or {}
        if os.environ.get("FAKE_MCP") == "mute":
            continue
        match method:
            case "initialize":
                write({"id": message["id"], "result": {"userAgent": "queenpost/0.169.0 (here)"}})
            case "account/read":
                write({"id": message["id"], "result": account()})
            case "account/login/start":
                write({"id": message["id"], "result": {"type": params["type"]}})
            case "thread/start" | "thread/resume":
                write({"id": message["id"], **begin(params)})
            case "turn/start":
                turn = ServerTurn(Thread(params["threadId"]), str(uuid.uuid4()), heard)
                write({"id": message["id"], "result": {"turn": {"id": turn.name, "status": "inProgress"}}})
                turn.play(text_of(message))
                turn.end()
            case "thread/compact/start":
                write({"id": message["id"], "result": {}})
                compact(ServerTurn(Thread(params["threadId"]), str(uuid.uuid4()), heard))
            case "turn/steer" | "turn/interrupt":
                write({"id": message["id"], "error": {"code": -32600, "message": "no active turn"}})
            case "thread/backgroundTerminals/clean":
                write({"id": message["id"], "result": {}})
            case _:
                pass
    os._exit(0)


def compact(turn: ServerTurn) -> None:
    """Make the history a summary, in a turn of its own, or say that it cannot."""
    note("compacted.jsonl", turn.thread.name)
    turn.tell("turn/started", turn={"id": turn.name, "items": [], "status": "inProgress", "error": None})
    turn.error = COMPACTIONS.get(how := os.environ.get("FAKE_COMPACT", ""))
    if how == "hang":
        turn.do_stuck("")
    turn.item("contextCompaction")
    turn.end()


def execute() -> int:
    """Be `codex exec`."""
    prompt = sys.stdin.read()
    wanted = ARGV[ARGV.index("resume") + 1] if "resume" in ARGV else None
    if wanted is not None and not (THREADS / wanted).exists():
        sys.stderr.write(f"Error: thread/resume: thread/resume failed: no rollout found for thread id {wanted}\n")
        return 1
    if os.environ.get("FAKE_MCP") == "failed":
        sys.stderr.write(f"Error: {NO_TOOLS}\n\nStack backtrace:\n   0: <unknown>\n")
        return 1
    thread = Thread(wanted or str(uuid.uuid4()))
    write({"type": "thread.started", "thread_id": thread.name})
    write({"type": "turn.started"})
    turn = ExecTurn(thread)
    turn.play(prompt)
    return turn.end()


if "--version" in ARGV:
    sys.stdout.write(os.environ.get("FAKE_VERSION", "codex-cli 0.169.0") + "\n")
    sys.exit(int(os.environ.get("FAKE_STATUS", "0")))

note("starts.jsonl", {"pid": os.getpid(), "argv": ARGV, "env": dict(os.environ)})
if os.environ.get("FAKE_MCP") == "dead":
    sys.stderr.write("Error: failed to load configuration: url is not supported for stdio\nin `mcp_servers.other`\n")
    sys.exit(1)
if "app-server" in ARGV:
    serve()
sys.exit(execute())
