"""What a rule allows, and what it does not."""

import pytest

from harness.backends.codex.rules import Use, command_use, hold, patch_use, problem_of, tool_use

GIT = 'prefix_rule(pattern=["git", ["status", "log"]])'


def shell(script: str) -> Use:
    """A command as Codex names it."""
    return command_use(f"/bin/bash -lc '{script}'")


@pytest.mark.parametrize("script", ["git status", "git log -3", 'git log --author "A B"', "  git   status  --short"])
def test_a_prefix_allows_what_begins_so(script: str) -> None:
    """[H19] Word by word; a list stands for one of its words."""
    assert hold([GIT], [shell(script)])


@pytest.mark.parametrize(
    "script",
    [
        "git push",
        "git",
        "gitstatus",
        "git-status",
        "git status; rm x",
        "git status && rm x",
        "git status | sh",
        "git status > /etc/passwd",
        "git log $(rm x)",
        "git log `rm x`",
        "git log $HOME",
        "git log *",
        "git log ~",
        "git status\nrm x",
        "git status # x",
        "PAGER=rm git log",
        "sudo git status",
        "git status 'unfinished",
        "",
    ],
)
def test_a_prefix_allows_nothing_that_a_shell_reads_otherwise(script: str) -> None:
    """[H19] Chains, expansions, redirections: they are asked for, whatever they begin with."""
    assert not hold([GIT], [command_use(f'/bin/bash -lc "{script}"')])


@pytest.mark.parametrize("command", ["git status", "/bin/bash -lc 'git status'", "sh -c 'git status'"])
def test_a_command_is_read_with_and_without_its_shell(command: str) -> None:
    """Ours: Codex mostly gives a script to a shell."""
    assert hold([GIT], [command_use(command)])
    assert command_use(command).argvs[-1] == ("git", "status")


@pytest.mark.parametrize(
    "script", ["git status", "git status && rm -rf x; echo $HOME > y", "python3 -c \"print('a')\"", "☂ x"]
)
def test_the_rule_of_a_command_allows_that_command(script: str) -> None:
    """Ours: what `always` shows is what it allows from then on; of a script that is all of it."""
    use = shell(script)
    assert problem_of([use.rule]) is None
    assert hold([use.rule], [use])
    assert not hold([use.rule], [shell(f"true; {script}")])
    assert not hold([use.rule], [shell(f"{script}; rm x")])


def test_all_of_it_has_to_be_allowed() -> None:
    """Ours: and nothing at all is not allowed."""
    assert hold(["apply_patch"], [patch_use("/a"), patch_use("/b")])
    assert not hold(["apply_patch(/a)"], [patch_use("/a"), patch_use("/b")])
    assert hold(["apply_patch(/a)", "apply_patch(/b)"], [patch_use("/a"), patch_use("/b")])
    assert not hold(["apply_patch"], [])
    assert not hold([], [patch_use("/a")])


def test_tools_of_servers() -> None:
    """[H19] One tool, or all of a server."""
    assert hold(["mcp__files__read"], [tool_use("files", "read")])
    assert hold(["mcp__files"], [tool_use("files", "read")])
    assert not hold(["mcp__files__read"], [tool_use("files", "read_all")])
    assert not hold(["mcp__files"], [tool_use("files2", "read")])


@pytest.mark.parametrize(
    "rule",
    [
        "Bash(git *)",
        "git status",
        "prefix_rule()",
        "prefix_rule(pattern=[])",
        "prefix_rule(pattern=[[]])",
        "prefix_rule(pattern=[1])",
        'prefix_rule(pattern="git")',
        'prefix_rule(pattern=["git"], decision="prompt")',
        'prefix_rule(pattern=[open("/etc/passwd")])',
        'other_rule(pattern=["git"])',
        "prefix_rule(pattern=" + "[" * 500 + "]" * 500 + ")",
        "mcp__",
        "apply_patches",
        "",
    ],
)
def test_what_is_no_rule_is_named(rule: str) -> None:
    """Ours: it allows nothing, and is said before the first turn."""
    assert not hold([rule], [shell("git status"), patch_use("/a")])
    problem = problem_of(["apply_patch", rule])
    assert problem is not None
    assert repr(rule) in problem
