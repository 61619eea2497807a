"""A model that plays a whole team: a manager who hands out and reports, workers who answer, each known by its prompt.

All agents of a fleet that inherits its login speak to one address, so one brain plays them all; who asks is told by
the words with which the harness wakes an agent, which stay in the history.
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from tests.fakes.models.mail import Letter, read_mail
from tests.fakes.models.talk import Heard, Reply, Tool, ToolCall

_WHO = re.compile(r"You are ([a-z0-9-]+), (?:the manager|an agent) of the fleet")
WORKERS = ("worker-1", "worker-2")
REPORT = "# It is done\n\n| part | files |\n|---|---:|\n| worker-1 | 1 |\n| worker-2 | 1 |\n\nBoth have answered."

Work = Callable[["Team", str, Letter, Heard], Reply | None]


@dataclass
class Team:
    """Plays everybody. `work` may do something else for a worker's task than answer it."""

    work: Work | None = None
    answered: set[str] = field(default_factory=set[str])
    goal: str = ""
    never: anyio.Event = field(default_factory=anyio.Event)
    tasks: dict[str, Letter] = field(default_factory=dict[str, Letter])
    """What each worker was told last."""
    heard: list[tuple[str, Letter]] = field(default_factory=list[tuple[str, Letter]])

    def __call__(self, heard: Heard) -> Reply | Awaitable[Reply]:
        """Be whoever is asked."""
        found = _WHO.search(json.dumps(dict(heard.body)))
        assert found is not None, "nobody was told who it is"
        letters = [letter for letter in read_mail(heard.news).letters if "wake test" not in letter.body]
        self.heard += [(found[1], letter) for letter in letters]
        return self.manage(letters) if found[1] == "manager" else self.serve(found[1], letters, heard)

    def manage(self, letters: list[Letter]) -> Reply:
        """Hand out, gather, report."""
        calls: list[ToolCall] = []
        for letter in letters:
            if letter.kind == "operator":
                self.goal = letter.id
                calls += [_send(worker, f"Look at part {worker[-1]}.", letter.id) for worker in WORKERS]
            elif letter.kind == "peer":
                self.answered.add(letter.sender)
                if self.answered == set(WORKERS):
                    calls.append(_send("operator", REPORT, self.goal))
        return Reply(calls=tuple(calls)) if calls else Reply("That is all for now.")

    def serve(self, name: str, letters: list[Letter], heard: Heard) -> Reply:
        """Answer a task once."""
        for letter in letters:
            self.tasks[name] = letter
        task = self.tasks.get(name)
        if task is None or (not letters and self._has_answered(heard)):
            return Reply("Done.")
        other = self.work(self, name, task, heard) if self.work is not None else None
        return other or Reply(calls=(_send(task.sender, f"{name} is through with {task.body}", task.id),))

    def _has_answered(self, heard: Heard) -> bool:
        return any(result.tool.name == "send" for result in heard.results)


def _send(to: str, body: str, reply_to: str) -> ToolCall:
    return ToolCall(Tool("send"), {"to": to, "body": body, "in_reply_to": reply_to})
