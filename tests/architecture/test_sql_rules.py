"""SQL lives in .sql files; only the store may speak to SQLite about transactions and pragmas."""

import re

from tests.architecture.tree import ROOT, imports, name_of, product_files, strings

STATEMENT = re.compile(
    r"\s*(?:(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|REPLACE|WITH|ATTACH|VACUUM|EXPLAIN)\s"
    r"|(?:select\s.+\sfrom|insert\s+into|update\s+\w+\s+set|delete\s+from|create\s+(?:table|index))\s)",
    re.DOTALL,
)
OUTBOX = "wire/outbox.py"
"""What a publisher has to say, in a small file of its own that the broker never opens (ADR 0015)."""

CONTROL = re.compile(r"\s*(?:PRAGMA\b|BEGIN\b|COMMIT\b|ROLLBACK\b|SAVEPOINT\b|RELEASE\b)", re.IGNORECASE)
BLOCK = re.compile(r"^-- (\w+) --$", re.MULTILINE)


def test_no_statement_stands_in_python() -> None:
    """Ours: named blocks in .sql files, one file a noun."""
    found = [
        f"{name_of(path)}:{line} {text.strip()[:60]!r}"
        for path in product_files()
        for line, text in strings(path)
        if STATEMENT.match(text)
    ]
    assert not found


def test_pragmas_and_transactions_are_the_stores_alone() -> None:
    """Ours: nobody else opens, commits or tunes a database but a publisher its own."""
    found = [
        f"{name_of(path)}:{line} {text.strip()[:60]!r}"
        for path in product_files()
        if not name_of(path).startswith("broker/store/") and name_of(path) != OUTBOX
        for line, text in strings(path)
        if CONTROL.match(text) and text.upper() == text
    ]
    assert not found


def test_only_the_store_opens_a_database() -> None:
    """Ours: broker.db has one owner (ADR 0001), and so has each outbox."""
    found = [
        f"{name_of(path)}:{line} {name}"
        for path in product_files()
        if not name_of(path).startswith("broker/store/") and name_of(path) != OUTBOX
        for line, name in imports(path)
        if name.split(".")[0] in {"sqlite3", "aiosqlite"}
    ]
    assert not found


def test_every_query_block_says_its_purpose() -> None:
    """Ours: `-- name --`, then at least one comment line, then the statement."""
    silent: list[str] = []
    for path in [*sorted((ROOT / "broker" / "store" / "queries").glob("*.sql")), ROOT / "wire" / "outbox.sql"]:
        text = path.read_text(encoding="utf-8")
        for block in BLOCK.finditer(text):
            following = text[block.end() :].lstrip("\n").splitlines()
            if not following or not following[0].startswith("-- "):
                silent.append(f"{name_of(path)} {block[1]}")
    assert not silent
