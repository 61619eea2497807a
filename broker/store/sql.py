"""SQL as named blocks in files: a `-- name --` line, lines of purpose, then one statement.

```sql
-- take_next --
-- Lease the oldest due message of :agent_id until :lease_until; none if empty.
UPDATE …
```

A query is called "noun.block", after the file and the block. Nothing here runs SQL.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from sqlite3 import complete_statement

_NAME = re.compile(r"^-- ([a-z][a-z0-9_]*) --$", re.MULTILINE)


class QueryError(Exception):
    """A query file is wrong, or a query was asked for that no file has. Always a defect of ours."""


class Queries(dict[str, str]):
    """SQL text by "noun.block". One instance serves every transaction; nobody changes it."""

    @classmethod
    def from_text(cls, nouns: Mapping[str, str]) -> "Queries":
        """Read the text of each noun's file.

        Raises:
            QueryError: names the file and the block that is wrong.
        """
        return cls({f"{noun}.{name}": sql for noun, text in nouns.items() for name, sql in _blocks(noun, text).items()})

    @classmethod
    @cache
    def from_package(cls) -> "Queries":
        """Read the product's own files, once per process."""
        folder = files("broker.store") / "queries"
        paths = sorted((path for path in folder.iterdir() if path.name.endswith(".sql")), key=lambda path: path.name)
        return cls.from_text({path.name.removesuffix(".sql"): path.read_text("utf-8") for path in paths})

    def __missing__(self, query: str) -> str:
        noun, _, name = query.partition(".")
        raise QueryError(f"queries/{noun}.sql has no block {name!r}; a query is called noun.block")


def _blocks(noun: str, text: str) -> dict[str, str]:
    before, *pieces = _NAME.split(text)
    if _has_code(before):
        raise QueryError(f"queries/{noun}.sql: there is SQL before the first `-- name --` line")
    blocks: dict[str, str] = {}
    for name, body in zip(pieces[::2], pieces[1::2], strict=True):
        if name in blocks:
            raise QueryError(f"queries/{noun}.sql: two blocks are called {name!r}")
        blocks[name] = _statement(f"queries/{noun}.sql, block {name!r}", body.strip())
    return blocks


def _statement(where: str, sql: str) -> str:
    if not _has_code(sql):
        raise QueryError(f"{where}: there is no statement in it")
    if not sql.startswith("-- "):
        raise QueryError(f"{where}: the line after its name has to say its purpose, as a `-- ` comment")
    ends = (match.end() for match in re.finditer(";", sql))
    if any(complete_statement(sql[:end]) and _has_code(sql[end:]) for end in ends):
        raise QueryError(f"{where}: there is more than one statement in it")
    return sql


def _has_code(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("--") for line in text.splitlines())
