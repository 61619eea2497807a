"""JSON as text with places: one value is put or taken, every other byte stays. Comments survive where they may stand.

It knows nothing of clients; `json_config` and `hooks` say what is put where.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from console.mcp_install.refusals import NotEditable

Step = str | int
Way = tuple[Step, ...]
"""From the root to a value: keys of objects, places in lists."""

_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'"(?:\\.|[^"\\\n])*"|,(?=\s*[}\]])')
_SPACE = re.compile(r"\s*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class _Child:
    step: Step
    start: int
    """Where its key begins, in a list its value."""
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class _Box:
    """An object or a list in the text, with its brackets."""

    opening: int
    closing: int
    children: list[_Child]

    def child(self, step: Step) -> _Child | None:
        """Find a child; of a key that stands there twice the last, as JSON has it."""
        return next((child for child in reversed(self.children) if child.step == step), None)


class JsonText:
    """The text of a JSON file. Making one checks it.

    Raises:
        NotEditable: it is no JSON, with the line.
    """

    def __init__(self, text: str, *, comments: bool) -> None:
        self.text = text
        self._comments = comments
        self._plain = _without_comments(text) if comments else text
        """The same without comments and trailing commas, every other character in its place."""
        try:
            self.value: Any = json.loads(self._plain)
        except json.JSONDecodeError as exc:
            raise NotEditable(f"not valid JSON: {exc.msg}", exc.lineno) from None
        except RecursionError:
            raise NotEditable("not valid JSON: nested too deeply") from None
        self._line_break = "\r\n" if "\r\n" in text else "\n"

    def get(self, way: Way) -> Any:
        """Give a value; None where there is none."""
        value = self.value
        for step in way:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def put(self, way: Way, value: Any) -> "JsonText":
        """Give the text with this value, new or in place of another. A list grows by the place behind its last one.

        Raises:
            NotEditable: something on the way is neither object nor list.
        """
        at = self._after_space(0)
        for depth, step in enumerate(way):
            box = self._box(at, way[:depth], step)
            child = box.child(step)
            if child is None:
                return self._checked(self._inserted(box, way, depth, value), way, value)
            if depth == len(way) - 1:
                return self._checked(self._replaced(child, value), way, value)
            at = child.value
        raise ValueError("the root is not put")

    def take(self, way: Way) -> "JsonText":
        """Give the text without a value, and without what is empty then around it; the same where it is not in it."""
        at = self._after_space(0)
        for depth, step in enumerate(way[:-1]):
            child = self._box(at, way[:depth], step).child(step)
            if child is None:
                return self
            at = child.value
        box = self._box(at, way[:-1], way[-1])
        child = box.child(way[-1])
        if child is None:
            return self
        if len(way) > 1 and self._is_all_of(box, child):
            return self.take(way[:-1])
        return self._checked(self._taken(box, box.children.index(child)), way)

    def _is_all_of(self, box: _Box, child: _Child) -> bool:
        """Say whether a box would be empty without this child, of comments too."""
        around = self.text[box.opening + 1 : child.start] + self.text[child.end : box.closing]
        return not around.replace(",", "").strip()

    def _box(self, at: int, way: Way, step: Step) -> _Box:
        """Read the object or list at a place; which of them it has to be is told by the step into it."""
        opening, wanted = self._plain[at], "object" if isinstance(step, str) else "list"
        if opening != {"object": "{", "list": "["}[wanted]:
            where = ".".join(map(str, way)) or "the file as a whole"
            raise NotEditable(f"{where} is no {wanted}", self.text.count("\n", 0, at) + 1)
        children: list[_Child] = []
        cursor = self._after_space(at + 1)
        while self._plain[cursor] not in "}]":
            child = self._child(cursor, None if opening == "{" else len(children))
            children.append(child)
            cursor = self._after_space(child.end)
            if self._plain[cursor] == ",":
                cursor = self._after_space(cursor + 1)
        return _Box(at, cursor, children)

    def _child(self, start: int, place: int | None) -> _Child:
        if place is not None:
            return _Child(place, start, start, _DECODER.raw_decode(self._plain, start)[1])
        key, key_end = _DECODER.raw_decode(self._plain, start)
        value = self._after_space(self._after_space(key_end) + 1)
        return _Child(key, start, value, _DECODER.raw_decode(self._plain, value)[1])

    def _after_space(self, at: int) -> int:
        match = _SPACE.match(self._plain, at)
        return match.end() if match else at

    def _checked(self, text: str, way: Way, *value: Any) -> "JsonText":
        """Read the result again: an edit that changed anything else is none."""
        wanted = _changed(self.value, way, *value)
        changed = JsonText(text, comments=self._comments)
        if changed.value != wanted:
            raise NotEditable("it cannot be changed without touching what is not ours")
        return changed

    # --- text -----------------------------------------------------------------------------------------

    def _replaced(self, child: _Child, value: Any) -> str:
        indent = self._indent_of(child.start) or ""
        return self.text[: child.value] + self._written(value, indent) + self.text[child.end :]

    def _inserted(self, box: _Box, way: Way, depth: int, value: Any) -> str:
        for step in reversed(way[depth + 1 :]):
            value = {step: value} if isinstance(step, str) else [value]
        indent = next(
            (found for child in box.children if (found := self._indent_of(child.start)) is not None),
            self._unit() * (depth + 1),
        )
        key = "" if isinstance(way[depth], int) else f"{json.dumps(way[depth], ensure_ascii=False)}: "
        member = self._line_break + indent + key + self._written(value, indent)
        text, last = self.text, box.children[-1] if box.children else None
        behind = len(text[: box.closing].rstrip())
        """Behind the last thing in the box, a comment perhaps."""
        ending = text[behind:] if "\n" in text[behind : box.closing] else self._close(box, indent)
        if last is None:
            return text[:behind] + member + ending
        has_comma = self._comma_behind(last.end) is not None
        before = text[: last.end] + ("" if has_comma else ",") + text[last.end : behind]
        return before + member + ("," if has_comma else "") + ending

    def _close(self, box: _Box, indent: str) -> str:
        outer = indent[: len(indent) - len(self._unit())]
        return self._line_break + outer + self.text[box.closing :]

    def _taken(self, box: _Box, index: int) -> str:
        child, text = box.children[index], self.text
        comma = self._comma_behind(child.end)
        start, end = len(text[: child.start].rstrip()), child.end
        if comma is not None:
            end = comma + 1
            head, tail = text[:start], text[child.end : comma] + text[end:]
        elif index:
            before = self._plain.index(",", box.children[index - 1].end)
            head, tail = text[:before] + text[before + 1 : start], text[end:]
        else:
            head, tail = text[:start], text[end:]
        if len(box.children) == 1 and not text[box.opening + 1 : start].strip():
            tail = tail.lstrip()
        return head + tail

    def _comma_behind(self, at: int) -> int | None:
        """Find the comma behind a value, one that may be left out too."""
        rest = _COMMENT.sub(lambda match: " " * len(match[0]), self.text[at:]) if self._comments else self.text[at:]
        gap = len(rest) - len(rest.lstrip())
        return at + gap if rest[gap : gap + 1] == "," else None

    def _indent_of(self, at: int) -> str | None:
        """Give what stands before something on its line; None where that is more than space."""
        before = self.text[self.text.rfind("\n", 0, at) + 1 : at]
        return before if not before.strip() and "\n" in self.text[:at] else None

    def _unit(self) -> str:
        """Give the step of indentation of this file."""
        for child in self._box(self._after_space(0), (), "").children:
            if indent := self._indent_of(child.start):
                return indent
        return "  "

    def _written(self, value: Any, indent: str) -> str:
        text = json.dumps(value, indent=self._unit(), ensure_ascii=False)
        return text.replace("\n", self._line_break + indent)


def _without_comments(text: str) -> str:
    plain = _COMMENT.sub(lambda match: match[0] if match[0][0] == '"' else _blank(match[0]), text)
    return _TRAILING_COMMA.sub(lambda match: match[0] if match[0][0] == '"' else " ", plain)


def _blank(comment: str) -> str:
    return re.sub(r"[^\r\n]", " ", comment)


def _changed(box: Any, way: Way, *value: Any) -> Any:
    """Do to the value what is done to the text: put what is given, or take what is there."""
    step, rest = way[0], way[1:]
    copy: Any = dict(box) if isinstance(step, str) else list(box)
    is_there = step in copy if isinstance(step, str) else step < len(copy)
    if rest:
        inner: Any = copy[step] if is_there else ({} if isinstance(rest[0], str) else [])
        value = (_changed(inner, rest, *value),)
    if not value:
        del copy[step]
    elif is_there or isinstance(step, str):
        copy[step] = value[0]
    else:
        copy.append(value[0])
    return copy
