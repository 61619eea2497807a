-- The store's own questions to a database, whatever is in it.

-- schema --
-- Every statement that made the schema, in the order in which they were run.
SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY rowid;

-- first_table --
-- Any table; none in a new file.
SELECT name FROM sqlite_schema WHERE type = 'table' LIMIT 1;

-- has_fleet --
-- A row if this is a database of ours: each has had these tables since its first migration.
SELECT 1 WHERE 5 = (
    SELECT count(*) FROM sqlite_schema
    WHERE type = 'table' AND name IN ('fleet', 'agents', 'messages', 'deliveries', 'turns'));

-- vacate_all --
-- Nobody works for any agent any more; the next who does gets a new epoch.
UPDATE agents SET instance = NULL, lost_at = NULL WHERE instance IS NOT NULL;

-- broken_references --
-- Rows that refer to rows which do not exist.
PRAGMA foreign_key_check;

-- quick_check --
-- What is wrong with the file, or 'ok'.
PRAGMA quick_check(1);

-- journal_mode --
-- How the database keeps its journal.
PRAGMA journal_mode;
