-- Budgets of a day: what each agent spent, and who opens no more turns because of it. Days are those of UTC.

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

ALTER TABLE agents ADD COLUMN budget_until INTEGER;   -- no turn opens before; NULL: none is kept from it
ALTER TABLE agents ADD COLUMN budget_reason TEXT;

CREATE INDEX agents_over_budget ON agents (budget_until) WHERE budget_until IS NOT NULL;

ALTER TABLE asks ADD COLUMN about TEXT CHECK (about IN ('budget'));  -- put by the broker in the asker's name
