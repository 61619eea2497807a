-- owner --
-- Whom a reminder is for, with the bucket and how many already wait.
SELECT a.name, a.state, a.frozen OR (SELECT f.frozen FROM fleet f WHERE f.id = 1) AS frozen,
       a.reminder_bucket, a.reminder_bucket_at,
       (SELECT count(*) FROM reminders r WHERE r.agent = a.name AND r.state IN ('pending', 'parked')) AS waiting
FROM agents a WHERE a.name = :name;

-- add --
-- Set a reminder.
INSERT INTO reminders (agent, body, body_sha256, cron, zone, elapsed, nominal_at, due_at, made_by, made_at)
VALUES (:agent, :body, :body_sha256, :cron, :zone, :elapsed, :nominal, :nominal, :made_by, :now);

-- spend --
-- Write the bucket of somebody's reminders.
UPDATE agents SET reminder_bucket = :bucket, reminder_bucket_at = :now WHERE name = :name;

-- one --
-- One reminder.
SELECT id, agent, CAST(body AS BLOB) AS body, body_sha256, CAST(cron AS BLOB) AS cron, CAST(zone AS BLOB) AS zone, elapsed,
       state, nominal_at, due_at, attempts, fired, CAST(reason AS BLOB) AS reason, made_by, made_at, ended_at
FROM reminders WHERE id = :id;

-- cancel --
-- Take a reminder back that is not over.
UPDATE reminders SET state = 'cancelled', due_at = NULL, reason = :reason, ended_at = :now
WHERE id = :id AND state IN ('pending', 'parked');

-- cancel_of_agent --
-- Take back all that wait for an agent which leaves the fleet.
UPDATE reminders SET state = 'cancelled', due_at = NULL, reason = :reason, ended_at = :now
WHERE agent = :agent AND state IN ('pending', 'parked');

-- retry --
-- Give a parked reminder a fresh budget.
UPDATE reminders SET state = 'pending', due_at = nominal_at, attempts = 0, reason = NULL WHERE id = :id AND state = 'parked';

-- due --
-- What is due, the longest due first, with the latest occurrence that has fired already. Rows are read as bytes: one
-- that is damaged must not hide the others.
SELECT r.id, r.agent, CAST(r.body AS BLOB) AS body, r.body_sha256, CAST(r.cron AS BLOB) AS cron, CAST(r.zone AS BLOB) AS zone,
       r.nominal_at, r.attempts, (SELECT max(f.nominal_at) FROM firings f WHERE f.reminder = r.id) AS last_fired
FROM reminders r WHERE r.state = 'pending' AND r.due_at <= :now ORDER BY r.due_at, r.id LIMIT :limit;

-- last_message --
-- The highest message id that was ever given out.
SELECT coalesce(max(seq), 0) AS id FROM sqlite_sequence WHERE name = 'messages';

-- add_message --
-- Store the mail of one firing under an id of the caller's choice.
INSERT INTO messages (id, sender, kind, body, body_sha256, addressed_to, depth, about, sent_at)
VALUES (:message, 'reminder', 'reminder', :body, :body_sha256, :recipient, 0, :about, :now);

-- add_delivery --
-- Put the mail of one firing at the end of its reader's inbox.
INSERT INTO deliveries (message, recipient, sender, bytes, rank, in_order, place, state)
VALUES (:message, :recipient, 'reminder', :bytes, 1, 0,
        1 + coalesce((SELECT max(d.place) FROM deliveries d WHERE d.recipient = :recipient), 0), 'ready');

-- add_firing --
-- Write down that an occurrence has fired; no occurrence does so twice.
INSERT INTO firings (reminder, nominal_at, agent, message, missed, attempts, fired_at)
VALUES (:id, :nominal, :recipient, :message, :missed, :attempts, :now);

-- advance --
-- Go on to the next occurrence; without one, the reminder is done.
UPDATE reminders SET state = CASE WHEN :next IS NULL THEN 'done' ELSE 'pending' END, nominal_at = coalesce(:next, :nominal),
       due_at = :next, attempts = 0, reason = NULL, fired = fired + :fired,
       ended_at = CASE WHEN :next IS NULL THEN :now END
WHERE id = :id AND state = 'pending';

-- fail --
-- Count a firing that failed: it is tried again at :due_at, or parked where that is NULL.
UPDATE reminders SET state = CASE WHEN :due_at IS NULL THEN 'parked' ELSE 'pending' END, due_at = :due_at,
       attempts = :attempts, reason = :reason
WHERE id = :id AND state = 'pending';

-- shift_clock --
-- The clock was set by :step: delays keep what is left of them, parked ones too, and are as old as they were, by the new
-- clock. What was set after the step is left alone where that can be told: it was made later than the old clock ever was,
-- or just now and would be overdue by that clock.
UPDATE reminders SET nominal_at = max(nominal_at + :step, 1), due_at = max(due_at + :step, 1),
       made_at = max(made_at + :step, 1)
WHERE state IN ('pending', 'parked') AND agent > '' AND elapsed = 1
AND NOT (:step > 0 AND made_at > :now - :step)
AND NOT (:step < 0 AND made_at BETWEEN :now - 1000 AND :now AND nominal_at <= :now - :step);

-- clamp_clock --
-- The clock may have been set back while nobody looked: no bucket was written later than :now.
UPDATE agents SET reminder_bucket_at = :now WHERE reminder_bucket_at > :now;

-- clamp_delays --
-- The same for delays: none was set later than :now, so that it is told from one that is set after a later step.
UPDATE reminders SET made_at = :now
WHERE state IN ('pending', 'parked') AND agent > '' AND elapsed = 1 AND made_at > :now;

-- shift_buckets --
-- The clock was set by :step: buckets fill as fast as before.
UPDATE agents SET reminder_bucket_at = max(min(reminder_bucket_at + :step, :now), 1) WHERE reminder_bucket_at > 0;

-- waiting --
-- Reminders that are not over, of everybody or one agent, by their next firing, behind the one with (:nominal, :id).
SELECT id, agent, CAST(body AS BLOB) AS body, body_sha256, CAST(cron AS BLOB) AS cron, CAST(zone AS BLOB) AS zone, state,
       nominal_at, due_at, attempts, fired, CAST(reason AS BLOB) AS reason, made_at
FROM reminders WHERE state IN ('pending', 'parked') AND (:agent IS NULL OR agent = :agent)
AND (nominal_at, id) > (:nominal, :id) ORDER BY nominal_at, id LIMIT :limit;

-- every --
-- The same with those that are over.
SELECT id, agent, CAST(body AS BLOB) AS body, body_sha256, CAST(cron AS BLOB) AS cron, CAST(zone AS BLOB) AS zone, state,
       nominal_at, due_at, attempts, fired, CAST(reason AS BLOB) AS reason, made_at
FROM reminders WHERE id > 0 AND (:agent IS NULL OR agent = :agent)
AND (nominal_at, id) > (:nominal, :id) ORDER BY nominal_at, id LIMIT :limit;

-- count_waiting --
-- How many reminders of an agent are not over.
SELECT count(*) AS n FROM reminders WHERE agent = :agent AND state IN ('pending', 'parked');

-- fired_since --
-- How many firings of each agent needed how many attempts, since :since.
SELECT agent, attempts, count(*) AS n FROM firings INDEXED BY firings_by_age WHERE fired_at >= :since GROUP BY agent, attempts;

-- fired_by_since --
-- The same of one agent.
SELECT agent, attempts, count(*) AS n FROM firings WHERE agent = :agent AND fired_at >= :since GROUP BY agent, attempts;

-- failed --
-- Attempts that failed, of what waits now, by agent.
SELECT agent, sum(attempts) AS n FROM reminders
WHERE state IN ('pending', 'parked') AND (:agent IS NULL OR agent = :agent) GROUP BY agent;

-- firings_of --
-- The latest firings of one reminder, newest first.
SELECT nominal_at, message, missed, attempts, fired_at FROM firings WHERE reminder = :id ORDER BY nominal_at DESC LIMIT :limit;
