-- holder --
-- The agent with its epoch and, if there is one, its open turn; whether it has mail, whether anybody's backs off, and
-- whether it was asked something that is open.
SELECT a.name, a.role, a.state, a.settings, a.paused, a.epoch, a.instance, a.attended, a.inbox_messages, a.budget_until,
       a.frozen OR (SELECT f.frozen FROM fleet f WHERE f.id = 1) AS frozen,
       (SELECT f.others_wait_until FROM fleet f WHERE f.id = 1) AS others_wait_until,
       t.id AS turn, t.epoch AS turn_epoch, t.attended AS turn_attended, t.alone AS turn_alone,
       t.messages AS turn_messages, t.bytes AS turn_bytes, t.depth AS turn_depth, t.carried_from,
       EXISTS (SELECT 1 FROM turns l WHERE l.agent = a.name AND l.state = 'lapsed') AS has_lapsed,
       EXISTS (SELECT 1 FROM deliveries r WHERE r.recipient = a.name AND r.state = 'ready' AND r.rides = 0) AS has_mail,
       EXISTS (SELECT 1 FROM deliveries b INDEXED BY deliveries_backing_off WHERE b.state = 'ready' AND b.ready_at > 0)
           AS fleet_backs_off,
       EXISTS (SELECT 1 FROM asks k WHERE k.target = a.name AND k.state = 'open') AS has_asks
FROM agents a LEFT JOIN turns t ON t.agent = a.name AND t.state = 'open'
WHERE a.name = :agent;

-- turn --
-- One turn of an agent, in any state, with the agent's epoch; whether a permission that was asked in it is open.
SELECT t.id, t.agent, t.epoch, t.attended, t.state, t.outcome, t.begun, t.carried_from, t.messages, t.bytes, t.depth,
       t.lease_until, a.epoch AS agent_epoch, a.inbox_messages, a.role,
       EXISTS (SELECT 1 FROM asks p WHERE p.turn = t.id AND p.state = 'open' AND p.kind = 'permission') AS has_permissions
FROM turns t JOIN agents a ON a.name = t.agent
WHERE t.id = :turn AND t.agent = :agent;

-- backing_off --
-- For each sender whose mail to :recipient backs off: the first place that waits, and how many do.
SELECT sender, min(place) AS place, count(*) AS n FROM deliveries INDEXED BY deliveries_backing_off
WHERE state = 'ready' AND ready_at > 0 AND ready_at > :now AND recipient = :recipient
GROUP BY sender;

-- ready --
-- Ready mail of :recipient in leasing order; read lazily, as far as a batch needs.
SELECT d.id AS delivery, d.attempt, d.bytes, d.alone, d.rides, d.in_order, d.place, m.id, m.sender, m.kind,
       CAST(m.body AS BLOB) AS body, m.body_sha256, m.in_reply_to, m.depth, m.addressed_to, CAST(m.about AS BLOB) AS about, m.sent_at
FROM deliveries d JOIN messages m ON m.id = d.message
WHERE d.recipient = :recipient AND d.state = 'ready' AND d.ready_at <= :now
ORDER BY d.rank, d.place;

-- add --
-- Open a turn.
INSERT INTO turns (agent, epoch, attended, state, alone, carried_from, messages, bytes, depth, lease_until, opened_at)
VALUES (:agent, :epoch, :attended, 'open', :alone, :carried_from, :messages, :bytes, :depth, :lease_until, :now);

-- lease --
-- Lease one delivery to :turn; counts the attempt.
UPDATE deliveries SET state = 'leased', turn = :turn, attempt = attempt + 1 WHERE id = :delivery AND state = 'ready';

-- move --
-- Hand leased deliveries over to another turn, attempt unchanged.
UPDATE deliveries SET turn = :turn WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'leased';

-- add_lease --
-- Write down that :turn holds one delivery at this attempt, perhaps again.
INSERT INTO leases (turn, delivery, attempt, call) VALUES (:turn, :delivery, :attempt, :call)
ON CONFLICT (delivery, turn) DO UPDATE SET id = (SELECT max(l.id) + 1 FROM leases l),
    attempt = excluded.attempt, call = excluded.call, given_back = 0;

-- add_leases --
-- Write down that :turn holds the deliveries in the JSON list :ids, in that order, at their present attempt. What it
-- gave back and takes again is handed over anew.
INSERT OR REPLACE INTO leases (turn, delivery, attempt, call)
SELECT :turn, d.id, d.attempt, :call FROM json_each(:ids) j JOIN deliveries d ON d.id = j.value ORDER BY j.key;

-- grow --
-- Count further mail into an open turn.
UPDATE turns SET messages = messages + :messages, bytes = bytes + :bytes, depth = max(depth, :depth),
       lease_until = :lease_until
WHERE id = :turn;

-- leased --
-- What :turn holds now, in the order in which it was handed over.
SELECT d.id AS delivery, d.attempt, d.failures, d.restarts, d.bytes, d.alone, d.rides, d.in_order, d.place, d.recipient, m.id,
       m.sender, m.kind, CAST(m.body AS BLOB) AS body, m.body_sha256, m.in_reply_to, m.depth, m.addressed_to, CAST(m.about AS BLOB) AS about, m.sent_at
FROM leases l JOIN deliveries d ON d.id = l.delivery JOIN messages m ON m.id = d.message
WHERE l.turn = :turn AND d.turn = :turn AND d.state = 'leased' ORDER BY l.id;

-- leased_by --
-- What the take :call leased to :turn and the turn still holds.
SELECT d.id AS delivery, d.attempt, d.bytes, d.alone, d.in_order, d.place, m.id, m.sender, m.kind,
       CAST(m.body AS BLOB) AS body, m.body_sha256, m.in_reply_to, m.depth, m.addressed_to, CAST(m.about AS BLOB) AS about, m.sent_at
FROM leases l JOIN deliveries d ON d.id = l.delivery JOIN messages m ON m.id = d.message
WHERE l.turn = :turn AND l.call = :call AND l.given_back = 0 AND d.state = 'leased' AND d.turn = :turn
ORDER BY d.rank, d.place;

-- acked_in --
-- The messages that a closed turn handled.
SELECT message FROM deliveries WHERE turn = :turn AND recipient = :agent AND state = 'acked' ORDER BY place;

-- received --
-- A row if message :message was ever sent to :agent.
SELECT 1 FROM deliveries WHERE message = :message AND recipient = :agent;

-- earlier_sends --
-- What turns before :turn that held one of the deliveries in the JSON list :ids already sent: the first 8 of each, counted.
SELECT j.value AS delivery, m.id, m.addressed_to, CAST(substr(m.body, 1, 120) AS BLOB) AS excerpt,
       (SELECT count(*) FROM leases l JOIN messages s ON s.turn = l.turn
        WHERE l.delivery = j.value AND l.turn <> :turn) AS sends
FROM json_each(:ids) j JOIN messages m ON m.id IN (
    SELECT s.id FROM leases l JOIN messages s ON s.turn = l.turn
    WHERE l.delivery = j.value AND l.turn <> :turn ORDER BY s.id LIMIT 8
) ORDER BY m.id, j.value;

-- close --
-- End an open or lapsed turn, whose :settled deliveries still stand in the inbox's count.
UPDATE turns SET state = 'closed', outcome = :outcome, begun = :begun, reason = :reason, usage = :usage, closed_at = :now,
    inbox = (SELECT max(a.inbox_messages - :settled, 0) FROM agents a WHERE a.name = turns.agent)
WHERE id = :turn AND state <> 'closed';

-- add_settled --
-- A finished turn of its own for what an attended session settles while the rest of its mail stays with it.
INSERT INTO turns (agent, epoch, attended, state, outcome, begun, carried_from, messages, depth, lease_until, opened_at, closed_at)
SELECT agent, epoch, 1, 'closed', 'completed', 1, id, :messages, depth, lease_until, opened_at, :now
FROM turns WHERE id = :turn;

-- ack --
-- Settle a leased delivery as handled in :turn.
UPDATE deliveries SET state = 'acked', turn = :turn, settled_at = :now WHERE id = :delivery AND state = 'leased';

-- back --
-- Make leased deliveries ready again at their old place; nothing counts.
UPDATE deliveries SET state = 'ready', ready_at = 0
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'leased';

-- back_restarted --
-- Make leased deliveries ready again and count the death of their harness.
UPDATE deliveries SET state = 'ready', ready_at = 0, restarts = restarts + 1
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'leased';

-- back_failed --
-- Count a failure and let a leased delivery back off until :ready_at.
UPDATE deliveries SET state = 'ready', failures = failures + 1, ready_at = :ready_at, alone = max(alone, :alone)
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'leased';

-- die --
-- Count the last failure: the deliveries become dead letters.
UPDATE deliveries SET state = 'dead', failures = failures + 1, alone = max(alone, :alone), reason = :reason, settled_at = :now
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'leased';

-- hold --
-- Hold deliveries for the operator.
UPDATE deliveries SET state = 'held', reason = :reason, restarts = restarts + :restarts
WHERE id IN (SELECT value FROM json_each(:ids)) AND state IN ('leased', 'ready');

-- mark_given_back --
-- Write down that deliveries left :turn before it ended.
UPDATE leases SET given_back = 1 WHERE turn = :turn AND delivery IN (SELECT value FROM json_each(:ids));

-- shrink --
-- Take mail out of an open turn's count.
UPDATE turns SET messages = messages - :messages, bytes = max(bytes - :bytes, 0) WHERE id = :turn;

-- renew --
-- Prolong the lease of an open turn of this epoch.
UPDATE turns SET lease_until = :lease_until, begun = max(begun, :begun)
WHERE id = :turn AND agent = :agent AND state = 'open' AND epoch = :epoch;

-- expired --
-- Open turns whose lease ran out.
SELECT id, agent, attended FROM turns WHERE state = 'open' AND lease_until <= :now ORDER BY lease_until LIMIT 100;

-- lapse --
-- The lease ran out: the turn may still be resumed.
UPDATE turns SET state = 'lapsed' WHERE id = :turn AND state = 'open';

-- bury_lapsed --
-- Turns of an agent that were never taken back are over for good.
UPDATE turns SET state = 'closed', outcome = :outcome, closed_at = :now WHERE agent = :agent AND state = 'lapsed';

-- of_agent_open --
-- The open turn of an agent.
SELECT id FROM turns WHERE agent = :agent AND state = 'open';

-- released_by --
-- What a lapsed turn held when it lapsed and nobody has leased since.
SELECT d.id AS delivery, d.state, d.attempt AS now_attempt, d.ready_at, l.attempt, d.bytes
FROM leases l JOIN deliveries d ON d.id = l.delivery
WHERE l.turn = :turn AND l.given_back = 0;

-- retake --
-- Give a lapsed turn its deliveries back, attempt unchanged; the :deaths that were counted did not happen.
UPDATE deliveries SET state = 'leased', turn = :turn, restarts = max(restarts - :deaths, 0)
WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'ready';

-- reopen --
-- Open a lapsed turn again.
UPDATE turns SET state = 'open', lease_until = :lease_until WHERE id = :turn AND state = 'lapsed';

-- rearm_one --
-- Give the open turn of :agent a fresh lease: its holder may come back.
UPDATE turns SET lease_until = :lease_until WHERE agent = :agent AND state = 'open';

-- rearm --
-- Give every open turn a fresh lease: after a broker start, a suspend, or a clock that was set.
UPDATE turns SET lease_until = :lease_until WHERE state = 'open';

-- next_due --
-- The earliest instant at which something has to be done.
SELECT min(due) AS due FROM (
    SELECT min(lease_until) AS due FROM turns WHERE state = 'open'
    UNION ALL
    SELECT min(ready_at) FROM deliveries WHERE state = 'ready' AND ready_at > 0
    UNION ALL
    SELECT min(due_at) FROM merged_notices WHERE due_at IS NOT NULL
    UNION ALL
    SELECT min(due_at) FROM reminders WHERE state = 'pending'
    UNION ALL
    SELECT min(deadline_at) FROM asks WHERE state = 'open'
    UNION ALL
    SELECT min(budget_until) FROM agents WHERE budget_until IS NOT NULL
    UNION ALL
    SELECT min(due_at) FROM jobs WHERE due_at IS NOT NULL
    UNION ALL
    SELECT others_wait_until FROM fleet WHERE id = 1
);

-- rested --
-- Agents with mail whose back-off has ended.
SELECT DISTINCT recipient FROM deliveries WHERE state = 'ready' AND ready_at > 0 AND ready_at <= :now;

-- end_backoff --
-- Take ended back-offs out of the due index.
UPDATE deliveries SET ready_at = 0 WHERE state = 'ready' AND ready_at > 0 AND ready_at <= :now;

-- clamp_backoff --
-- No back-off lasts longer than :latest, whatever the clock did.
UPDATE deliveries SET ready_at = :latest WHERE state = 'ready' AND ready_at > :latest;

-- shift_backoff --
-- The clock was set by :step: back-offs keep their length, none becomes longer than until :latest.
UPDATE deliveries SET ready_at = max(min(ready_at + :step, :latest), 1) WHERE state = 'ready' AND ready_at > 0;
