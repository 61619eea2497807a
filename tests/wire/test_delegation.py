"""Rules of `delegate`: what they match, and above all what they do not."""

import pytest

from wire.delegation import MAX_SUBJECT, Chosen, Wish, chosen_for, matches


def bash(command: str) -> Wish:
    """Make the wish to run a command."""
    return Wish("Bash", command, is_command=True)


@pytest.mark.parametrize(
    ("rule", "command"),
    [
        ("Bash", "anything; at | all > `of` $(it)"),
        ("Bash(npm test*)", "npm test"),
        ("Bash(npm test*)", "npm test -- --grep 'a b'"),
        ("Bash(npm test *)", "npm test"),
        ("Bash(npm test:*)", "npm test unit"),
        ("Bash(git * main)", "git push origin main"),
        ("Bash(cat ../*)", "cat ../notes"),
    ],
)
def test_a_command_that_a_rule_names(rule: str, command: str) -> None:
    """[P06] `*` stands for any characters, as in Claude Code's own rules."""
    assert matches(rule, bash(command))


@pytest.mark.parametrize(
    "behind",
    [
        "; rm -rf /",
        " && rm -rf /",
        " || rm -rf /",
        " & rm -rf /",
        "\nrm -rf /",
        "\r\nrm -rf /",
        "\x00rm",
        "\u2028rm -rf /",
        " | sh",
        " |& sh",
        " > /etc/passwd",
        " >> ~/.bashrc",
        " < /etc/shadow",
        " <(rm x)",
        " <<EOF",
        " $(rm -rf /)",
        " `rm -rf /`",
        " ${IFS}",
        " $HOME",
        ' "$(rm x)"',
        " {a,b}",
        " *",
        " ?",
        " [a]",
        " ~root",
        " \\\n rm",
        " !!",
        " # and so on",
        " (rm)",
        " ../../other",
        " --prefix=../other",
        "\trm",
    ],
)
@pytest.mark.parametrize("rule", ["Bash(npm test*)", "Bash(npm test *)", "Bash(npm test:*)", "Bash(*)"])
def test_nothing_that_a_shell_reads_otherwise_hides_behind_a_command(rule: str, behind: str) -> None:
    """[P06] Operators, substitutions, redirections, line breaks, ways out of the folder: the operator is asked."""
    assert not matches(rule, bash(f"npm test{behind}"))


@pytest.mark.parametrize(
    "command", ["", "npm tes", "npx npm test", "NPM test", " npm test", f"npm test {'x' * MAX_SUBJECT}"]
)
def test_what_a_rule_does_not_name(command: str) -> None:
    """[P06] Nor what is too long to be shown whole."""
    assert not matches("Bash(npm test*)", bash(command))


@pytest.mark.parametrize(
    ("rule", "wish", "does"),
    [
        ("Write(/w/src/*)", Wish("Write", "/w/src/a b.py"), True),
        ("Write(/w/src/*)", Wish("Write", "/w/src/$(x).py"), True),
        ("Write(/w/src/*)", Wish("Write", "/w/src/../../etc/passwd"), False),
        ("Write(/w/src/*)", Wish("Write", "/w/src/a\n/etc/passwd"), False),
        ("Write(/w/src/*)", Wish("Write", "/etc/passwd"), False),
        ("Write(/w/src/*)", Wish("Edit", "/w/src/a"), False),
        ("Write(/w/src/*.py)", Wish("Write", "/w/src/a.pyc"), False),
        ("Write(/w/*/src/*.py)", Wish("Write", "/w/a/src/b.py"), True),
        ("Write(/w/*/w/*)", Wish("Write", "/w/w/"), False),
        ("mcp__git__push", Wish("mcp__git__push"), True),
        ("mcp__git__*", Wish("mcp__git__push"), True),
        ("mcp__git__*", Wish("mcp__github__push"), False),
        ("mcp__git__push(*main*)", Wish("mcp__git__push"), False),
        ("WebFetch(https://docs.example/*)", Wish("WebFetch", "https://docs.example/a"), True),
        ("not a rule", Wish("not a rule", "x"), False),
    ],
)
def test_other_tools_by_their_path_address_or_name(rule: str, wish: Wish, does: bool) -> None:
    """[P06] Arguments that are no one text match no pattern: a model could write anything into them."""
    assert matches(rule, wish) is does


def test_the_first_whose_rule_matches_decides() -> None:
    """Ours: in the order of the file; nobody is none but the operator."""
    delegate = {"bob": ["Read", "Bash(npm ci)"], "manager": ["Bash(npm *)"]}
    assert chosen_for(delegate, bash("npm ci")) == Chosen("bob", "Bash(npm ci)")
    assert chosen_for(delegate, bash("npm test")) == Chosen("manager", "Bash(npm *)")
    assert chosen_for(delegate, bash("git push")) is None
