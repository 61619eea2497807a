-- Logins that agents share, as queenpost.toml declares them.

ALTER TABLE fleet ADD COLUMN accounts TEXT NOT NULL DEFAULT '{}';  -- applied [accounts] as JSON
