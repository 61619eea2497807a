-- Jobs: their secrets, claims, replay windows, recorded events; what was refused; what the broker itself still says.

CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,    -- the order of registration
    id TEXT NOT NULL UNIQUE,                     -- a level of a topic: small letters, digits, '-'
    topic TEXT NOT NULL,                         -- where its end is retained
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN (
        'pending',   -- -> running by a claim, cancelled
        'running',   -- -> completed, error by the first valid terminal event; cancelled
        'completed',
        'error',
        'cancelled'
    )),
    prompt TEXT NOT NULL,
    prompt_sha256 BLOB NOT NULL CHECK (length(prompt_sha256) = 32),
    made_by TEXT NOT NULL,
    assigned TEXT REFERENCES agents (name),      -- who got it as mail; NULL: whoever claims it first
    message INTEGER,                             -- the mail that carries it
    notify INTEGER NOT NULL DEFAULT 0 CHECK (notify IN (0, 1)),
    replay TEXT NOT NULL DEFAULT 'window' CHECK (replay IN ('window', 'strict')),
    timeout_ms INTEGER NOT NULL,
    freshness_ms INTEGER CHECK (freshness_ms > 0),  -- how far the clock of a non-terminal event may be off; NULL: any
    secret TEXT,                                 -- NULL once forgotten, a day behind the end
    -- the claim
    claimed_by TEXT,                             -- an agent, or operator for a program outside the fleet
    turn INTEGER,                                -- the turn that works on it
    epoch INTEGER NOT NULL DEFAULT 0,
    -- the replay window of this epoch
    highest INTEGER NOT NULL DEFAULT 0,
    seen BLOB NOT NULL DEFAULT x'',              -- bit n: highest - n was taken
    stale_highest INTEGER NOT NULL DEFAULT 0,    -- the same of what was refused as not fresh
    stale BLOB NOT NULL DEFAULT x'',
    registered_at INTEGER NOT NULL,
    claimed_at INTEGER,
    heard_at INTEGER,                            -- receipt of the newest event, or the claim
    due_at INTEGER,                              -- silent beyond it: overdue; only while running
    overdue INTEGER NOT NULL DEFAULT 0 CHECK (overdue IN (0, 1)),  -- the operator was told
    ended_at INTEGER,
    ended_by INTEGER,                            -- the event that ended it
    end_payload BLOB,                            -- its exact bytes, as MQTT retains them
    resaid INTEGER NOT NULL DEFAULT 0,           -- how often they were published again
    imported TEXT,                               -- the id it had where it came from
    CHECK ((state IN ('completed', 'error', 'cancelled')) = (ended_at IS NOT NULL)),
    CHECK (state = 'running' OR due_at IS NULL)
) STRICT;

CREATE INDEX jobs_unclaimed ON jobs (number) WHERE state = 'pending' AND assigned IS NULL;

CREATE INDEX jobs_due ON jobs (due_at) WHERE due_at IS NOT NULL;

CREATE INDEX jobs_open ON jobs (state, number) WHERE state IN ('pending', 'running');

CREATE INDEX jobs_open_by ON jobs (made_by) WHERE state IN ('pending', 'running');

CREATE INDEX jobs_of_turn ON jobs (turn) WHERE turn IS NOT NULL;

CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;

CREATE UNIQUE INDEX jobs_by_import ON jobs (imported) WHERE imported IS NOT NULL;

CREATE TABLE job_events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,    -- the order of recording, over all jobs
    job TEXT NOT NULL REFERENCES jobs (id),
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    event TEXT NOT NULL CHECK (event IN (
        'started', 'progress', 'permission_required', 'completed', 'error', 'cancelled'
    )),
    verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'late', 'conflicting')),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),  -- of what was signed
    said_at TEXT NOT NULL,                       -- by the publisher's clock
    detail TEXT NOT NULL,
    data TEXT NOT NULL,                          -- JSON object, without the signature
    received_at INTEGER NOT NULL,
    UNIQUE (job, epoch, seq)
) STRICT;

CREATE INDEX job_events_by_age ON job_events (received_at);

CREATE INDEX job_events_of_job ON job_events (job, number);

CREATE TABLE sessions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL REFERENCES jobs (id),
    epoch INTEGER NOT NULL,
    claimed_by TEXT NOT NULL,
    turn INTEGER,
    state TEXT NOT NULL DEFAULT 'running' CHECK (state IN (
        'running',    -- -> stopped, terminated
        'stopped',    -- its publisher said the end; -> archived
        'terminated', -- taken away: a newer claim, a cancel, the monitor; -> archived
        'archived'
    )),
    reason TEXT NOT NULL DEFAULT '',
    process TEXT,                                -- what runs outside the fleet for it; NULL: nothing, or it has ended
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    UNIQUE (job, epoch),
    CHECK ((state = 'running') = (ended_at IS NULL))
) STRICT;

CREATE INDEX sessions_running ON sessions (number) WHERE state = 'running';

CREATE INDEX sessions_outside ON sessions (number) WHERE process IS NOT NULL;

CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE quarantine (
    topic TEXT NOT NULL,                         -- cut to 200 characters; what could not be read at all: ''
    reason TEXT NOT NULL,                        -- a short word: signature, not_canonical, epoch …
    times INTEGER NOT NULL,
    bytes INTEGER NOT NULL,                      -- of the newest
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),  -- of the newest; never its content
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (topic, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_posts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,    -- what the broker itself has to publish, in order
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,                       -- empty: clears what is retained
    retain INTEGER NOT NULL CHECK (retain IN (0, 1))
) STRICT;

ALTER TABLE asks ADD COLUMN job TEXT;            -- the job whose permission_required put it

CREATE INDEX asks_of_job ON asks (job) WHERE job IS NOT NULL;
