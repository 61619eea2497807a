"""Print the schema that the migrations make: `python -m broker.store.schema`. Nothing runs it."""

import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing

from broker.store.migrate import Migration, migrate, product_migrations
from broker.store.sql import Queries

HEADER = "-- Made by `make schema` from broker/store/migrations; not edited by hand.\n"


def schema(migrations: Sequence[Migration], queries: Queries) -> str:
    """Give the text of `schema.sql`."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, queries, migrations, back_up=lambda _: None)
        statements = [row[0] for row in connection.execute(queries["store.schema"])]
    return "\n".join([HEADER, *(f"{statement};\n" for statement in statements)])


if __name__ == "__main__":
    sys.stdout.write(schema(product_migrations(), Queries.from_package()))
