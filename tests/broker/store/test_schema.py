"""The schema that is there to be read is the one that the migrations make."""

import re
import subprocess
import sys
from pathlib import Path

from broker.store.migrate import product_migrations
from broker.store.schema import schema
from broker.store.sql import Queries

SCHEMA = Path(__file__).parents[3] / "broker" / "store" / "schema.sql"


def test_schema_sql_is_what_the_migrations_make() -> None:
    """Style 24: `make schema` writes it."""
    made = schema(product_migrations(), Queries.from_package())
    assert SCHEMA.read_text("utf-8") == made, "run `make schema`"


def test_every_table_is_strict() -> None:
    """Style 25: a column holds what it says."""
    made = schema(product_migrations(), Queries.from_package())
    tables = [statement for statement in made.split(";\n") if "CREATE TABLE" in statement]
    assert tables
    # FTS5 makes tables of its own beside a virtual one; what they are like is not ours to say.
    ours = [table for table in tables if not re.match(r"\s*CREATE (VIRTUAL )?TABLE '?message_search", table)]
    assert 0 < len(tables) - len(ours) <= 5
    assert [table for table in ours if "STRICT" not in table.rsplit(")", 1)[-1]] == []


def test_the_module_prints_it() -> None:
    """Ours: what the Makefile runs."""
    root = SCHEMA.parents[2]
    made = subprocess.run(
        [sys.executable, "-m", "broker.store.schema"], cwd=root, capture_output=True, text=True, check=True
    )
    assert made.stdout == SCHEMA.read_text("utf-8")
