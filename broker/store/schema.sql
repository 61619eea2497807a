-- Made by `make schema` from broker/store/migrations; not edited by hand.

CREATE TABLE fleet (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    created_at INTEGER NOT NULL,
    boots INTEGER NOT NULL DEFAULT 0,            -- broker starts; a lease of an earlier boot is re-armed once
    limits TEXT NOT NULL DEFAULT '{}'            -- applied [limits] as JSON
, frozen INTEGER NOT NULL DEFAULT 0 CHECK (frozen IN (0, 1)), indexed_to INTEGER NOT NULL DEFAULT 0, probed_at INTEGER NOT NULL DEFAULT 0, retention TEXT NOT NULL DEFAULT '{}', forgotten_handled INTEGER NOT NULL DEFAULT 0, forgotten_redelivered INTEGER NOT NULL DEFAULT 0, forgotten_dead INTEGER NOT NULL DEFAULT 0, forgotten_expired INTEGER NOT NULL DEFAULT 0, forgotten_mailbox INTEGER NOT NULL DEFAULT 0, accounts TEXT NOT NULL DEFAULT '{}', others_wait_until INTEGER) STRICT;

CREATE TABLE agents (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('agent', 'manager', 'operator')),
    origin TEXT NOT NULL CHECK (origin IN ('file', 'database')),
    state TEXT NOT NULL DEFAULT 'active' CHECK (state IN (
        'active',    -- -> stopped, removed
        'stopped',   -- left the file: mail kept, no turn; -> active, removed
        'removed'    -- token void, mail dead; -> active when the name is added again
    )),
    settings TEXT NOT NULL DEFAULT '{}',         -- applied AgentSettings as JSON
    paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    -- the holder: at most one instance works for an agent
    epoch INTEGER NOT NULL DEFAULT 0,
    instance TEXT,
    attended INTEGER NOT NULL DEFAULT 0 CHECK (attended IN (0, 1)),
    lost_at INTEGER,                             -- the holder's connection ended then; NULL while it is connected
    -- quota, kept equal to what COUNT and SUM over unsettled deliveries give
    inbox_messages INTEGER NOT NULL DEFAULT 0 CHECK (inbox_messages >= 0),
    inbox_bytes INTEGER NOT NULL DEFAULT 0 CHECK (inbox_bytes >= 0),
    -- token bucket of the sender: the tokens there were at bucket_at
    bucket REAL NOT NULL DEFAULT 0,
    bucket_at INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
, frozen INTEGER NOT NULL DEFAULT 0 CHECK (frozen IN (0, 1)), reminder_bucket REAL NOT NULL DEFAULT 0, reminder_bucket_at INTEGER NOT NULL DEFAULT 0, budget_until INTEGER, budget_reason TEXT, boot INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE UNIQUE INDEX one_manager ON agents (role) WHERE role = 'manager' AND state <> 'removed';

CREATE UNIQUE INDEX one_operator ON agents (role) WHERE role = 'operator';

CREATE TABLE credentials (
    name TEXT PRIMARY KEY,                       -- 'operator', 'harness', 'agent:NAME'
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    made_at INTEGER NOT NULL
) STRICT;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sender TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('operator', 'manager', 'peer', 'system', 'reminder', 'external')),
    body TEXT NOT NULL,
    body_sha256 BLOB NOT NULL CHECK (length(body_sha256) = 32),
    addressed_to TEXT NOT NULL,                  -- as the sender wrote it: an agent, manager, operator or *
    in_reply_to INTEGER,
    depth INTEGER NOT NULL DEFAULT 0 CHECK (depth >= 0),
    turn INTEGER,                                -- the turn in which it was sent
    key TEXT,
    request_sha256 BLOB,
    receipt TEXT,                                -- what the sender was answered, where it is more than the id
    sent_at INTEGER NOT NULL
, about TEXT) STRICT;

CREATE UNIQUE INDEX messages_by_key ON messages (sender, key) WHERE key IS NOT NULL;

CREATE INDEX messages_by_turn ON messages (turn) WHERE turn IS NOT NULL;

CREATE INDEX messages_by_reply ON messages (in_reply_to) WHERE in_reply_to IS NOT NULL;

CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message INTEGER NOT NULL REFERENCES messages (id),
    recipient TEXT NOT NULL REFERENCES agents (name),
    sender TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    rank INTEGER NOT NULL CHECK (rank IN (0, 1)),      -- 0: system and operator mail, handed over first
    in_order INTEGER NOT NULL CHECK (in_order IN (0, 1)),  -- 0: exempt from the order of its pair
    place INTEGER NOT NULL,                      -- position in the recipient's inbox; kept when given back
    state TEXT NOT NULL CHECK (state IN (
        'scheduled', -- -> ready
        'ready',     -- -> leased, dead, held, expired
        'leased',    -- -> acked, ready, dead, held
        'acked',
        'dead',      -- -> ready by requeue
        'held',      -- -> ready by release, dead by discard
        'expired'
    )),
    ready_at INTEGER NOT NULL DEFAULT 0,         -- end of the back-off; 0 without one
    attempt INTEGER NOT NULL DEFAULT 0,          -- leases so far
    failures INTEGER NOT NULL DEFAULT 0,         -- turns that failed by this mail since it was last requeued
    restarts INTEGER NOT NULL DEFAULT 0,         -- harness deaths that it lived through since then
    alone INTEGER NOT NULL DEFAULT 0 CHECK (alone IN (0, 1)),
    turn INTEGER,                                -- the turn that holds it, or the last that did
    reason TEXT,
    discarded_at INTEGER,
    settled_at INTEGER, rides INTEGER NOT NULL DEFAULT 0 CHECK (rides IN (0, 1)),                          -- when it became acked, dead or expired
    UNIQUE (message, recipient),
    CHECK (state <> 'leased' OR turn IS NOT NULL)
) STRICT;

CREATE UNIQUE INDEX deliveries_by_place ON deliveries (recipient, place);

CREATE INDEX deliveries_ready ON deliveries (recipient, rank, place) WHERE state = 'ready';

CREATE INDEX deliveries_backing_off ON deliveries (ready_at) WHERE state = 'ready' AND ready_at > 0;

CREATE INDEX deliveries_dead ON deliveries (recipient) WHERE state = 'dead' AND discarded_at IS NULL;

CREATE INDEX deliveries_held ON deliveries (recipient) WHERE state = 'held';

CREATE TABLE turns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    agent TEXT NOT NULL REFERENCES agents (name),
    epoch INTEGER NOT NULL,
    attended INTEGER NOT NULL CHECK (attended IN (0, 1)),
    state TEXT NOT NULL CHECK (state IN (
        'open',      -- -> lapsed, closed
        'lapsed',    -- its lease ran out, the mail is ready again; -> open by resume, closed
        'closed'
    )),
    outcome TEXT,
    begun INTEGER NOT NULL DEFAULT 0 CHECK (begun IN (0, 1)),
    alone INTEGER NOT NULL DEFAULT 0 CHECK (alone IN (0, 1)),  -- it takes no further mail
    carried_from INTEGER,
    messages INTEGER NOT NULL DEFAULT 0,         -- handed over in this turn so far
    bytes INTEGER NOT NULL DEFAULT 0,
    depth INTEGER NOT NULL DEFAULT 0,            -- highest depth among its mail
    lease_until INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER,
    reason TEXT,
    usage TEXT, inbox INTEGER, counted INTEGER NOT NULL DEFAULT 0 CHECK (counted IN (0, 1)),
    CHECK ((state = 'closed') = (outcome IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX one_open_turn ON turns (agent) WHERE state = 'open';

CREATE INDEX turns_by_lease ON turns (lease_until) WHERE state = 'open';

CREATE INDEX turns_lapsed ON turns (agent) WHERE state = 'lapsed';

CREATE INDEX turns_by_agent ON turns (agent, id);

CREATE TABLE leases (
    id INTEGER PRIMARY KEY,                      -- grows in the order of handing over
    turn INTEGER NOT NULL REFERENCES turns (id),
    delivery INTEGER NOT NULL REFERENCES deliveries (id),
    attempt INTEGER NOT NULL,
    call TEXT,                                   -- the take that leased it, so that a repeated take finds it
    given_back INTEGER NOT NULL DEFAULT 0 CHECK (given_back IN (0, 1)),  -- left the turn before it ended
    UNIQUE (delivery, turn)
) STRICT;

CREATE INDEX leases_by_turn ON leases (turn);

CREATE TABLE replies (
    principal TEXT NOT NULL,
    op TEXT NOT NULL,
    key TEXT NOT NULL,
    request_sha256 BLOB NOT NULL,
    result TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    PRIMARY KEY (principal, op, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX replies_by_age ON replies (made_at);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    principal TEXT NOT NULL,
    action TEXT NOT NULL,                        -- past tense: agent.added, message.requeued, send.denied
    subject TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE INDEX audit_by_subject ON audit (subject, id);

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
    ended_at INTEGER, about TEXT CHECK (about IN ('budget')), job TEXT,
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

CREATE TABLE flows (
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    at INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (sender, recipient, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX flows_by_time ON flows (at, sender, recipient, n);

CREATE INDEX flows_by_recipient ON flows (recipient, sender);

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

CREATE TABLE 'message_search_data'(id INTEGER PRIMARY KEY, block BLOB);

CREATE TABLE 'message_search_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;

CREATE TABLE 'message_search_docsize'(id INTEGER PRIMARY KEY, sz BLOB);

CREATE TABLE 'message_search_config'(k PRIMARY KEY, v) WITHOUT ROWID;

CREATE INDEX turns_to_count ON turns (id) WHERE state = 'closed' AND counted = 0;

CREATE TABLE turn_statistics (
    turn INTEGER PRIMARY KEY,                    -- outlived by its turn, and by the numbers of the fleet
    agent TEXT NOT NULL,
    at INTEGER NOT NULL,                         -- when it ended
    outcome TEXT NOT NULL,
    ms INTEGER NOT NULL,                         -- from its opening to its end
    messages INTEGER NOT NULL,                   -- handed over in it and not given back before it ended
    received_peer INTEGER NOT NULL DEFAULT 0,    -- the same by kind, while their leases are kept
    received_manager INTEGER NOT NULL DEFAULT 0,
    received_operator INTEGER NOT NULL DEFAULT 0,
    received_system INTEGER NOT NULL DEFAULT 0,
    received_reminder INTEGER NOT NULL DEFAULT 0,
    received_external INTEGER NOT NULL DEFAULT 0,
    sent INTEGER NOT NULL DEFAULT 0,
    inbox INTEGER,
    input_tokens INTEGER,                        -- NULL, here and below: the program did not say
    output_tokens INTEGER,
    cost_usd REAL,
    tool_calls INTEGER,
    tools TEXT NOT NULL DEFAULT '{}',            -- JSON: calls by the tool's name
    notes_bytes INTEGER
) STRICT;

CREATE INDEX turn_statistics_by_agent ON turn_statistics (agent, at);

CREATE INDEX turn_statistics_by_age ON turn_statistics (at);

CREATE TABLE spending (
    agent TEXT NOT NULL,
    day INTEGER NOT NULL,                        -- days since 1970-01-01
    tokens INTEGER,                              -- in and out; NULL, as of the cost: no program said
    cost_usd REAL,
    factor REAL NOT NULL DEFAULT 1,              -- of the budget, as the operator raised it for this day
    unlimited INTEGER NOT NULL DEFAULT 0 CHECK (unlimited IN (0, 1)),
    told INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1)),  -- that it nears its end; once for each raise
    ask INTEGER,                                 -- the last that was put to the operator about it
    PRIMARY KEY (agent, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX spending_by_day ON spending (day);

CREATE INDEX agents_over_budget ON agents (budget_until) WHERE budget_until IS NOT NULL;

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
    imported TEXT, events INTEGER NOT NULL DEFAULT 0,                               -- the id it had where it came from
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

CREATE INDEX asks_of_job ON asks (job) WHERE job IS NOT NULL;
