"""What a script works with: its mail, the tools, a folder of its own, a voice for the transcript."""

import sys
from pathlib import Path
from typing import Any

from harness.scripted.frames import Handed, Letter, read_frames
from harness.scripted.mcp_client import McpClient


class ScriptedAgent:
    """One turn of a scripted agent. The turn is finished when the script returns."""

    def __init__(self, prompt: str, tools: McpClient, state: Path, args: list[str]) -> None:
        self.prompt = prompt
        """All that the model was told."""
        self.state = state
        """The agent's own folder; it outlives the turn."""
        self.args = args
        """Arguments of the script, from the agent's settings."""
        self._tools = tools
        handed = read_frames(prompt)
        self.mail: list[Letter] = handed.letters
        """The mail the turn was opened with."""
        self.waiting = handed.waiting
        """Messages still in the inbox, by the last word of the prompt or a tool."""

    def all_mail(self) -> list[Letter]:
        """Give the mail of the prompt and drain what waits behind it, as the prompt advises."""
        letters = list(self.mail)
        while self.waiting and (more := self.recv_batch(32)):
            letters += more
        return letters

    def recv(self, wait_s: float | None = None) -> list[Letter]:
        """Take one message, waiting if asked to; an empty list if there is none."""
        arguments = {} if wait_s is None else {"wait_seconds": wait_s}
        return self._read(self._tools.call("recv", arguments, wait_s=wait_s or 0.0))

    def recv_batch(self, maximum: int = 10) -> list[Letter]:
        """Take several messages at once, oldest first."""
        return self._read(self._tools.call("recv_batch", {"max": maximum}))

    def send(self, to: str, body: str, *, in_reply_to: str | None = None, key: str | None = None) -> str:
        """Send a message and give the receipt. The same key again sends nothing twice.

        Raises:
            ToolError: it was refused; the text says why.
        """
        optional = {"in_reply_to": in_reply_to, "key": key}
        given: dict[str, Any] = {name: value for name, value in optional.items() if value is not None}
        return self._tools.call("send", {"to": to, "body": body, **given})

    def answer(self, ask: str, answer: str) -> str:
        """Answer a question that was put to this agent, by its id; returns the receipt."""
        return self._tools.call("answer", {"id": ask, "answer": answer})

    def save_notes(self, text: str) -> str:
        """Hand in the shorter text of the notes, in a session that was opened for that.

        Raises:
            ToolError: it was refused, or this is no such session.
        """
        return self._tools.call("save_notes", {"text": text})

    def whoami(self) -> str:
        """Ask who I am and whom I may write to."""
        return self._tools.call("whoami", {})

    def list_agents(self) -> str:
        """Ask for all agents with their state; the manager's tool."""
        return self._tools.call("list_agents", {})

    def say(self, text: str) -> None:
        """Think aloud: it goes to the transcript and shows that the turn is alive."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def _read(self, text: str) -> list[Letter]:
        handed: Handed = read_frames(text)
        self.waiting = handed.waiting
        return handed.letters
