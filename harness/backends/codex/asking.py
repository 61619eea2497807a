"""What Codex asks while it works: each is decided beside the turn, and answered under its own id."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
from anyio.abc import TaskGroup

from harness.backends.codex.calls import Say, refusal, reply
from harness.backends.codex.rules import Use, command_use, patch_use, plain_script_of, script_of, tool_use
from harness.backends.codex.shapes import object_of, objects_of, text_of
from harness.backends.protocol import Permission, Permit, Permitted

DETAIL_CHARACTERS = 4000
NOBODY = "Nobody is at this terminal. Use the tool `ask` of the MCP server if you need an answer."


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something that needs a yes, and the two answers in the program's words."""

    tool: str
    detail: str
    yes: dict[str, Any]
    no: dict[str, Any]
    uses: list[Use] = field(default_factory=list[Use])
    """What rules could allow; none where no rule says exactly this."""
    subject: str | None = None
    is_command: bool = False

    @property
    def permission(self) -> Permission:
        """What is asked for."""
        rule = ", ".join(use.rule for use in self.uses)
        detail = self.detail[:DETAIL_CHARACTERS]
        return Permission(self.tool, detail, rule or None, self.subject, is_command=self.is_command)


class Rules(Protocol):
    """What needs no asking. It outlives the process, which knows nothing of it."""

    def hold(self, uses: list[Use]) -> bool:
        """Say whether all of it is allowed."""
        ...

    def add(self, uses: list[Use]) -> None:
        """Let this be allowed from now on."""
        ...


class Told(Protocol):
    """Who can tell the model something."""

    async def nudge(self, text: str) -> bool:
        """See `RunningTurn`."""
        ...


class Prompts:
    """The prompts of one turn. What is open when the turn ends is answered no more."""

    def __init__(self, tasks: TaskGroup, say: Say, permit: Permit, rules: Rules, model: Told) -> None:
        self._tasks = tasks
        self._say = say
        self._permit = permit
        self._rules = rules
        self._model = model
        self._open: dict[object, anyio.CancelScope] = {}

    def ask(self, request: object, wanted: Wanted) -> None:
        """Have one decided; the program may ask for several at once."""
        scope = anyio.CancelScope()
        self._open[request] = scope
        self._tasks.start_soon(self._decide, request, wanted, scope)

    def withdraw(self, request: object) -> None:
        """The program does not wait for it any more."""
        if (scope := self._open.pop(request, None)) is not None:
            scope.cancel()

    def close(self) -> None:
        """Nobody waits any more."""
        for request in list(self._open):
            self.withdraw(request)

    async def _decide(self, request: object, wanted: Wanted, scope: anyio.CancelScope) -> None:
        with scope:
            if self._rules.hold(wanted.uses):
                decided = Permitted(allow=True)
            else:
                decided = await self._permit(wanted.permission)
            if not decided.allow and decided.why:  # the answer itself has no room for it
                await self._model.nudge(f"{wanted.tool} was not allowed: {decided.why}")
            self._open.pop(request, None)
            if decided.allow and decided.always:
                self._rules.add(wanted.uses)
            self._say(reply(request, wanted.yes if decided.allow else wanted.no))


def wanted_of(
    method: str, params: Mapping[str, Any], items: Mapping[str, dict[str, Any]], cwd: str = ""
) -> Wanted | None:
    """Read a request of the program; None where it is none that a person decides.

    `items` holds what the program has begun, by id: a change of files is described there only. `cwd` is where the
    agent works: the same command elsewhere is another one.
    """
    match method:
        case "item/commandExecution/requestApproval":
            return _command(params, cwd)
        case "item/fileChange/requestApproval":
            return _patch(params, items)
        case "mcpServer/elicitation/request" if _is_approval(params):
            return _tool(params)
        case "item/permissions/requestApproval":
            return _permissions(params)
        case _:
            return None


def answer_of(request: object, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a request that nobody decides: there is no person at its terminal."""
    match method:
        case "mcpServer/elicitation/request":
            return reply(request, {"action": "decline", "content": None, "_meta": None})
        case "item/tool/requestUserInput":
            asked = [text_of(one.get("id")) for one in objects_of(params.get("questions"))]
            return reply(request, {"answers": {name: {"answers": [NOBODY]} for name in asked}})
        case _:
            return refusal(request, method)


def _command(params: Mapping[str, Any], cwd: str) -> Wanted:
    command = text_of(params.get("command"))
    network = object_of(params.get("networkApprovalContext"))
    is_plain = params.get("kind", "command") == "command" and command and not network
    lines = [script_of(command) or "(it does not say what)"]
    if network:
        lines.append(f"network: {json.dumps(network, ensure_ascii=False)}")
    if reason := text_of(params.get("reason")):
        lines.append(f"it says: {reason}")
    is_here = params.get("cwd") in (None, cwd)
    if not is_here:
        lines.append(f"in: {params.get('cwd')}")
    uses = [command_use(command)] if is_plain else []
    tool = "write_stdin" if params.get("kind") == "writeStdin" else "exec_command"
    subject = plain_script_of(command) if is_plain and is_here else None
    yes, no = {"decision": "accept"}, {"decision": "decline"}
    return Wanted(tool, "\n".join(lines), yes, no, uses, subject, is_command=subject is not None)


def _patch(params: Mapping[str, Any], items: Mapping[str, dict[str, Any]]) -> Wanted:
    changes = objects_of(items.get(text_of(params.get("itemId")), {}).get("changes"))
    lines = [f"{object_of(one.get('kind')).get('type', 'change')} {one.get('path')}" for one in changes]
    if reason := text_of(params.get("reason")):
        lines.append(f"it says: {reason}")
    if root := text_of(params.get("grantRoot")):
        lines.append(f"and everything below {root}")
    uses = [] if root else [patch_use(text_of(one.get("path"))) for one in changes]
    detail = "\n".join(lines) or "(it does not say which files)"
    is_one = len(changes) == 1 and not root and not object_of(changes[0].get("kind")).get("move_path")
    subject = text_of(changes[0].get("path")) if is_one else None
    return Wanted("apply_patch", detail, {"decision": "accept"}, {"decision": "decline"}, uses, subject)


def _is_approval(params: Mapping[str, Any]) -> bool:
    return object_of(params.get("_meta")).get("codex_approval_kind") == "mcp_tool_call"


def _tool(params: Mapping[str, Any]) -> Wanted:
    meta = object_of(params.get("_meta"))
    use = tool_use(text_of(params.get("serverName")), text_of(meta.get("tool_name")))
    detail = json.dumps(object_of(meta.get("tool_params")), ensure_ascii=False)
    no: dict[str, Any] = {"action": "decline", "content": None, "_meta": None}
    return Wanted(use.rule, detail, {**no, "action": "accept"}, no, [use])


def _permissions(params: Mapping[str, Any]) -> Wanted:
    asked = {name: value for name, value in object_of(params.get("permissions")).items() if value is not None}
    lines = [json.dumps(asked, ensure_ascii=False)]
    if reason := text_of(params.get("reason")):
        lines.append(f"it says: {reason}")
    yes: dict[str, Any] = {"permissions": asked, "scope": "turn"}
    return Wanted("request_permissions", "\n".join(lines), yes, {**yes, "permissions": {}})
