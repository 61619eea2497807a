-- find_key --
-- The message that :sender already sent under :key, for a safe retry.
SELECT id, addressed_to, request_sha256, receipt FROM messages WHERE sender = :sender AND key = :key;

-- sender --
-- The sending agent with its bucket, the turn that it sends from, if one is open, :reply, if it sent or received it, and
-- the open ask that :reply put to it.
SELECT a.name, a.role, a.state, a.settings, a.bucket, a.bucket_at,
       a.frozen OR (SELECT f.frozen FROM fleet f WHERE f.id = 1) AS frozen,
       t.id AS turn, t.depth AS turn_depth, t.attended AS turn_attended, t.epoch AS turn_epoch,
       (SELECT m.id FROM messages m WHERE m.id = :reply AND (m.sender = a.name
            OR EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id AND d.recipient = a.name)
            OR EXISTS (SELECT 1 FROM asks q WHERE q.message = m.id AND q.target = a.name AND q.state = 'open'))) AS answers,
       (SELECT k.id FROM asks k WHERE k.message = :reply AND k.target = a.name AND k.state = 'open') AS open_ask
FROM agents a LEFT JOIN turns t ON t.agent = a.name AND t.state = 'open'
WHERE a.name = :name;

-- recipient --
-- One mailbox with its counters.
SELECT name, role, state, inbox_messages, inbox_bytes FROM agents WHERE name = :name;

-- manager --
-- The mailbox of the manager.
SELECT name, role, state, inbox_messages, inbox_bytes FROM agents WHERE role = 'manager' AND state <> 'removed';

-- everyone --
-- All mailboxes that a broadcast of :sender may reach, by name.
SELECT name, role, state, inbox_messages, inbox_bytes FROM agents
WHERE state = 'active' AND role <> 'operator' AND name <> :sender ORDER BY name;

-- add_message --
-- Store an immutable message.
INSERT INTO messages (sender, kind, body, body_sha256, addressed_to, in_reply_to, depth, turn, key, request_sha256, receipt, about, sent_at)
VALUES (:sender, :kind, :body, :body_sha256, :addressed_to, :in_reply_to, :depth, :turn, :key, :request_sha256, :receipt, :about, :now);

-- add_deliveries --
-- One delivery to each name in the JSON list :recipients, at the end of its inbox.
INSERT INTO deliveries (message, recipient, sender, bytes, rank, in_order, place, state)
SELECT :message, j.value, :sender, :bytes, :rank, :in_order,
       1 + coalesce((SELECT max(d.place) FROM deliveries d WHERE d.recipient = j.value), 0), 'ready'
FROM json_each(:recipients) j;

-- add_delivery --
-- One delivery at the end of the recipient's inbox.
INSERT INTO deliveries (message, recipient, sender, bytes, rank, in_order, place, state)
VALUES (:message, :recipient, :sender, :bytes, :rank, :in_order,
        1 + coalesce((SELECT max(d.place) FROM deliveries d WHERE d.recipient = :recipient), 0), 'ready');

-- count_in --
-- Add unsettled mail to the quota counters of each name in the JSON list :recipients.
UPDATE agents SET inbox_messages = inbox_messages + :messages, inbox_bytes = inbox_bytes + :bytes
WHERE name IN (SELECT value FROM json_each(:recipients));

-- count_one_in --
-- Add unsettled mail to the quota counters of one mailbox (negative: take it out).
UPDATE agents SET inbox_messages = inbox_messages + :messages, inbox_bytes = inbox_bytes + :bytes WHERE name = :recipient;

-- spend --
-- Write the sender's token bucket.
UPDATE agents SET bucket = :bucket, bucket_at = :now WHERE name = :name;

-- post --
-- Write the sender's token bucket, and count one message of :bytes into each name in the JSON list :recipients.
UPDATE agents SET bucket = CASE name WHEN :name THEN :bucket ELSE bucket END,
       bucket_at = CASE name WHEN :name THEN :now ELSE bucket_at END,
       inbox_messages = inbox_messages + (name <> :name),
       inbox_bytes = inbox_bytes + CASE name WHEN :name THEN 0 ELSE :bytes END
WHERE name IN (SELECT :name UNION ALL SELECT value FROM json_each(:recipients));

-- unread --
-- The operator's unread mail, all of it or the message ids in the JSON list :ids.
SELECT id, message, bytes FROM deliveries
WHERE recipient = 'operator' AND state = 'ready' AND (:all OR message IN (SELECT value FROM json_each(:ids)))
ORDER BY place;

-- settle --
-- Move the deliveries in the JSON list :ids to a terminal state.
UPDATE deliveries SET state = :state, reason = :reason, settled_at = :now
WHERE id IN (SELECT value FROM json_each(:ids));

-- dead_of --
-- The dead deliveries of one message that nobody discarded, of all recipients or one.
SELECT d.id, d.message, d.recipient, d.bytes, a.state AS recipient_state FROM deliveries d
JOIN agents a ON a.name = d.recipient
WHERE d.message = :message AND d.state = 'dead' AND d.discarded_at IS NULL
AND (:recipient IS NULL OR d.recipient = :recipient);

-- requeue --
-- Make a dead or held delivery ready again at the end of its inbox, with a fresh budget.
UPDATE deliveries SET state = 'ready', ready_at = 0, failures = 0, restarts = 0, alone = 0, reason = NULL,
       settled_at = NULL, place = 1 + (SELECT max(d.place) FROM deliveries d WHERE d.recipient = deliveries.recipient)
WHERE id = :id;

-- discard --
-- Take a dead delivery off the list.
UPDATE deliveries SET discarded_at = :now WHERE id = :id;

-- waiting_of --
-- All unsettled deliveries of a mailbox that no turn holds.
SELECT id, message, sender, bytes, state FROM deliveries
WHERE recipient = :recipient AND state IN ('ready', 'scheduled', 'held') ORDER BY place;

-- list --
-- Deliveries to :recipient behind message :after, oldest first; :all includes settled ones.
SELECT m.id, m.sender, d.recipient, m.kind, CAST(m.body AS BLOB) AS body, m.body_sha256, m.in_reply_to, m.sent_at, d.state, d.turn,
       d.attempt, d.failures, d.reason
FROM deliveries d JOIN messages m ON m.id = d.message
WHERE d.recipient = :recipient AND m.id > :after AND (:all OR d.state IN ('scheduled', 'ready', 'leased', 'held'))
ORDER BY m.id LIMIT :limit;

-- dead --
-- Dead letters that nobody discarded, of all mailboxes or one, oldest first.
SELECT m.id, m.sender, d.recipient, m.kind, CAST(m.body AS BLOB) AS body, m.body_sha256, m.in_reply_to, m.sent_at, d.state, d.turn,
       d.attempt, d.failures, d.reason
FROM deliveries d JOIN messages m ON m.id = d.message
WHERE d.state = 'dead' AND d.discarded_at IS NULL AND m.id > :after
AND (:recipient IS NULL OR d.recipient = :recipient) ORDER BY m.id LIMIT :limit;

-- held --
-- Held mail, of all mailboxes or one, oldest first.
SELECT m.id, m.sender, d.recipient, m.kind, CAST(m.body AS BLOB) AS body, m.body_sha256, m.in_reply_to, m.sent_at, d.state, d.turn,
       d.attempt, d.failures, d.reason
FROM deliveries d INDEXED BY deliveries_held JOIN messages m ON m.id = d.message
WHERE d.state = 'held' AND m.id > :after
AND (:recipient IS NULL OR d.recipient = :recipient) ORDER BY m.id LIMIT :limit;

-- peek --
-- Ready mail of :recipient in the order in which a turn would lease it.
SELECT d.id AS delivery, d.attempt, d.bytes, d.alone, d.in_order, d.place, m.id, m.sender, m.kind,
       CAST(m.body AS BLOB) AS body, m.body_sha256, m.in_reply_to, m.depth, m.addressed_to, CAST(m.about AS BLOB) AS about, m.sent_at
FROM deliveries d JOIN messages m ON m.id = d.message
WHERE d.recipient = :recipient AND d.state = 'ready' AND d.ready_at <= :now
ORDER BY d.rank, d.place LIMIT :limit;

-- count_ready --
-- How much mail of :recipient is ready now.
SELECT count(*) AS n FROM deliveries WHERE recipient = :recipient AND state = 'ready' AND ready_at <= :now AND rides = 0;

-- message --
-- One message.
SELECT id, sender, kind, CAST(body AS BLOB) AS body, body_sha256, addressed_to, in_reply_to, depth, turn, sent_at FROM messages WHERE id = :message;

-- deliveries_of --
-- All copies of one message.
SELECT d.id, d.message, d.recipient, d.sender, d.state, d.turn, d.attempt, d.failures, d.restarts, d.reason, d.ready_at,
       d.settled_at, d.place, d.in_order, d.discarded_at, a.paused, a.state AS agent_state, a.instance, a.lost_at,
       a.frozen OR (SELECT f.frozen FROM fleet f WHERE f.id = 1) AS frozen,
       (SELECT f.frozen FROM fleet f WHERE f.id = 1) AS everybody_frozen
FROM deliveries d JOIN agents a ON a.name = d.recipient
WHERE d.message = :message ORDER BY d.recipient;

-- leases_of --
-- Every turn that ever held a copy of one message.
SELECT d.recipient, l.turn, l.attempt, l.given_back, t.opened_at, t.closed_at, t.state, t.outcome, t.reason, t.attended
FROM leases l JOIN deliveries d ON d.id = l.delivery JOIN turns t ON t.id = l.turn
WHERE d.message = :message ORDER BY t.id;

-- replies_to --
-- The messages that answer one message, notices about it among them.
SELECT id, sender, kind, addressed_to, sent_at FROM messages WHERE in_reply_to = :message ORDER BY id;

-- earlier_in_pair --
-- The oldest delivery of the same pair that stands before :place and keeps it waiting.
SELECT message, state, turn, ready_at FROM deliveries
WHERE recipient = :recipient AND sender = :sender AND place < :place AND in_order = 1
AND (state = 'leased' OR (state = 'ready' AND ready_at > :now)) ORDER BY place LIMIT 1;

-- operator_has --
-- A row if the operator ever got message :message.
SELECT 1 FROM deliveries WHERE message = :message AND recipient = 'operator';
