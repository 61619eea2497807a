"""What a script works with: its mail, the tools, a folder of its own, a voice for the transcript."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.scripted.frames import Handed, Letter, read_frames
from harness.scripted.mcp_client import McpClient, ToolError

_CLAIMED = re.compile(r"job ([a-z0-9-]+) is yours; [^\n]*\n(.*)", re.DOTALL)
_REGISTERED = re.compile(r"([a-z0-9-]+): ")


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that nobody else works on."""

    id: str
    task: str


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

    def publish(
        self, event: str, detail: str = "", data: dict[str, Any] | None = None, *, job: str | None = None
    ) -> str:
        """Publish a signed event of a job: progress, completed, error. Without `job` that of this turn's mail.

        Raises:
            ToolError: it was refused; the text says why, and names the jobs where there are several.
        """
        optional = {"data": data, "job_id": job}
        given: dict[str, Any] = {name: value for name, value in optional.items() if value is not None}
        return self._tools.call("publish_event", {"event": event, "detail": detail, **given})

    def claim_job(self) -> ClaimedJob | None:
        """Take the oldest job that nobody was given; None where none waits."""
        claimed = _CLAIMED.fullmatch(self._tools.call("claim_job", {}))
        return ClaimedJob(claimed[1], claimed[2]) if claimed else None

    def register_job(
        self, prompt: str, to: str | None = None, *, timeout_s: float | None = None, key: str | None = None
    ) -> str:
        """Register a job, as mail for one agent or for whoever claims it, and give its id; the manager's tool.

        The same key again registers nothing twice.

        Raises:
            ToolError: it was refused; the text says why.
        """
        optional = {"to": to, "timeout_seconds": timeout_s, "key": key}
        given: dict[str, Any] = {name: value for name, value in optional.items() if value is not None}
        receipt = self._tools.call("register_job", {"prompt": prompt, **given})
        registered = _REGISTERED.match(receipt)
        if registered is None:
            raise ToolError(f"register_job gave no id: {receipt}")
        return registered[1]

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
