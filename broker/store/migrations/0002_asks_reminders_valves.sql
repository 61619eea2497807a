-- Asks and reminders; what the safety valves remember: traffic of storms, merged notices, freezes; what retention
-- forgot; the index of the search.

ALTER TABLE messages ADD COLUMN about TEXT;      -- wire.inbox.About as JSON; NULL for a letter
ALTER TABLE agents ADD COLUMN frozen INTEGER NOT NULL DEFAULT 0 CHECK (frozen IN (0, 1));
-- token bucket of reminders, as that of sends
ALTER TABLE agents ADD COLUMN reminder_bucket REAL NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN reminder_bucket_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fleet ADD COLUMN frozen INTEGER NOT NULL DEFAULT 0 CHECK (frozen IN (0, 1));  -- everybody, later ones too
ALTER TABLE fleet ADD COLUMN indexed_to INTEGER NOT NULL DEFAULT 0;  -- the last message in the index of the search
ALTER TABLE fleet ADD COLUMN probed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fleet ADD COLUMN retention TEXT NOT NULL DEFAULT '{}';  -- applied [retention] as JSON
-- what retention deleted, so that the account still adds up
ALTER TABLE fleet ADD COLUMN forgotten_handled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fleet ADD COLUMN forgotten_redelivered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fleet ADD COLUMN forgotten_dead INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fleet ADD COLUMN forgotten_expired INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fleet ADD COLUMN forgotten_mailbox INTEGER NOT NULL DEFAULT 0;

CREATE TABLE asks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('question', 'permission')),
    asker TEXT NOT NULL REFERENCES agents (name),
    target TEXT NOT NULL REFERENCES agents (name),
    question TEXT NOT NULL,
    question_sha256 BLOB NOT NULL CHECK (length(question_sha256) = 32),
    options TEXT,                                -- JSON list
    multi INTEGER NOT NULL DEFAULT 0 CHECK (multi IN (0, 1)),
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN (
        'open',      -- -> answered, cancelled, expired; by compare-and-set
        'answered',
        'cancelled',
        'expired'
    )),
    answer TEXT,
    answered_by TEXT,
    turn INTEGER,                                -- the turn in which it was raised
    message INTEGER,                             -- the mail that put it to an agent
    answer_message INTEGER,                      -- the mail that brought the answer
    asked_at INTEGER NOT NULL,
    deadline_at INTEGER NOT NULL,
    ended_at INTEGER,
    CHECK ((state = 'answered') = (answer IS NOT NULL)),
    CHECK ((state = 'open') = (ended_at IS NULL))
) STRICT;

CREATE INDEX asks_by_deadline ON asks (deadline_at) WHERE state = 'open';
CREATE INDEX asks_open_to ON asks (target) WHERE state = 'open';
CREATE INDEX asks_open_by ON asks (asker) WHERE state = 'open';
CREATE INDEX asks_open_in ON asks (turn) WHERE state = 'open' AND kind = 'permission';
CREATE INDEX asks_ended ON asks (ended_at) WHERE state <> 'open';

CREATE TABLE reminders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    agent TEXT NOT NULL REFERENCES agents (name),
    body TEXT NOT NULL,
    body_sha256 BLOB NOT NULL CHECK (length(body_sha256) = 32),
    cron TEXT,
    zone TEXT,
    elapsed INTEGER NOT NULL CHECK (elapsed IN (0, 1)),  -- 1: set by a delay, which a clock that is set does not change
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN (
        'pending',   -- -> done, cancelled, parked
        'done',
        'cancelled',
        'parked'     -- its firing failed too often; -> pending by retry, cancelled
    )),
    nominal_at INTEGER NOT NULL,                 -- when it is meant to fire next; the last one where it is over
    due_at INTEGER,                              -- when that is tried; NULL unless pending
    attempts INTEGER NOT NULL DEFAULT 0,         -- failures of the firing that is due
    fired INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    made_by TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    ended_at INTEGER,
    CHECK ((state = 'pending') = (due_at IS NOT NULL))
) STRICT;

CREATE INDEX reminders_due ON reminders (due_at) WHERE state = 'pending';
CREATE INDEX reminders_waiting ON reminders (agent) WHERE state IN ('pending', 'parked');
CREATE INDEX reminders_ended ON reminders (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE firings (
    reminder INTEGER NOT NULL,
    nominal_at INTEGER NOT NULL,
    agent TEXT NOT NULL,
    message INTEGER NOT NULL,
    missed INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 1,
    fired_at INTEGER NOT NULL,
    PRIMARY KEY (reminder, nominal_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX firings_by_agent ON firings (agent, fired_at);
CREATE INDEX firings_by_age ON firings (fired_at);

-- Causal mail of the last day, counted in steps of five seconds: what the storm guard looks at.
CREATE TABLE flows (
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    at INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (sender, recipient, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX flows_by_time ON flows (at, sender, recipient, n);
CREATE INDEX flows_by_recipient ON flows (recipient, sender);

-- The same, added up for each pair, so that a look at a whole fleet costs a row for each pair and not one for each step.
CREATE TABLE flow_totals (
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (sender, recipient)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER flows_added AFTER INSERT ON flows BEGIN
    INSERT INTO flow_totals (sender, recipient, n) VALUES (new.sender, new.recipient, new.n)
    ON CONFLICT (sender, recipient) DO UPDATE SET n = n + excluded.n;
END;

CREATE TRIGGER flows_counted AFTER UPDATE OF n ON flows BEGIN
    UPDATE flow_totals SET n = n + new.n - old.n WHERE sender = new.sender AND recipient = new.recipient;
END;

CREATE TRIGGER flows_dropped AFTER DELETE ON flows BEGIN
    UPDATE flow_totals SET n = n - old.n WHERE sender = old.sender AND recipient = old.recipient;
    DELETE FROM flow_totals WHERE sender = old.sender AND recipient = old.recipient AND n <= 0;
END;

-- Notices of one cause to one reader: what came within a minute of the last one waits here and goes out as one.
CREATE TABLE merged_notices (
    recipient TEXT NOT NULL,
    cause TEXT NOT NULL,
    told_at INTEGER NOT NULL,
    waiting TEXT NOT NULL DEFAULT '[]',          -- JSON list of [text, message it is about]; at last a number of more
    due_at INTEGER,                              -- NULL: nothing waits
    PRIMARY KEY (recipient, cause)
) STRICT, WITHOUT ROWID;

CREATE INDEX merged_notices_due ON merged_notices (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX merged_notices_quiet ON merged_notices (told_at) WHERE due_at IS NULL;

CREATE INDEX deliveries_settled ON deliveries (state, settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX leases_by_delivery ON leases (delivery);
CREATE INDEX turns_closed ON turns (closed_at) WHERE state = 'closed';
CREATE INDEX messages_by_sender ON messages (sender, id);
CREATE INDEX messages_by_age ON messages (sent_at);

CREATE VIRTUAL TABLE message_search USING fts5 (
    body, content = 'messages', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
