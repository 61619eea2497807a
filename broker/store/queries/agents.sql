-- agent --
-- One agent, removed ones included.
SELECT name, role, origin, state, settings, paused, epoch, instance, attended, lost_at, inbox_messages, inbox_bytes, created_at,
       boot < (SELECT f.boots FROM fleet f WHERE f.id = 1) AS restarted
FROM agents WHERE name = :name;

-- add --
-- Register an agent or bring a removed one back; its epoch goes on.
INSERT INTO agents (name, role, origin, settings, created_at) VALUES (:name, :role, :origin, :settings, :now)
ON CONFLICT (name) DO UPDATE SET role = excluded.role, origin = excluded.origin, settings = excluded.settings,
    state = 'active', paused = 0, instance = NULL, lost_at = NULL, bucket = 0, bucket_at = 0, reminder_bucket = 0,
    reminder_bucket_at = 0;

-- change --
-- Apply new settings.
UPDATE agents SET role = :role, origin = :origin, settings = :settings, state = 'active' WHERE name = :name;

-- set_state --
-- Stop, remove or revive an agent.
UPDATE agents SET state = :state WHERE name = :name;

-- vacate --
-- Nobody works for the agent any more.
UPDATE agents SET instance = NULL, lost_at = NULL WHERE name = :name;

-- occupy --
-- An instance works for the agent from now on.
UPDATE agents SET instance = :instance, epoch = :epoch, attended = :attended, lost_at = NULL,
       boot = (SELECT f.boots FROM fleet f WHERE f.id = 1)
WHERE name = :name;

-- lose --
-- The connection of this instance ended.
UPDATE agents SET lost_at = :now WHERE name = :name AND instance = :instance AND lost_at IS NULL;

-- lose_all --
-- The broker starts: no connection is left from before.
UPDATE agents SET lost_at = :now WHERE instance IS NOT NULL;

-- shift_clock --
-- The clock was set by :step: buckets fill as fast as before, a lost holder keeps what is left of its time. What was
-- written between the step and now is not moved past :now.
UPDATE agents SET lost_at = min(lost_at + :step, :now),
       bucket_at = CASE bucket_at WHEN 0 THEN 0 ELSE max(min(bucket_at + :step, :now), 1) END;

-- clamp_clock --
-- The clock may have been set back while nobody looked: no bucket was written later than :now.
UPDATE agents SET bucket_at = :now WHERE bucket_at > :now;

-- pause --
-- Set or end a pause.
UPDATE agents SET paused = :paused WHERE name = :name AND paused <> :paused;

-- managers --
-- The agent with the manager role.
SELECT name FROM agents WHERE role = 'manager' AND state <> 'removed';

-- of_file --
-- Agents that a file once declared.
SELECT name, role, settings, state FROM agents WHERE origin = 'file' AND state <> 'removed' ORDER BY name;

-- add_operator --
-- The operator's mailbox.
INSERT INTO agents (name, role, origin, created_at) VALUES ('operator', 'operator', 'database', :now)
ON CONFLICT (name) DO NOTHING;

-- summaries --
-- Every agent with its mail and its newest turn, the manager first.
SELECT a.name, a.role, a.origin, a.state, a.settings, a.paused, a.epoch, a.instance, a.attended, a.lost_at, a.created_at,
       a.frozen OR (SELECT f.frozen FROM fleet f WHERE f.id = 1) AS frozen,
       (SELECT f.frozen FROM fleet f WHERE f.id = 1) AS everybody_frozen,
       (SELECT count(*) FROM deliveries d WHERE d.recipient = a.name AND d.state = 'ready' AND d.rides = 0) AS ready,
       (SELECT min(m.sent_at) FROM deliveries d JOIN messages m ON m.id = d.message
        WHERE d.recipient = a.name AND d.state = 'ready' AND d.rides = 0) AS oldest_ready_at,
       CASE t.state WHEN 'open' THEN t.messages ELSE 0 END AS leased,
       (SELECT count(*) FROM deliveries d WHERE d.recipient = a.name AND d.state = 'held') AS held,
       (SELECT count(*) FROM deliveries d WHERE d.recipient = a.name AND d.state = 'dead' AND d.discarded_at IS NULL) AS dead,
       (SELECT count(*) FROM asks k WHERE k.target = a.name AND k.state = 'open') AS open_asks,
       (SELECT count(*) FROM reminders r WHERE r.agent = a.name AND r.state IN ('pending', 'parked')) AS reminders,
       t.id AS turn, t.state AS turn_state, t.outcome AS turn_outcome, t.opened_at, t.closed_at,
       a.budget_until, a.budget_reason, p.tokens AS tokens_today, p.cost_usd AS cost_usd_today
FROM agents a
LEFT JOIN spending p ON p.agent = a.name AND p.day = :day
LEFT JOIN turns t ON t.id = coalesce(
    (SELECT o.id FROM turns o WHERE o.agent = a.name AND o.state = 'open'),
    (SELECT max(n.id) FROM turns n WHERE n.agent = a.name))
WHERE a.role <> 'operator' AND (:removed OR a.state <> 'removed') AND (:name IS NULL OR a.name = :name)
ORDER BY a.role <> 'manager', a.name;

-- roster --
-- Every other active agent, with what is needed to say what it does.
SELECT name, role, state, settings, paused, instance, lost_at, budget_until, budget_reason,
       frozen OR (SELECT f.frozen FROM fleet f WHERE f.id = 1) AS frozen,
       (SELECT f.frozen FROM fleet f WHERE f.id = 1) AS everybody_frozen,
       EXISTS (SELECT 1 FROM turns t WHERE t.agent = agents.name AND t.state = 'open') AS working
FROM agents WHERE role <> 'operator' AND state <> 'removed' AND name <> :name ORDER BY role <> 'manager', name;

-- stalled --
-- Agents with ready mail and no open turn: whether anybody works for them decides which alarm.
SELECT a.name, a.instance, a.lost_at, a.attended, a.settings, a.epoch FROM agents a
WHERE a.state = 'active' AND a.paused = 0 AND a.role <> 'operator'
AND a.frozen = 0 AND NOT EXISTS (SELECT 1 FROM fleet f WHERE f.frozen = 1)
AND EXISTS (SELECT 1 FROM deliveries d WHERE d.recipient = a.name AND d.state = 'ready' AND d.ready_at <= :now
            AND d.rides = 0)
AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.agent = a.name AND t.state = 'open');
