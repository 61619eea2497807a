-- manager --
-- The manager, with what decides whether its first turn is waited for; no row where nobody waits, or without a manager.
SELECT a.name, a.state, a.settings, a.paused, a.instance, a.attended, a.lost_at, a.budget_until, f.others_wait_until,
       a.frozen OR f.frozen AS frozen,
       EXISTS (SELECT 1 FROM turns t WHERE t.agent = a.name AND t.state = 'open') AS working,
       EXISTS (SELECT 1 FROM deliveries d WHERE d.recipient = a.name AND d.state = 'ready' AND d.ready_at <= :now
               AND d.rides = 0) AS has_mail
FROM agents a JOIN fleet f ON f.id = 1 WHERE a.role = 'manager' AND a.state <> 'removed';

-- wait --
-- Let what comes again to others wait until :until.
UPDATE fleet SET others_wait_until = :until WHERE id = 1;

-- go_on --
-- Nobody waits for the manager any more.
UPDATE fleet SET others_wait_until = NULL WHERE id = 1 AND others_wait_until IS NOT NULL;

-- go_on_if_due --
-- The same, once its time is up.
UPDATE fleet SET others_wait_until = NULL WHERE id = 1 AND others_wait_until <= :now;

-- waiting --
-- Who has mail that was in a turn before.
SELECT DISTINCT recipient FROM deliveries WHERE state = 'ready' AND attempt > 0;

-- shift --
-- The clock was set by :step: the wait stays as long as it was, and never ends later than :latest.
UPDATE fleet SET others_wait_until = min(others_wait_until + :step, :latest) WHERE id = 1 AND others_wait_until IS NOT NULL;

-- riding --
-- A row if a notice that rides waits for :recipient, or is in a turn of it.
SELECT 1 FROM deliveries WHERE recipient = :recipient AND state IN ('ready', 'leased') AND rides = 1;

-- add_rider --
-- A notice at the end of the recipient's inbox that is handed over with other mail only.
INSERT INTO deliveries (message, recipient, sender, bytes, rank, in_order, place, state, rides)
VALUES (:message, :recipient, :sender, :bytes, 0, 0,
        1 + coalesce((SELECT max(d.place) FROM deliveries d WHERE d.recipient = :recipient), 0), 'ready', 1);
