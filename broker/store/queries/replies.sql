-- find --
-- The stored result of a request that was answered before.
SELECT request_sha256, result FROM replies WHERE principal = :principal AND op = :op AND key = :key;

-- add --
-- Store a result, so that a retry gets it again.
INSERT INTO replies (principal, op, key, request_sha256, result, made_at)
VALUES (:principal, :op, :key, :request_sha256, :result, :now);

-- forget --
-- Drop results older than :before.
DELETE FROM replies WHERE made_at < :before;
