"""What needs no permission, in Codex's own grammar: `prefix_rule(pattern=[…])`, `mcp__SERVER__TOOL`, `apply_patch`.

Codex keeps such rules in files of its configuration folder. Ours are not written there: they are compared with what
the program asks for, so that the user's own folder stays as it is. It decides about nothing that a rule does not name.
"""

import ast
import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

PATCH = "apply_patch"
SHELLS = frozenset({"bash", "sh", "zsh", "dash"})
SHELL_FOLDERS = frozenset({"", "/bin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/run/current-system/sw/bin"})
_PLAIN = re.compile(r"[\w@%+:,./ '\"=-]+")
"""A command line whose words mean nothing but themselves: no expansion, no redirection, one command."""
_MCP = re.compile(r"mcp__[A-Za-z0-9_.-]+")
_PATCH = re.compile(rf"{PATCH}(\(.+\))?", re.DOTALL)

Pattern = tuple[tuple[str, ...], ...]
"""For each word at the beginning of a command what it may be."""


@dataclass(frozen=True, slots=True)
class Use:
    """One thing that the program wants to do."""

    rule: str
    """The narrowest rule that allows it."""
    argvs: tuple[tuple[str, ...], ...] = ()
    """Of a command: the ways in which its words can be read."""


def command_use(command: str) -> Use:
    """Read a command line as the program would run it, which is mostly a script for a shell."""
    argv = _split(command)
    script = script_of(command)
    words = _split(script) if script != command and _PLAIN.fullmatch(script) else ()
    argvs = tuple(found for found in (argv, words) if found)
    pattern = list(words or argv or (command,))
    return Use(f"prefix_rule(pattern={json.dumps(pattern, ensure_ascii=False)})", argvs)


def patch_use(path: str) -> Use:
    """Read a change of one file."""
    return Use(f"{PATCH}({path})")


def tool_use(server: str, tool: str) -> Use:
    """Read a call of an MCP tool."""
    return Use(f"mcp__{server}__{tool}")


def script_of(command: str) -> str:
    """Give the script that a shell is to run; the command itself where it is no shell's."""
    argv = _split(command)
    if len(argv) == 3 and PurePath(argv[0]).name in SHELLS and argv[1] in ("-c", "-lc"):
        return argv[2]
    return command


def plain_script_of(command: str) -> str | None:
    """Give what a shell of the system is to run, or the command itself; None where it is no known place for a shell."""
    script, argv = script_of(command), _split(command)
    if script == command:
        return command
    return script if argv[0].rpartition("/")[0] in SHELL_FOLDERS else None


def hold(rules: Iterable[str], uses: Iterable[Use]) -> bool:
    """Say whether these rules allow all of it; of nothing at all that is not so."""
    known, wanted = list(rules), list(uses)
    return bool(wanted) and all(any(_allows(rule, use) for rule in known) for use in wanted)


def problem_of(rules: Iterable[str]) -> str | None:
    """Say which of the rules is none; None where all can be read."""
    for rule in rules:
        if not (_MCP.fullmatch(rule) or _PATCH.fullmatch(rule) or _pattern_of(rule)):
            return (
                f'allowed_tools: {rule!r} is no rule of Codex; write prefix_rule(pattern=["git", "status"]), '
                f"mcp__SERVER__TOOL or {PATCH}"
            )
    return None


def _allows(rule: str, use: Use) -> bool:
    if rule == use.rule:
        return True
    if rule == PATCH:
        return use.rule.startswith(f"{PATCH}(")
    if rule.startswith("mcp__"):
        return use.rule.startswith(f"{rule}__")
    pattern = _pattern_of(rule)
    return bool(pattern) and any(_begins(argv, pattern) for argv in use.argvs)


def _begins(argv: tuple[str, ...], pattern: Pattern) -> bool:
    return len(argv) >= len(pattern) and all(word in may for word, may in zip(argv, pattern, strict=False))


def _pattern_of(rule: str) -> Pattern:
    """Read `prefix_rule(pattern=["git", ["status", "log"]])`; empty where it is something else, or does not allow."""
    try:
        call = ast.parse(rule, mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "prefix_rule"):
            return ()
        named: dict[str | None, object] = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return ()
    pattern = named.get("pattern")
    if named.get("decision", "allow") != "allow" or not isinstance(pattern, list):
        return ()
    words = tuple(_alternatives(word) for word in pattern)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return words if all(words) else ()


def _alternatives(word: object) -> tuple[str, ...]:
    if isinstance(word, str):
        return (word,)
    if isinstance(word, list):
        return tuple(one for one in word if isinstance(one, str))  # pyright: ignore[reportUnknownVariableType]
    return ()


def _split(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError:
        return ()
