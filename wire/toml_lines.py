"""On which line each key of a TOML text stands. tomllib gives values without places; this gives places only.

The text has been through tomllib before: it is taken to be valid, and nothing is checked again.
"""

import re
import tomllib
from typing import NamedTuple

Where = tuple[str | int, ...]
"""Keys from the root; a number is a place in an array."""

_TOKEN = re.compile(
    r'''
    (?P<string> """(?:\\.|[^\\])*?"{3,5} | \'\'\'.*?\'{3,5} | "(?:\\.|[^"\\\n])*" | '[^'\n]*' )
    | (?P<comment> \#[^\n]* )
    | (?P<newline> \n )
    | (?P<mark> [\[\]{}=,.] )
    | (?P<bare> [^\s\[\]{}=,."'\#]+ )
    ''',
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


_END = _Token("end", "", 0)


def key_lines(text: str) -> dict[Where, int]:
    """Give the line, counted from 1, of every key, table header and array element."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def line_of(lines: dict[Where, int], where: Where) -> int | None:
    """Give the line of a key, or of the nearest one around it that is written in the text."""
    while where and where not in lines:
        where = where[:-1]
    return lines.get(where)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[Where, int] = {}
        self._tokens = _tokens(text)
        self._next = 0

    def document(self) -> None:
        table: Where = ()
        while (token := self._peek()).kind != "end":
            if token.kind == "newline":
                self._take()
            elif token.text == "[":
                table = self._header()
            else:
                self._pair(table)

    def _peek(self) -> _Token:
        return self._tokens[self._next] if self._next < len(self._tokens) else _END

    def _take(self) -> _Token:
        token = self._peek()
        self._next += 1
        return token

    def _header(self) -> Where:
        line = self._take().line
        is_array = self._peek().text == "["
        path = self._record((), line)
        while self._peek().text == "]":
            self._take()
        if is_array:
            path += (sum(1 for other in self.lines if other[:-1] == path and isinstance(other[-1], int)),)
            self.lines[path] = line
        return path

    def _record(self, table: Where, line: int) -> Where:
        path = table + self._key()
        for length in range(len(table) + 1, len(path) + 1):
            self.lines.setdefault(path[:length], line)
        return path

    def _key(self) -> Where:
        parts: list[str] = []
        while self._peek().text not in ("=", "]", ""):
            token = self._take()
            if token.kind == "string":
                parts.append(next(iter(tomllib.loads(f"{token.text} = 0"))))
            elif token.kind == "bare":
                parts.append(token.text)
        return tuple(parts)

    def _pair(self, table: Where) -> None:
        line = self._peek().line
        path = self._record(table, line)
        self._take()
        self._value(path)

    def _value(self, path: Where) -> None:
        opening = self._take().text
        if opening == "[":
            self._elements(path)
        elif opening == "{":
            while self._inside("}"):
                self._pair(path)
        else:
            while self._peek().kind in ("bare", "string") or self._peek().text == ".":
                self._take()

    def _elements(self, path: Where) -> None:
        count = 0
        while self._inside("]"):
            self.lines[(*path, count)] = self._peek().line
            self._value((*path, count))
            count += 1

    def _inside(self, closing: str) -> bool:
        """Go to what comes next in an array or inline table; False behind its end."""
        while self._peek().kind == "newline" or self._peek().text == ",":
            self._take()
        if self._peek().text in (closing, ""):
            self._take()
            return False
        return True


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "comment":
            found.append(_Token(kind, match[0], line))
        line += match[0].count("\n")
    return found
