-- settled --
-- Deliveries that ended before the instant of their kind: :handled_before, or :dead_before of dead and expired ones.
SELECT id, message, recipient, state, attempt FROM deliveries INDEXED BY deliveries_settled
WHERE state = 'acked' AND settled_at < :handled_before
UNION ALL
SELECT id, message, recipient, state, attempt FROM deliveries INDEXED BY deliveries_settled
WHERE state IN ('dead', 'expired') AND settled_at < :dead_before
LIMIT :limit;

-- drop_leases --
-- Delete the leases of the deliveries in the JSON list :ids.
DELETE FROM leases WHERE delivery IN (SELECT value FROM json_each(:ids));

-- drop_deliveries --
-- Delete the deliveries in the JSON list :ids; only what has ended.
DELETE FROM deliveries WHERE id IN (SELECT value FROM json_each(:ids)) AND state IN ('acked', 'dead', 'expired');

-- count --
-- Count what was deleted, so that the account still adds up.
UPDATE fleet SET forgotten_handled = forgotten_handled + :handled,
       forgotten_redelivered = forgotten_redelivered + :redelivered, forgotten_dead = forgotten_dead + :dead,
       forgotten_expired = forgotten_expired + :expired, forgotten_mailbox = forgotten_mailbox + :mailbox
WHERE id = 1;

-- left_over --
-- Those of the messages in the JSON list :ids that nobody has a copy of any more and no open ask names.
SELECT m.id, CAST(m.body AS BLOB) AS body, m.body_sha256, m.id <= f.indexed_to AS is_indexed
FROM messages m JOIN fleet f ON f.id = 1
WHERE m.id IN (SELECT value FROM json_each(:ids))
AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id)
AND m.id NOT IN (SELECT a.message FROM asks a WHERE a.state = 'open' AND a.message IS NOT NULL);

-- unindex --
-- Take one body out of the index of the search; it has to be the one that went in.
INSERT INTO message_search (message_search, rowid, body) VALUES ('delete', :id, :body);

-- drop_messages --
-- Delete the messages in the JSON list :ids. What answered them points nowhere from then on.
DELETE FROM messages WHERE id IN (SELECT value FROM json_each(:ids));

-- ended_asks --
-- Asks that ended before :before, with the mail that they caused.
SELECT id, message, answer_message FROM asks WHERE state <> 'open' AND ended_at < :before LIMIT :limit;

-- drop_asks --
-- Delete the asks in the JSON list :ids; only what has ended.
DELETE FROM asks WHERE id IN (SELECT value FROM json_each(:ids)) AND state <> 'open';

-- drop_reminders --
-- Delete reminders that were over before :before.
DELETE FROM reminders WHERE id IN (
    SELECT r.id FROM reminders r WHERE r.state IN ('done', 'cancelled') AND r.ended_at < :before LIMIT :limit);

-- drop_firings --
-- Delete what reminders delivered before :before.
DELETE FROM firings WHERE (reminder, nominal_at) IN (
    SELECT f.reminder, f.nominal_at FROM firings f WHERE f.fired_at < :before LIMIT :limit);

-- drop_turns --
-- Delete turns that ended before :before, were counted and have no lease left, but the newest of each agent.
DELETE FROM turns WHERE id IN (
    SELECT t.id FROM turns t
    WHERE t.state = 'closed' AND t.closed_at < :before AND t.counted = 1
    AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.turn = t.id)
    AND t.id < (SELECT max(n.id) FROM turns n WHERE n.agent = t.agent)
    LIMIT :limit);

-- drop_flows --
-- Delete the storm guard's counts from before :before.
DELETE FROM flows WHERE (sender, recipient, at) IN (
    SELECT f.sender, f.recipient, f.at FROM flows f WHERE f.at < :before LIMIT :limit);

-- drop_merged --
-- Delete what remembers notices that were told before :before and behind which nothing waits.
DELETE FROM merged_notices WHERE (recipient, cause) IN (
    SELECT n.recipient, n.cause FROM merged_notices n WHERE n.due_at IS NULL AND n.told_at < :before LIMIT :limit);
