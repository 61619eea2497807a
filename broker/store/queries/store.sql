-- The store's own questions to a database, whatever is in it.

-- schema --
-- Every statement that made the schema, in the order in which they were run.
SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY rowid;

-- first_table --
-- Any table; none in a new file.
SELECT name FROM sqlite_schema WHERE type = 'table' LIMIT 1;

-- broken_references --
-- Rows that refer to rows which do not exist.
PRAGMA foreign_key_check;

-- quick_check --
-- What is wrong with the file, or 'ok'.
PRAGMA quick_check(1);
