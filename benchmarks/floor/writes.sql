-- add_agent --
-- A mailbox; outside of what is measured.
INSERT INTO agents (name, role, origin, created_at) VALUES (:name, 'agent', 'database', :now);

-- add_message --
-- As inbox.add_message.
INSERT INTO messages (sender, kind, body, body_sha256, addressed_to, depth, key, request_sha256, sent_at)
VALUES (:sender, 'peer', :body, :digest, :recipient, 1, :key, :digest, :now);

-- add_delivery --
-- As inbox.add_delivery, with a place that is known.
INSERT INTO deliveries (message, recipient, sender, bytes, rank, in_order, place, state)
VALUES (:message, :recipient, :sender, :bytes, 1, 1, :place, 'ready');

-- count --
-- As inbox.count_one_in.
UPDATE agents SET inbox_messages = inbox_messages + :messages, inbox_bytes = inbox_bytes + :bytes
WHERE name = :recipient;

-- spend --
-- As inbox.spend.
UPDATE agents SET bucket = 1.0, bucket_at = :now WHERE name = :sender;

-- add_turn --
-- As turns.add.
INSERT INTO turns (agent, epoch, attended, state, messages, bytes, depth, lease_until, opened_at)
VALUES (:agent, 1, 0, 'open', 1, :bytes, 1, :now + 60000, :now);

-- lease --
-- As turns.lease, of one delivery.
UPDATE deliveries SET state = 'leased', turn = :turn, attempt = attempt + 1 WHERE id = :delivery;

-- add_lease --
-- As turns.add_leases, of one delivery.
INSERT INTO leases (turn, delivery, attempt) VALUES (:turn, :delivery, 1);

-- close --
-- As turns.close.
UPDATE turns SET state = 'closed', outcome = 'completed', begun = 1, closed_at = :now WHERE id = :turn;

-- ack --
-- As turns.ack, of one delivery.
UPDATE deliveries SET state = 'acked', turn = :turn, settled_at = :now WHERE id = :delivery;
