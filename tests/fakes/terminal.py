"""An interactive program at a terminal, without a model: it does what the lines of what is typed say.

`say WORDS` · `tool NAME` (calls a tool of ours) · `may COMMAND` (asks on its screen, says what was answered) ·
`lonely` (uses no tool) · `meanwhile TOOL` (calls it, and shows its prompt before it is answered) · `stuck` (until
interrupted) · `spin` (draws all the time) · `die STATUS` · `flood KILOBYTES` · `orphan` (leaves a child in a group of
its own) · `deaf` (ignores SIGTERM) · `fail WORDS` · `forget` · `raw HEX`. A turn that says nothing of tools calls
`whoami`. With `--plain` it reads lines, as `read` of a shell does; else it draws a box and takes pastes. `--trust` asks
before it begins, `--lonely` never uses a tool, `--mute` never shows a prompt, `--leave` ends at once. What was typed
is in `typed.jsonl`, its starts in `starts.jsonl`, both in its own folder.
"""

import codecs
import http.client
import json
import os
import signal
import subprocess
import sys
import termios
import threading
import time
import tty
import urllib.parse
from pathlib import Path

ARGV = sys.argv[1:]
SEEN_S = 0.1
"""Something takes so long: whoever looks can see it."""
FRAME_S = 0.01
NEVER = threading.Event()
PASTE, PASTED = "\x1b[200~", "\x1b[201~"


def note(name: str, line: object) -> None:
    """Keep something for the test."""
    with Path(name).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def show(text: str) -> None:
    """Write to the terminal; a raw one returns no carriage by itself."""
    data = text.replace("\n", "\r\n").encode()
    while data:
        data = data[os.write(1, data) :]


def call(tool: str) -> None:
    """Call a tool of ours, in one request, as the protocol of 2026-07-28 allows."""
    url = urllib.parse.urlsplit(os.environ["QUEENPOST_MCP_URL"])
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "terminal", "version": "1"},
    }
    params = {"name": tool, "arguments": {}, "_meta": meta}
    headers = {
        "Authorization": f"Bearer {os.environ['QUEENPOST_MCP_TOKEN']}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=10)
    connection.request("POST", url.path, body, headers)
    connection.getresponse().read()
    connection.close()


class Tui:
    """Draws a box, and reads keys."""

    def __init__(self) -> None:
        tty.setraw(0)
        show("\x1b[?2004h\x1b[2J\x1b[H")
        self._keys = ""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        """What comes may be cut anywhere, within a character too."""

    def key(self) -> str:
        """Read one key, or a paste as a whole."""
        while True:
            if self._keys.startswith(PASTE):
                head, mark, rest = self._keys.partition(PASTED)
                if mark:
                    self._keys = rest
                    return head + mark
            elif self._keys and not (len(self._keys) > 1 and PASTE.startswith(self._keys)):
                key, self._keys = self._keys[0], self._keys[1:]
                return key
            self._keys += self._decode(os.read(0, 65536))

    def read(self) -> str:
        """Read what is submitted."""
        text = ""
        self.prompt(text)
        while (key := self.key()) != "\r":
            note("typed.jsonl", key)
            if key.startswith(PASTE):
                text += key.removeprefix(PASTE).removesuffix(PASTED)
            elif key != "\x1b":
                text += key
            self.prompt(text)
        return text

    def prompt(self, text: str) -> None:
        """Draw the box at the bottom, with the end of what is typed."""
        shown = " ".join(text.split())[-40:]
        show(f"\x1b[22;1H\x1b[J╭{'─' * 50}╮\n│ > {shown:<46} │\n╰{'─' * 50}╯")

    def work(self, doing: str) -> None:
        """Draw the box away, and say that something is done."""
        show(f"\x1b[22;1H\x1b[J\x1b[21;1H\n\x1b[22;1H* {doing} (esc to stop)")

    def ask(self, command: str) -> str:
        """Ask whether a command may run; gives the key."""
        show(f"\x1b[18;1H\x1b[JMay run Shell:\n  {command}\n1. yes 2. always 3. no\n")
        key = self.key()
        note("typed.jsonl", key)
        show("\x1b[18;1H\x1b[J")
        return key

    def say(self, words: str) -> None:
        """Say something, and let it scroll."""
        show(f"\x1b[22;1H\x1b[J{words}\n\n\n\n")

    def interrupted(self) -> None:
        """Wait for Escape."""
        while self.key() != "\x1b":
            pass


class Plain:
    """Reads lines at a terminal as it is given."""

    def read(self) -> str:
        """Read a line; the mail may lie in a file."""
        show("ready> ")
        line = sys.stdin.readline()
        note("typed.jsonl", line)
        for word in line.split():
            if word.startswith("/") and Path(word).is_file():
                return Path(word).read_text(encoding="utf-8")
        return line

    def work(self, doing: str) -> None:
        """Work silently."""

    def ask(self, command: str) -> str:
        """Ask, and read a line."""
        show(f"May run Shell:\n  {command}\n1. yes 2. always 3. no: ")
        return sys.stdin.readline().strip()

    def say(self, words: str) -> None:
        """Say a line."""
        show(words + "\n")

    def interrupted(self) -> None:
        """Wait for Ctrl-C."""
        try:
            signal.pause()
        except KeyboardInterrupt:
            return


Face = Tui | Plain


def play(face: Face, text: str) -> None:
    """Do what the lines say."""
    steps = [line.strip() for line in text.splitlines() if line.strip()]
    lonely = "--lonely" in ARGV or any(
        step.startswith(("lonely", "tool", "meanwhile", "fail", "spin", "stuck")) for step in steps
    )
    face.work("reading")
    NEVER.wait(SEEN_S)
    for step in steps:
        face.work("thinking")
        one(face, *step.partition(" ")[::2])
    if not lonely:
        call("whoami")


def one(face: Face, verb: str, rest: str) -> None:
    """Do one thing."""
    match verb:
        case "say":
            face.say(rest)
        case "tool":
            call(rest)
        case "meanwhile":
            threading.Thread(target=call, args=[rest], daemon=True).start()
        case "may":
            face.say(f"answered {face.ask(rest)!r}")
            NEVER.wait(SEEN_S)
        case "fail":
            face.say(f"Error: {rest}")
        case "forget":
            face.say("History summarized")
        case "raw":
            os.write(1, bytes.fromhex(rest))
        case "die":
            face.say("dying")
            face.work("dying")
            NEVER.wait(SEEN_S)
            os._exit(int(rest))
        case "flood":
            for number in range(int(rest) * 1024 // 64):
                show(f"{number:<62}\n")
        case _:
            signals(face, verb)


def signals(face: Face, verb: str) -> None:
    """Do what concerns processes."""
    match verb:
        case "stuck":
            face.say("halted")
            face.work("waiting")
            face.interrupted()
        case "spin":
            note("spinning", os.getpid())
            while True:
                face.work(f"spinning {time.monotonic_ns()}")
                NEVER.wait(FRAME_S)
        case "orphan":
            child = subprocess.Popen(["sleep", "60"], process_group=0)
            note("orphans.jsonl", child.pid)
        case "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case _:
            pass


def main() -> None:
    """Serve whoever types, until the terminal is gone."""
    note("starts.jsonl", {"pid": os.getpid(), "argv": ARGV, "size": list(os.get_terminal_size()), "tty": os.ttyname(0)})
    if "--leave" in ARGV:
        show("no key: log in first\n")
        sys.exit(3)
    if "--trust" in ARGV:
        show("Trust this folder? [y/n] ")
        attributes = termios.tcgetattr(0)
        tty.setcbreak(0)
        note("typed.jsonl", os.read(0, 100).decode())
        termios.tcsetattr(0, termios.TCSANOW, attributes)
        show("\n")
    if "--mute" in ARGV:
        show("loading\n")
        signal.pause()
    face = Plain() if "--plain" in ARGV else Tui()
    while text := face.read():
        if text.strip() == "/quit":
            note("quit.jsonl", "asked to")
            return
        play(face, text)


if __name__ == "__main__":
    main()
