-- A row of figures for each turn that ended, made behind the turn: `services.statistics`.

ALTER TABLE turns ADD COLUMN inbox INTEGER;               -- unsettled mail of its agent when it was closed
ALTER TABLE turns ADD COLUMN counted INTEGER NOT NULL DEFAULT 0 CHECK (counted IN (0, 1));

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
