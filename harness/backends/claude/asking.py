"""The permission prompts of Claude Code: each is decided beside the turn, and answered under its own id."""

import json
from typing import Any, Protocol

import anyio
from anyio.abc import TaskGroup

from harness.backends.claude.shapes import object_of, objects_of
from harness.backends.claude.turn import Say
from harness.backends.protocol import Permission, Permit, Permitted

DETAIL_CHARACTERS = 4000
SHOWN_ARGUMENTS = ("command", "file_path", "url", "notebook_path")
"""Of the tools that people know: one argument says it all."""
SHELL = "Bash"
SHELL_ARGUMENTS = frozenset({"command", "description", "timeout"})
"""With any other one, such as `dangerouslyDisableSandbox`, the command is not all of it."""
SUBJECTS = {
    SHELL: "command",
    "Read": "file_path",
    "Write": "file_path",
    "Edit": "file_path",
    "NotebookEdit": "notebook_path",
    "WebFetch": "url",
}


class Rules(Protocol):
    """What was allowed for the whole session. A process that goes on with the session knows nothing of it."""

    def hold(self, rules: list[str]) -> bool:
        """Say whether all of these were allowed; of none that is not so."""
        ...

    def add(self, rules: list[str]) -> None:
        """Let these hold from now on."""
        ...


class Prompts:
    """The prompts of one turn. What is open when the turn ends is answered no more."""

    def __init__(self, tasks: TaskGroup, say: Say, permit: Permit, rules: Rules) -> None:
        self._tasks = tasks
        self._say = say
        self._permit = permit
        self._rules = rules
        self._open: dict[str, anyio.CancelScope] = {}

    def ask(self, request: str, wanted: dict[str, Any]) -> None:
        """Have one decided; the program may ask for several at once."""
        scope = anyio.CancelScope()
        self._open[request] = scope
        self._tasks.start_soon(self._decide, request, wanted, scope)

    def withdraw(self, request: str) -> None:
        """The program does not wait for it any more."""
        if (scope := self._open.pop(request, None)) is not None:
            scope.cancel()

    def close(self) -> None:
        """Nobody waits any more."""
        for request in list(self._open):
            self.withdraw(request)

    async def _decide(self, request: str, wanted: dict[str, Any], scope: anyio.CancelScope) -> None:
        suggested = suggestion_of(wanted)
        rules = rules_of(suggested) if suggested is not None else []
        with scope:
            if self._rules.hold(rules):
                decided = Permitted(allow=True, always=True)
            else:
                decided = await self._permit(permission_of(wanted))
            self._open.pop(request, None)
            if decided.allow and decided.always:
                self._rules.add(rules)
            self._say(reply(request, answer_of(decided, wanted)))


def permission_of(wanted: dict[str, Any]) -> Permission:
    """Put a prompt into what is asked for."""
    suggested = suggestion_of(wanted)
    rule = ", ".join(rules_of(suggested)) if suggested is not None else None
    tool, given = str(wanted.get("tool_name")), object_of(wanted.get("input"))
    subject = _subject_of(tool, given)
    is_command = tool == SHELL and subject is not None
    return Permission(tool, _detail_of(tool, given), rule or None, subject, is_command=is_command)


def _subject_of(tool: str, given: dict[str, Any]) -> str | None:
    if tool == SHELL and not SHELL_ARGUMENTS.issuperset(given):
        return None
    subject = given.get(SUBJECTS.get(tool, ""))
    return subject if isinstance(subject, str) else None


def _detail_of(tool: str, given: dict[str, Any]) -> str:
    """Say what a tool is to do: the command, the file, or all its arguments."""
    for name in SHOWN_ARGUMENTS:
        if isinstance(given.get(name), str) and (tool != SHELL or SHELL_ARGUMENTS.issuperset(given)):
            return given[name][:DETAIL_CHARACTERS]
    return json.dumps(given, ensure_ascii=False)[:DETAIL_CHARACTERS]


def suggestion_of(wanted: dict[str, Any]) -> dict[str, Any] | None:
    """Give the first rules that it proposes; other proposals, of a mode or a folder, allow far more than was asked."""
    for one in objects_of(wanted.get("permission_suggestions")):
        if one.get("type") == "addRules" and one.get("behavior") == "allow" and rules_of(one):
            return one
    return None


def rules_of(suggested: dict[str, Any]) -> list[str]:
    """Give proposed rules in the program's own grammar."""
    return [
        f"{rule['toolName']}({rule['ruleContent']})" if rule.get("ruleContent") else str(rule["toolName"])
        for rule in objects_of(suggested.get("rules"))
        if rule.get("toolName")
    ]


def answer_of(decided: Permitted, wanted: dict[str, Any]) -> dict[str, Any]:
    """Put a decision into the program's words. `always` holds while the process lives: it writes into no file."""
    if not decided.allow:
        return {"behavior": "deny", "message": decided.why or "denied"}
    answer: dict[str, Any] = {"behavior": "allow", "updatedInput": object_of(wanted.get("input"))}
    if decided.always and (suggested := suggestion_of(wanted)) is not None:
        answer["updatedPermissions"] = [{**suggested, "destination": "session"}]
    return answer


def reply(request: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Make the line that answers a request of the program."""
    return {"type": "control_response", "response": {"subtype": "success", "request_id": request, "response": answer}}


def refusal(request: str, subtype: str) -> dict[str, Any]:
    """Make the line that answers a request which we do not know: it would wait for ever."""
    body = {"subtype": "error", "request_id": request, "error": f"{subtype} is not supported"}
    return {"type": "control_response", "response": body}
