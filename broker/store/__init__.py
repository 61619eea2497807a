"""The database: one writer, read-only readers, named SQL, migrations. It knows no rule of the post office."""
