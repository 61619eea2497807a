"""A program that speaks the API of `opencode serve`, without a model: it does what the lines of a prompt say.

`say WORDS` · `tool NAME` · `may TOOL COMMAND` (asks for it, says what was decided) · `wait` (until more is said, which
it says) · `stuck` (until it is aborted) · `cost USD` · `compact` · `retry ATTEMPT WORDS` · `error JSON` (an event) ·
`fail JSON` (the answer has this error) · `finish REASON` · `refuse STATUS` (of the request) · `die STATUS` · `mute`
(its events break off) · `orphan` (leaves a child in a session of its own) · `raw JSON` (an event). FAKE_VERSION,
FAKE_MCP and FAKE_START change how it begins. What it was started with is in `starts.jsonl`, what it was told in
`heard.jsonl`, its sessions in `sessions.json`, those that were to become shorter in `compacted.jsonl` (FAKE_COMPACT:
`fail`, `wall` or `hang`), all in its own folder.

Long because a program that runs by itself is one file.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import cast

Json = dict[str, object]
TOKENS = {"input": 60, "output": 8, "reasoning": 2, "cache": {"read": 30, "write": 10}}
STEPS = count()
COMPACTIONS: "dict[str, Json]" = {
    "fail": {"name": "ContextOverflowError", "data": {"message": "Your input exceeds the context window."}},
    "wall": {"name": "APIError", "data": {"message": "Rate limit reached", "statusCode": 429}},
}


def object_of(value: object) -> Json:
    """Give an object, an empty one for anything else."""
    return cast("Json", value) if isinstance(value, dict) else {}


def note(name: str, line: object) -> None:
    """Keep something for the test."""
    with Path(f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


class Fake:
    """What all requests share."""

    def __init__(self) -> None:
        self.listeners: list[SimpleQueue[Json | None]] = []
        self.replies: dict[str, SimpleQueue[Json]] = {}
        self.waiting: SimpleQueue[str] | None = None
        self.stopped = threading.Event()
        self.working = threading.Lock()
        self.answer: Json = {}

    def tell(self, kind: str, **properties: object) -> None:
        """Send an event to whoever listens."""
        for listener in self.listeners:
            listener.put({"id": f"evt_{next(STEPS)}", "type": kind, "properties": properties})

    def prompt(self, session: str, text: str) -> tuple[int, Json]:
        """Do what a prompt says; one that comes while another is at work goes into that one."""
        self.tell("message.updated", sessionID=session, info={"id": f"msg_{next(STEPS)}", "role": "user"})
        if self.waiting is not None:
            self.waiting.put(text)
            with self.working:
                return 200, {"info": self.answer}
        with self.working:
            self.stopped.clear()
            return Turn(self, session).run(text)

    def compact(self, session: str) -> bool:
        """Make a history a summary, or say that it cannot; the answer is the same."""
        note("compacted", session)
        how = os.environ.get("FAKE_COMPACT", "")
        self.tell("session.status", sessionID=session, status={"type": "busy"})
        if how == "hang":
            self.stopped.wait()
        if how in COMPACTIONS:
            self.tell("session.error", sessionID=session, error=COMPACTIONS[how])
        else:
            self.tell("session.compacted", sessionID=session)
        self.tell("session.status", sessionID=session, status={"type": "idle"})
        return True


class Turn:
    """One prompt."""

    def __init__(self, fake: Fake, session: str) -> None:
        self.fake = fake
        self.session = session
        self.status = 200
        self.info: Json = {"id": f"msg_{next(STEPS)}", "role": "assistant", "sessionID": session, "finish": "stop"}
        self.info |= {
            "cost": 0.0,
            "tokens": {"input": 60, "output": 8, "reasoning": 2, "cache": {"read": 30, "write": 10}},
        }

    def run(self, text: str) -> tuple[int, Json]:
        """Go through the steps."""
        self.event("session.status", status={"type": "busy"})
        self.event("message.updated", info=self.info)
        for step in text.splitlines():
            word, _, rest = step.partition(" ")
            getattr(self, f"do_{word}", self.nothing)(rest)
            if self.fake.stopped.is_set():
                self.info |= {"error": {"name": "MessageAbortedError", "data": {"message": "Aborted"}}}
                break
        self.fake.answer = self.info
        self.event("message.updated", info=self.info)
        self.event("session.status", status={"type": "idle"})
        body = {"info": self.info} if self.status == 200 else {"name": "UnknownError", "data": {"message": "No."}}
        return self.status, cast("Json", body)

    def event(self, kind: str, **properties: object) -> None:
        """Send an event of this session."""
        self.fake.tell(kind, sessionID=self.session, **properties)

    def part(self, **part: object) -> None:
        """Send a part of the answer."""
        self.event("message.part.updated", part={"messageID": self.info["id"], "sessionID": self.session, **part})

    def nothing(self, rest: str) -> None:
        """Words that are no step."""

    def do_say(self, rest: str) -> None:
        self.event("message.part.delta", messageID=self.info["id"], delta=rest)
        self.part(type="text", text=rest)

    def do_tool(self, rest: str, call: str = "") -> None:
        call = call or f"call_{next(STEPS)}"
        for status in ("pending", "running", "completed"):
            self.part(type="tool", tool=rest, callID=call, state={"status": status, "input": {"text": "hi"}})

    def do_may(self, rest: str) -> None:
        tool, _, command = rest.partition(" ")
        request, reply = f"per_{next(STEPS)}", SimpleQueue[Json]()
        self.fake.replies[request] = reply
        asked = {"id": request, "permission": tool, "patterns": [command], "always": [f"{command.split()[0]} *"]}
        self.event("permission.asked", **asked, metadata={"command": command}, tool={"callID": "call_x"})
        decided = reply.get()
        self.do_say(" ".join([str(decided["reply"]), *([str(decided["message"])] if "message" in decided else [])]))

    def do_wait(self, rest: str) -> None:
        self.fake.waiting = SimpleQueue[str]()
        self.do_say("waiting")
        self.do_say(self.fake.waiting.get())
        self.fake.waiting = None

    def do_stuck(self, rest: str) -> None:
        self.do_say("stuck")
        self.fake.stopped.wait()

    def do_cost(self, rest: str) -> None:
        self.info["cost"] = float(rest)

    def do_compact(self, rest: str) -> None:
        self.event("session.compacted")

    def do_retry(self, rest: str) -> None:
        attempt, _, words = rest.partition(" ")
        self.event("session.status", status={"type": "retry", "attempt": int(attempt), "message": words, "next": 0})

    def do_error(self, rest: str) -> None:
        self.event("session.error", error=json.loads(rest))

    def do_fail(self, rest: str) -> None:
        self.info["error"] = json.loads(rest)

    def do_finish(self, rest: str) -> None:
        self.info["finish"] = rest

    def do_refuse(self, rest: str) -> None:
        self.status = int(rest)

    def do_die(self, rest: str) -> None:
        sys.stderr.write("something broke\n")
        sys.stderr.flush()
        os._exit(int(rest))

    def do_mute(self, rest: str) -> None:
        for listener in self.fake.listeners:
            listener.put(None)
        self.fake.stopped.wait()

    def do_orphan(self, rest: str) -> None:
        command = [sys.executable, "-c", "import signal; signal.pause()"]
        environment = {**os.environ, "OPENCODE_PID": str(os.getpid())}
        child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
        note("orphans", child.pid)

    def do_raw(self, rest: str) -> None:
        event = json.loads(rest)
        self.fake.tell(event["type"], **event.get("properties", {}))


class Handler(BaseHTTPRequestHandler):
    """One request."""

    fake = Fake()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """See the table in `_answer`."""
        self._serve()

    def do_POST(self) -> None:
        """See the table in `_answer`."""
        self._serve()

    def do_PATCH(self) -> None:
        """See the table in `_answer`."""
        self._serve()

    def _serve(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        body = object_of(json.loads(self.rfile.read(size) or b"{}"))
        pair = f"opencode:{os.environ['OPENCODE_SERVER_PASSWORD']}".encode()
        if self.headers.get("authorization") != f"Basic {base64.b64encode(pair).decode()}":
            self._send(401, {"_tag": "UnauthorizedError"})
        elif self.path == "/event":
            self._stream()
        else:
            note("heard", {"method": self.command, "path": self.path, "body": body})
            self._send(*self._answer([*self.path.split("/")[1:], "", ""], body))

    def _answer(self, path: list[str], body: Json) -> tuple[int, object]:
        match (self.command, path[0], path[2]):
            case ("GET", "mcp", _):
                return 200, {"queenpost": json.loads(os.environ.get("FAKE_MCP", '{"status": "connected"}'))}
            case ("GET", "config", _):
                return 200, json.loads(os.environ["OPENCODE_CONFIG_CONTENT"])
            case ("POST", "session", ""):
                return 200, self._keep(f"ses_{os.getpid()}", object_of(body).get("permission"))
            case ("GET" | "PATCH", "session", ""):
                return self._known(path[1], body)
            case ("POST", "session", "message"):
                text = "\n".join(str(object_of(part)["text"]) for part in cast("list[object]", body["parts"]))
                return self.fake.prompt(path[1], text)
            case ("POST", "session", "summarize"):
                return 200, self.fake.compact(path[1])
            case ("POST", "session", "abort"):
                self.fake.stopped.set()
                return 200, True
            case ("POST", "permission", "reply"):
                self.fake.replies[path[1]].put(body)
                self.fake.tell("permission.replied", requestID=path[1])
                return 200, True
            case _:
                return 404, {"name": "NotFoundError"}

    def _known(self, session: str, body: Json) -> tuple[int, object]:
        kept = self._sessions().get(session)
        if kept is None:
            return 404, {"name": "NotFoundError", "data": {"message": f"Session not found: {session}"}}
        added = [*cast("list[object]", kept), *cast("list[object]", body.get("permission", []))]
        return 200, self._keep(session, added)

    def _keep(self, session: str, permission: object) -> Json:
        Path("sessions.json").write_text(json.dumps({**self._sessions(), session: permission}), encoding="utf-8")
        return {"id": session, "permission": permission, "model": {"id": "large", "providerID": "fake"}}

    def _sessions(self) -> Json:
        path = Path("sessions.json")
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def _send(self, status: int, answer: object) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self) -> None:
        listener = SimpleQueue[Json | None]()
        self.fake.listeners.append(listener)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b'data: {"type":"server.connected","properties":{}}\n\n')
        while (event := listener.get()) is not None:
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())


def main() -> None:
    """Begin as the environment says."""
    if "--version" in sys.argv:
        sys.stdout.write(os.environ.get("FAKE_VERSION", "1.18.33") + "\n")
        return
    note("starts", {"argv": sys.argv[1:], "pid": os.getpid(), "env": dict(os.environ)})
    match os.environ.get("FAKE_START"):
        case "die":
            sys.exit("Error: Configuration is invalid")
        case "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "silent":
            signal.pause()
        case _:
            pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sys.stdout.write(f"opencode server listening on http://127.0.0.1:{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


main()
