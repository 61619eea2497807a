-- all --
-- Every credential of the fleet.
SELECT name, sha256 FROM credentials;

-- put --
-- Set or renew one.
INSERT INTO credentials (name, sha256, made_at) VALUES (:name, :sha256, :now)
ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256, made_at = excluded.made_at;

-- drop --
-- Make one void.
DELETE FROM credentials WHERE name = :name;
