"""Named blocks of SQL: what is read, and what is refused by file and block."""

import pytest

from broker.store.sql import Queries, QueryError


def test_a_block_is_called_by_its_file_and_its_name() -> None:
    """Style 23: a name line, lines of purpose, one statement."""
    queries = Queries.from_text(
        {"inbox": "-- take --\n-- Take one.\n-- Or none.\nSELECT 1;\n\n-- put --\n-- Put.\nSELECT 2\n"}
    )
    assert sorted(queries) == ["inbox.put", "inbox.take"]
    assert queries["inbox.take"].endswith("SELECT 1;")


def test_comments_and_semicolons_inside_of_a_statement_are_part_of_it() -> None:
    """A literal with a semicolon is no second statement."""
    queries = Queries.from_text({"inbox": "-- a --\n-- Purpose.\nSELECT ';' -- and; so on\n, 1; -- the end\n"})
    assert "and; so on" in queries["inbox.a"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("-- a --\n-- P.\nSELECT 1;\n-- a --\n-- P.\nSELECT 2;\n", "inbox.sql: two blocks are called 'a'"),
        ("-- a --\n-- P.\n-- b --\n-- P.\nSELECT 1;\n", "inbox.sql, block 'a': there is no statement"),
        ("-- a --\nSELECT 1;\n", "inbox.sql, block 'a': the line after its name has to say its purpose"),
        ("-- a --\n-- P.\nSELECT 1;\nSELECT 2;\n", "inbox.sql, block 'a': there is more than one statement"),
        ("SELECT 1;\n-- a --\n-- P.\nSELECT 2;\n", "inbox.sql: there is SQL before the first"),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_block(text: str, complaint: str) -> None:
    """Ours: a mistake in a query file is found when it is read, not when it is run."""
    with pytest.raises(QueryError, match=complaint):
        Queries.from_text({"inbox": text})


def test_an_unknown_query_names_the_file_and_the_block_that_were_looked_for() -> None:
    """Ours: a typing error must not read as a missing row."""
    with pytest.raises(QueryError, match=r"queries/inbox\.sql has no block 'tkae'"):
        Queries.from_text({"inbox": ""})["inbox.tkae"]


def test_the_products_own_files_are_read_once() -> None:
    """Ours: they are valid, and one instance serves everybody."""
    assert Queries.from_package() is Queries.from_package()
    assert "store.quick_check" in Queries.from_package()
