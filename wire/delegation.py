"""Rules of `delegate`: which permission prompts of an agent another agent may decide. Pure.

A rule is `Tool` or `Tool(pattern)`, in which `*` stands for any characters. It is compared with all of what is asked
for, and errs on the side of the operator: what a shell might read as more than one plain command matches no rule.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_SUBJECT = 2000
"""Characters of what is asked for; whoever decides sees all of it."""
MAX_RULE = 1000

_RULE = re.compile(r"(?P<tool>[A-Za-z][A-Za-z0-9_.-]*\*?)(?:\((?P<pattern>[^\x00-\x1f\x7f]+)\))?")
_PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./ '\"=-]+")
"""A command line whose words mean nothing but themselves: one command, no expansion, no redirection, one line."""
_PRINTED = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_UPWARDS = re.compile(r"(?:^|[/\s'\"=:,])\.\.(?:$|[/\s'\",:])")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a program wants allowed, as rules see it."""

    tool: str
    subject: str | None = None
    """All of it: a whole command, path or address. None: it cannot be put so, and only `Tool` alone matches."""
    is_command: bool = False
    """A shell reads it."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who decides, and why."""

    name: str
    rule: str


def sound(rule: str) -> str:
    """Give the rule back.

    Raises:
        ValueError: it is none.
    """
    if not _RULE.fullmatch(rule):
        raise ValueError(f'{rule!r} is no rule; write "Tool" or "Tool(text with *)", for example "Bash(npm test*)"')
    return rule


def chosen_for(delegate: Mapping[str, Sequence[str]], wish: Wish) -> Chosen | None:
    """Give the first of those who may decide this; None: only the operator may."""
    for name, rules in delegate.items():
        for rule in rules:
            if matches(rule, wish):
                return Chosen(name, rule)
    return None


def matches(rule: str, wish: Wish) -> bool:
    """Say whether a rule is about this, and about nothing more."""
    found = _RULE.fullmatch(rule)
    if found is None or not _glob(found["tool"], wish.tool):
        return False
    pattern = found["pattern"]
    if pattern is None:
        return wish.subject is None or len(wish.subject) <= MAX_SUBJECT
    return _is_whole(wish, pattern) and _fits(pattern, wish)


def _is_whole(wish: Wish, pattern: str) -> bool:
    """Say whether the text of a wish says everything: nothing in it leads somewhere that the rule does not name."""
    text = wish.subject
    if not text or len(text) > MAX_SUBJECT:
        return False
    if wish.is_command and not _PLAIN.fullmatch(text):
        return False
    return bool(_PRINTED.fullmatch(text)) and (not _UPWARDS.search(text) or bool(_UPWARDS.search(pattern)))


def _fits(pattern: str, wish: Wish) -> bool:
    text = wish.subject or ""
    if not wish.is_command:
        return _glob(pattern, text)
    pattern = f"{pattern[:-2]} *" if pattern.endswith(":*") else pattern  # the older way to write it
    bare = pattern.removesuffix(" *")
    return _glob(pattern, text) or (bare != pattern and _glob(bare, text))


def _glob(pattern: str, text: str) -> bool:
    """Compare, in time that grows with the text only: what is between two `*` is taken where it stands first."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == first
    *between, last = rest
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for part in between:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
