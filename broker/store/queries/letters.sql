-- copies --
-- The copies of one message, of all recipients or one.
SELECT d.id, d.message, d.recipient, d.sender, d.bytes, d.state, d.turn, d.reason, d.discarded_at, a.state AS recipient_state,
       CAST(m.body AS BLOB) AS body, m.body_sha256
FROM deliveries d JOIN messages m ON m.id = d.message JOIN agents a ON a.name = d.recipient
WHERE d.message = :message AND (:recipient IS NULL OR d.recipient = :recipient) ORDER BY d.recipient;

-- end_held --
-- A held delivery becomes dead and is off every list.
UPDATE deliveries SET state = 'dead', reason = :reason, settled_at = :now, discarded_at = :now
WHERE id = :id AND state = 'held';

-- sender --
-- Who sent a message.
SELECT sender FROM messages WHERE id = :message;

-- family --
-- A message, what was sent in turns that held it, in turns that held that, and so on; the newest first, :most at most.
WITH RECURSIVE family (id) AS (
    SELECT :message
    UNION
    SELECT m.id FROM family f JOIN deliveries d ON d.message = f.id JOIN leases l ON l.delivery = d.id
    JOIN messages m ON m.turn = l.turn
    ORDER BY 1 DESC LIMIT :most
)
SELECT id FROM family;

-- copies_of --
-- The copies of the messages in the JSON list :messages.
SELECT id, message, recipient, bytes, state, turn FROM deliveries
WHERE message IN (SELECT value FROM json_each(:messages)) ORDER BY message, recipient LIMIT :most;

-- recall --
-- The unleased deliveries in the JSON list :ids become dead and are off every list.
UPDATE deliveries SET state = 'dead', reason = :reason, settled_at = :now, discarded_at = :now
WHERE id IN (SELECT value FROM json_each(:ids)) AND state IN ('scheduled', 'ready', 'held');
