"""What differs between the real programs, as far as the contract that all of them keep has to know."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.programs import Name
from tests.fakes.models.talk import Failing, Reply, Tool, ToolCall


@dataclass(frozen=True)
class Asking:
    """A command that has to be allowed, and what is seen of it."""

    command: str
    run: Callable[[str], Reply]
    """Makes the model want it."""
    asked: tuple[str, ...]
    """The first lines of the question."""
    always: str
    """The last one."""
    gives: str
    """What it prints."""
    denied: str
    """What the model is told where it was denied."""


@dataclass(frozen=True)
class Kind:
    """One program."""

    name: Name
    asking: Asking
    history: str
    """Matches the files in which it keeps its sessions, wherever they lie."""
    result: bytes
    """In those: a tool has given something."""
    walls: Mapping[Failing, tuple[str, str]]
    """What the provider says, the outcome, and words of the program for it."""
    passes: tuple[Failing, ...] = ("overloaded", "disconnect")
    """What it gives up on soon, so that the account tries again."""
    tries: int = 8
    """How often it asks the provider at most before it gives up; it may try again by itself."""
    silent_s: float = 5
    """How long a turn may be silent, at the least; 0: it is interrupted by nothing but its end."""
    silences: int = 1
    """How often a silent model is asked: once more where it was told to finish."""
    announces: bool = True
    """It takes in words during a turn."""
    by_the_minute: bool = False
    """It begins a session anew that it resumes in the minute in which it was last written: see docs/backends.md."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        """Name the tests."""
        return self.name


def bash(command: str, tool: str = "Bash") -> Reply:
    """Let Claude Code run a command."""
    return Reply(calls=(ToolCall(Tool(tool, None), {"command": command, "description": "as I was told"}),))


def run(command: str, *, outside: bool = False, **more: Any) -> Reply:
    """Let Codex run a command, in the sandbox or outside of it."""
    escalated = {"sandbox_permissions": "require_escalated", "justification": "It is my work."} if outside else {}
    return Reply(calls=(ToolCall(Tool("exec_command", None), {"cmd": command, **escalated, **more}),))


def opencode_bash(command: str) -> Reply:
    """Let opencode run a command."""
    return bash(command, "bash")


def shell(command: str) -> Reply:
    """Let Gemini CLI run a command."""
    return Reply.calling("run_shell_command", server=None, command=command)


CALCULATE = "python3 -c 'print(6*7)'"
"""What Gemini CLI does not allow by itself, as it does `expr`."""
EXPR = "expr 6 '*' 7"

CLAUDE = Kind(
    "claude",
    Asking(
        CALCULATE, bash, ("May I use Bash?", CALCULATE),
        f"`always` would allow, for this session: Bash({CALCULATE})", "42", "denied by",
    ),
    history="projects/*/*.jsonl",
    result=b"tool_result",
    walls={
        "rate_limit": ("rate_limited", "Request rejected (429)"),
        "bad_key": ("auth", "Invalid API key"),
        "credit": ("credit", "Credit balance is too low"),
        "no_model": ("bad_model", "issue with the selected model"),
    },
)  # fmt: skip

CODEX = Kind(
    "codex",
    Asking(
        "touch made", lambda command: run(command, outside=True),
        ("May I use exec_command?", "touch made", "it says: It is my work."),
        '`always` would allow, for this session: prefix_rule(pattern=["touch", "made"])',
        "exited with code 0", "denied by operator",
    ),
    history="rollout-*.jsonl",
    result=b"function_call_output",
    walls={
        "rate_limit": ("rate_limited", "429 Too Many Requests"),
        "bad_key": ("auth", "401 Unauthorized"),
        "credit": ("credit", "Quota exceeded"),
        "no_model": ("bad_model", "does not exist"),
    },
    silences=2,
)  # fmt: skip

OPENCODE = Kind(
    "opencode",
    Asking(
        EXPR, opencode_bash, ("May I use bash?", EXPR),
        "`always` would allow, for this session: bash(expr *)", "42", "denied by",
    ),
    history="opencode.db*",
    result=b'"completed"',
    walls={
        "rate_limit": ("rate_limited", "Rate limit reached"),
        "bad_key": ("auth", "Incorrect API key"),
        "credit": ("credit", "exceeded your current quota"),
        "no_model": ("bad_model", "does not exist"),
    },
    passes=(),
    tries=6,
    silent_s=0,
)  # fmt: skip

GEMINI = Kind(
    "gemini",
    Asking(
        CALCULATE, shell, ("May I use run_shell_command?", CALCULATE),
        f"`always` would allow, for this session: run_shell_command({CALCULATE})", "42", "canceled by the user",
    ),
    history="session-*.json*",
    result=b"functionResponse",
    walls={
        "rate_limit": ("rate_limited", ""),
        "bad_key": ("auth", ""),
        "no_model": ("bad_model", ""),
    },
    silent_s=5,
    tries=30,
    announces=False,
    by_the_minute=True,
    settings={"model": "gemini-2.5-pro"},  # unless it is named, it asks a small model first which one to take
)  # fmt: skip

KINDS = (CLAUDE, CODEX, OPENCODE, GEMINI)
