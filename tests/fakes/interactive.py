"""An interactive program as `queenpost claude` opens it: has a terminal, runs hooks, starts its MCP server.

Started as Claude Code would be, it does with `--settings` and `--mcp-config` what that does: hooks run through a shell
with JSON on stdin, one with `asyncRewake` beside everything else, and one of those that exits with 2 begins a turn.
In a turn it takes mail with `recv` and prints it. It has no model; lines that are typed tell it what to do:

`exit CODE` · `die` (kill -9 of itself) · `keep` (from now on no turn ends) · `deaf` (a turn takes no mail) · `raw`
(the terminal as such programs use it) · anything else is a prompt. Ctrl-C is printed.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import tty
from typing import Any

Json = dict[str, Any]


def value_of(flag: str) -> str:
    """Give what follows a flag."""
    return sys.argv[sys.argv.index(flag) + 1]


def say(words: str) -> None:
    """Print a line, whatever the terminal does with line ends."""
    os.write(1, f"{words}\r\n".encode())


def heard_ctrl_c(*_: object) -> None:
    """Show whose Ctrl-C is."""
    say("ctrl-c")


class Server:
    """The MCP server, spoken to over its pipes."""

    def __init__(self, entry: Json) -> None:
        command = [entry["command"], *entry["args"]]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._id = 0
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "fake", "version": "1"}}
        self._ask("initialize", hello)
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self._ask("tools/list", {})

    def call(self, tool: str, **arguments: object) -> str:
        """Call a tool; gives its text."""
        answer = self._ask("tools/call", {"name": tool, "arguments": arguments})
        return answer["result"]["content"][0]["text"]

    def _ask(self, method: str, params: Json) -> Json:
        self._id += 1
        self._write({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        assert self._process.stdout is not None
        while True:
            answer: Json = json.loads(self._process.stdout.readline())
            if answer.get("id") == self._id:
                return answer

    def _write(self, message: Json) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


class Program:
    """The session."""

    def __init__(self) -> None:
        self.hooks: Json = json.loads(value_of("--settings"))["hooks"]
        self.prompts: queue.Queue[str] = queue.Queue()
        self.ends_turns = self.takes_mail = True
        servers: Json = json.loads(value_of("--mcp-config"))["mcpServers"]
        self.server = Server(servers["queenpost"])

    def run(self) -> None:
        """Work until told to end."""
        say(f"arguments {json.dumps(sys.argv[sys.argv.index('--settings') + 2 :])}")
        self.fire("SessionStart", source="startup")
        threading.Thread(target=self.read, daemon=True).start()
        say("ready")
        while True:
            self.turn(self.prompts.get())

    def turn(self, prompt: str) -> None:
        """Have one turn."""
        say(f"prompt {prompt}")
        self.fire("UserPromptSubmit", prompt=prompt)
        if self.takes_mail:
            say(f"mail {self.server.call('recv')}")
            self.fire("PostToolUse", tool_name="mcp__queenpost__recv")
        if self.ends_turns:
            self.fire("Stop", stop_hook_active=True)
        say("turn over")

    def fire(self, event: str, **fields: object) -> None:
        """Run the hooks of an event; those that wait are not waited for."""
        heard = json.dumps({"session_id": "s1", "hook_event_name": event, **fields})
        for hook in (hook for group in self.hooks[event] for hook in group["hooks"]):
            waits = bool(hook.get("asyncRewake"))
            assert hook["timeout"] * 1000 < 2**31, "a timer of the real program would run over"
            process = subprocess.Popen(
                ["/bin/sh", "-c", hook["command"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
            threading.Thread(target=self.follow, args=(process, heard, waits), daemon=True).start()
            if not waits:
                process.wait()

    def follow(self, process: "subprocess.Popen[str]", heard: str, waits: bool) -> None:
        """Hear a hook out."""
        said, trouble = process.communicate(heard)
        if said:
            say(f"hook {said.strip()}")
        if waits and process.returncode == 2:
            self.prompts.put(f"woken {trouble}")

    def read(self) -> None:
        """Do what is typed."""
        while line := sys.stdin.readline():
            word, _, rest = line.strip().partition(" ")
            match word:
                case "exit":
                    os._exit(int(rest))
                case "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "keep":
                    self.ends_turns = False
                case "deaf":
                    self.takes_mail = False
                case "raw":
                    tty.setraw(0)
                case _:
                    self.prompts.put(line.strip())
                    continue
            say(f"did {word}")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, heard_ctrl_c)
    Program().run()
