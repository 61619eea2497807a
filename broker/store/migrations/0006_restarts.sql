-- A fleet that starts again: the manager goes first, and everybody is told once (`services.restarts`).

ALTER TABLE fleet ADD COLUMN others_wait_until INTEGER;   -- what comes again to others waits for the manager; NULL: it does not
ALTER TABLE agents ADD COLUMN boot INTEGER NOT NULL DEFAULT 0;  -- broker start under which somebody attached it last

-- 1: a notice that is handed over with other mail and opens no turn by itself.
ALTER TABLE deliveries ADD COLUMN rides INTEGER NOT NULL DEFAULT 0 CHECK (rides IN (0, 1));
