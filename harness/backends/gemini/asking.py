"""What Gemini CLI wants allowed: each is decided beside the turn, and answered under its own id.

Its own options for a whole session are not chosen: for an edit it means every edit, for a command every one that
begins with the same word, and a new process knows nothing of it. We answer for what was allowed, once each time.
"""

import re
from typing import Any, Protocol

import anyio
from anyio.abc import TaskGroup

from harness.backends.gemini.calls import Calls, as_object, as_objects
from harness.backends.gemini.launch import SHELL
from harness.backends.protocol import Permission, Permit, Permitted

DETAIL_CHARACTERS = 4000
ONCE, NO = "proceed_once", "cancel"
"""Of its options."""

ELSEWHERE = "[in "
"""Stands below a command that is not to run where the agent works, before the name of the folder."""

_NUMBERED = re.compile(r"-\d+-\d+$")


class Rules(Protocol):
    """What was allowed for the whole session."""

    def holds(self, rule: str) -> bool:
        """Say whether this was allowed."""
        ...

    def add(self, rule: str) -> None:
        """Let this hold from now on."""
        ...


class Prompts:
    """The prompts of one turn. It waits for an answer to each, even where the turn is to end."""

    def __init__(self, tasks: TaskGroup, calls: Calls, permit: Permit, rules: Rules) -> None:
        self._tasks = tasks
        self._calls = calls
        self._permit = permit
        self._rules = rules
        self._open: list[anyio.CancelScope] = []

    def ask(self, request: object, wanted: dict[str, Any]) -> None:
        """Have one decided."""
        scope = anyio.CancelScope()
        self._open.append(scope)
        self._tasks.start_soon(self._decide, request, permission_of(as_object(wanted.get("toolCall"))), scope)

    def withdraw(self) -> None:
        """Let go of whoever decides: the program is told no."""
        for scope in self._open:
            scope.cancel()

    async def _decide(self, request: object, permission: Permission, scope: anyio.CancelScope) -> None:
        outcome = {"outcome": "cancelled"}
        with scope:
            decided = await self._decided(permission)
            outcome = {"outcome": "selected", "optionId": ONCE if decided.allow else NO}
        self._open.remove(scope)
        self._calls.answer(request, {"outcome": outcome})

    async def _decided(self, permission: Permission) -> Permitted:
        if permission.rule is not None and self._rules.holds(permission.rule):
            return Permitted(allow=True, always=True)
        decided = await self._permit(permission)
        if decided.allow and decided.always and permission.rule is not None:
            self._rules.add(permission.rule)
        return decided


def permission_of(call: dict[str, Any]) -> Permission:
    """Put a prompt into what is asked for. The rule is as narrow as can be: this command, this file."""
    tool, title = tool_of(str(call.get("toolCallId"))), str(call.get("title") or "")
    lines, files = [title], list[str]()
    for item in as_objects(call.get("content")):
        if item.get("type") == "diff":
            files.append(str(item.get("path")))
            lines += [str(item.get("path")), str(item.get("newText"))]
        else:
            lines.append(str(as_object(item.get("content")).get("text") or ""))
    rule = f"{tool}({', '.join(files) or title})"
    subject = files[0] if len(files) == 1 else None
    if tool == SHELL:  # the same command in another folder is another one
        subject = None if any(ELSEWHERE in line for line in lines[1:]) else title
    detail = "\n".join(line for line in lines if line)[:DETAIL_CHARACTERS]
    return Permission(tool, detail, rule, subject, is_command=tool == SHELL and subject is not None)


def tool_of(call: str) -> str:
    """Give the name of the tool from the id of a call: `NAME__ID`, or `NAME-TIME-NUMBER`."""
    name, mark, _ = call.partition("__")
    return name if mark else _NUMBERED.sub("", call)
