"""The permission prompts of opencode: each is decided beside the turn, and answered under its own id."""

import json
from typing import Any, Protocol

import anyio
import httpx2
from anyio.abc import TaskGroup

from harness.backends.opencode.rules import wanted_by
from harness.backends.opencode.server import RefusedError
from harness.backends.opencode.shapes import object_of, words_of
from harness.backends.protocol import Permission, Permit, Permitted
from wire.logs import get_logger

DETAIL_CHARACTERS = 4000
SHELL = "bash"
SHELL_ARGUMENTS = frozenset({"command", "description", "timeout"})
"""With any other one, such as `workdir`, the command is not all of it."""
SUBJECTS = frozenset({"edit", "read", "webfetch", "external_directory"})
SHOWN = ("command", "filepath", "filePath", "path", "url", "query", "pattern")
"""One of these says it all."""

log = get_logger("harness")


class Answering(Protocol):
    """Where a decision goes; see `server.Server.answer`."""

    async def answer(self, permission: str, reply: str, why: str = "") -> None:
        """Answer what the program asks."""
        ...


class Rules(Protocol):
    """What was allowed for the whole session. It is kept by us: the program would write it into its project."""

    def holds(self, rules: list[str]) -> bool:
        """Say whether all of these were allowed; of none that is not so."""
        ...

    def add(self, rules: list[str]) -> None:
        """Let these hold from now on."""
        ...


class Prompts:
    """The prompts of one turn. What is open when the turn ends is answered no more."""

    def __init__(self, tasks: TaskGroup, permit: Permit, rules: Rules) -> None:
        self._tasks = tasks
        self._permit = permit
        self._rules = rules
        self._open: dict[str, anyio.CancelScope] = {}

    def ask(self, server: Answering, asked: dict[str, Any], given: dict[str, Any]) -> None:
        """Have one decided; `given` are the arguments of the call, where they are known."""
        scope = self._open[str(asked.get("id"))] = anyio.CancelScope()
        self._tasks.start_soon(self._decide, server, asked, permission_of(asked, given), scope)

    def withdraw(self, request: str) -> None:
        """The program does not wait for it any more."""
        if (scope := self._open.pop(request, None)) is not None:
            scope.cancel()

    def close(self) -> None:
        """Nobody waits any more."""
        for request in list(self._open):
            self.withdraw(request)

    async def _decide(
        self, server: Answering, asked: dict[str, Any], permission: Permission, scope: anyio.CancelScope
    ) -> None:
        request, rules = str(asked.get("id")), wanted_by(asked)
        with scope:
            decided = Permitted(allow=True) if self._rules.holds(rules) else await self._permit(permission)
            self._open.pop(request, None)
            if decided.allow and decided.always:
                self._rules.add(rules)
            try:
                if decided.allow:
                    await server.answer(request, "once")
                else:
                    await server.answer(request, "reject", decided.why or "denied")
            except (RefusedError, httpx2.HTTPError) as exc:
                log.warning("permission_not_answered", tool=permission.tool, reason=str(exc))


def permission_of(asked: dict[str, Any], given: dict[str, Any]) -> Permission:
    """Put a prompt into what is asked for."""
    said = {**given, **object_of(asked.get("metadata"))}
    detail = next((str(said[name]) for name in SHOWN if isinstance(said.get(name), str)), "")
    if asked.get("permission") == SHELL and not SHELL_ARGUMENTS.issuperset(given):
        detail = json.dumps(given, ensure_ascii=False)  # the command is not all of it
    if isinstance(said.get("diff"), str):
        detail = f"{detail}\n{said['diff']}".strip()
    if not detail:
        shown = ", ".join(pattern for pattern in words_of(asked.get("patterns")) if pattern != "*")
        detail = shown or json.dumps(said, ensure_ascii=False)
    rule = ", ".join(wanted_by(asked)) or None
    tool = str(asked.get("permission"))
    subject = _subject_of(tool, given, words_of(asked.get("patterns")))
    return Permission(tool, detail[:DETAIL_CHARACTERS], rule, subject, is_command=tool == SHELL and subject is not None)


def _subject_of(tool: str, given: dict[str, Any], patterns: list[str]) -> str | None:
    """Give the command as the model wrote it; of another tool the one path or address that it is for."""
    if tool == SHELL:
        command = given.get("command") if SHELL_ARGUMENTS.issuperset(given) else None
        return command if isinstance(command, str) else None
    return patterns[0] if len(patterns) == 1 and tool in SUBJECTS else None
