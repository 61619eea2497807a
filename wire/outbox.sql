-- What one publisher has to say, in a file of its own. Parsed by wire/outbox.py.

-- claims --
-- The last number that was given under each claim of a job.
CREATE TABLE IF NOT EXISTS claims (
    job TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (job, epoch)
) STRICT, WITHOUT ROWID;

-- events --
-- The exact bytes of each event whose record is not known yet; `number` grows in the order of adding.
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    retain INTEGER NOT NULL,
    UNIQUE (job, epoch, seq)
) STRICT;

-- count --
-- How many events wait.
SELECT count(*) FROM events;

-- last --
-- The last number that was given under a claim; no row where none was.
SELECT seq FROM claims WHERE job = :job AND epoch = :epoch;

-- newer --
-- Whether a newer claim of a job has been given numbers.
SELECT 1 FROM claims WHERE job = :job AND epoch > :epoch LIMIT 1;

-- number --
-- Note the last number of a claim.
INSERT OR REPLACE INTO claims (job, epoch, seq) VALUES (:job, :epoch, :seq);

-- add --
-- Keep an event.
INSERT INTO events (job, epoch, seq, topic, payload, retain)
VALUES (:job, :epoch, :seq, :topic, :payload, :retain);

-- waiting --
-- At most :limit events behind :after, in the order of adding.
SELECT number, job, epoch, seq, topic, payload, retain FROM events
WHERE number > :after ORDER BY number LIMIT :limit;

-- forget --
-- Forget an event whose fate is known.
DELETE FROM events WHERE number = :number;

-- forget_claims --
-- A claim's last number is kept for as long as somebody could sign under it: until a newer claim is there.
DELETE FROM claims
WHERE epoch < (SELECT max(c.epoch) FROM claims c WHERE c.job = claims.job)
AND NOT EXISTS (SELECT 1 FROM events e WHERE e.job = claims.job AND e.epoch = claims.epoch);
