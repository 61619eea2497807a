"""What an agent may do, in opencode's own terms: rules of tool, pattern and action, of which the last match counts."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from harness.backends.protocol import NotStartedError
from wire.settings import Permissions

SERVER = "queenpost"
"""Called so in every client: a tool is `queenpost_send`."""

Action = Literal["allow", "ask", "deny"]

HARMLESS = ("read", "glob", "grep", "list", "lsp", "todoread", "todowrite", "skill", "task")
"""Nothing changes by them; a `task` is a helper that these rules hold for too."""
TOOLS = (*HARMLESS, "edit", "bash", "webfetch", "websearch", "codesearch", "external_directory", "doom_loop")
UNWANTED = (
    "question",  # there is nobody at its terminal: `ask`
    *("plan_enter", "plan_exit"),  # would change what `permissions` says
)
"""Tools of its own that a hosted agent does not get."""
PLAIN = ("todowrite", "question", "webfetch", "websearch", "doom_loop")
"""A configuration takes no patterns for them; a session does."""
OURS = ("queenpost *", "qp *")
"""Commands that act as the operator."""

_RULE = re.compile(r"(?P<tool>[\w*?.-]+)(?:\((?P<pattern>.+)\))?")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    permission: str
    """A tool, by the name that the program asks for it under; `*` stands for any characters."""
    pattern: str
    """What of the tool: a command, a path."""
    action: Action

    def told(self) -> dict[str, str]:
        """Put it as the program's API takes it."""
        return {"permission": self.permission, "pattern": self.pattern, "action": self.action}


def rules_for(permissions: Permissions, allowed: list[str]) -> list[Rule]:
    """Give the rules of an agent.

    Raises:
        NotStartedError: one of the `allowed` tools is not in the program's grammar.
    """
    unwanted = [Rule(name, "*", "deny") for name in UNWANTED]
    if permissions == "bypass":
        return [Rule("*", "*", "allow"), *unwanted]
    rest: Action = "deny" if permissions == "deny" else "ask"
    return [
        Rule("*", "*", rest),
        *(Rule(name, "*", "allow") for name in HARMLESS),
        *(Rule("read", pattern, rest) for pattern in ("*.env", "*.env.*")),
        *([Rule("edit", "*", "allow")] if permissions == "edits" else []),
        Rule(f"{SERVER}_*", "*", "allow"),
        *(_allowed(text) for text in allowed),
        *(Rule("bash", pattern, "deny") for pattern in OURS),
        *unwanted,
    ]


def as_configuration(rules: list[Rule]) -> dict[str, str | dict[str, str]]:
    """Put rules as they stand in a configuration; its helpers read them there."""
    tools: dict[str, dict[str, str]] = {}
    for rule in rules:
        tools.setdefault(rule.permission, {})[rule.pattern] = rule.action
    whole: dict[str, str | dict[str, str]] = {}
    for name, patterns in tools.items():
        if name not in PLAIN and list(patterns) != ["*"]:
            whole[name] = patterns
        elif "*" in patterns:
            whole[name] = patterns["*"]
    return whole


def wanted_by(asked: dict[str, Any]) -> list[str]:
    """Give the narrowest rules that the program proposes for a call, as `allowed_tools` would name them."""
    proposed: object = asked.get("always")
    tool = str(asked.get("permission"))
    found: list[object] = proposed if isinstance(proposed, list) else []  # pyright: ignore[reportUnknownVariableType]
    return [tool if pattern == "*" else f"{tool}({pattern})" for pattern in found if isinstance(pattern, str)]


def _allowed(text: str) -> Rule:
    found = _RULE.fullmatch(text)
    if found is None:
        raise NotStartedError(
            "missing_program", f"allowed_tools: {text!r} is not understood; write `tool` or `tool(pattern)`"
        )
    tool = found["tool"]
    return Rule(tool.lower() if tool.lower() in TOOLS else tool, found["pattern"] or "*", "allow")
