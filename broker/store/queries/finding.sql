-- index_state --
-- How far the index of the search goes, how far the mail does, and where each begins.
SELECT f.indexed_to,
       coalesce((SELECT max(m.id) FROM messages m), 0) AS newest,
       coalesce((SELECT min(m.id) FROM messages m), 0) AS oldest,
       coalesce((SELECT min(s.id) FROM message_search_docsize s), 0) AS oldest_indexed
FROM fleet f WHERE f.id = 1;

-- unindexed --
-- The next messages that the index of the search does not have, read as far as the caller asks.
SELECT m.id, CAST(m.body AS BLOB) AS body, m.body_sha256
FROM fleet f JOIN messages m ON m.id > f.indexed_to WHERE f.id = 1 ORDER BY m.id LIMIT :limit;

-- index --
-- Put one body into the index of the search.
INSERT INTO message_search (rowid, body) VALUES (:id, :body);

-- set_indexed --
-- Write down how far the index of the search goes.
UPDATE fleet SET indexed_to = :id WHERE id = 1;

-- empty_index --
-- Forget the whole index of the search; what there is goes in anew.
INSERT INTO message_search (message_search) VALUES ('delete-all');

-- hits --
-- The messages that :words match, best first, then newest; of :name only what it sent or received.
SELECT m.id FROM message_search CROSS JOIN messages m ON m.id = message_search.rowid
WHERE message_search MATCH :words
AND (:name IS NULL OR m.sender = :name
     OR EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id AND d.recipient = :name))
ORDER BY message_search.rank, m.id DESC LIMIT :limit;

-- snippets --
-- The messages in the JSON list :ids with the words of :words in their place, each between :opens and :closes.
SELECT m.id, m.sender, m.addressed_to, m.kind, m.sent_at, CAST(m.body AS BLOB) AS body, m.body_sha256,
       CAST(snippet(message_search, 0, :opens, :closes, '…', 24) AS BLOB) AS snippet
FROM message_search CROSS JOIN messages m ON m.id = message_search.rowid
WHERE message_search MATCH :words AND message_search.rowid IN (SELECT value FROM json_each(:ids));

-- party --
-- A row if message :message is there and :name, where one is given, sent or received it.
SELECT 1 FROM messages m WHERE m.id = :message AND (:name IS NULL OR m.sender = :name
    OR EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id AND d.recipient = :name));

-- root --
-- The first message of the thread of :message that is still there. A message only answers earlier ones.
WITH RECURSIVE up (id) AS (
    SELECT :message
    UNION
    SELECT m.in_reply_to FROM up JOIN messages m ON m.id = up.id WHERE m.in_reply_to IS NOT NULL
)
SELECT min(m.id) AS id FROM up JOIN messages m ON m.id = up.id;

-- thread --
-- Message :root and all that answers it, at any distance, in the order of sending; at most :walk are looked at.
-- Of :name, only what it sent or received.
WITH RECURSIVE down (id) AS (
    SELECT :root
    UNION
    SELECT m.id FROM down JOIN messages m ON m.in_reply_to = down.id
    ORDER BY 1 LIMIT :walk
)
SELECT m.id, m.sender, m.kind, m.addressed_to, m.in_reply_to, m.sent_at, CAST(m.body AS BLOB) AS body, m.body_sha256
FROM down JOIN messages m ON m.id = down.id
WHERE :name IS NULL OR m.sender = :name
OR EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id AND d.recipient = :name)
ORDER BY m.id LIMIT :limit;

-- copies --
-- Where the copies of the messages in the JSON list :ids stand.
SELECT d.message, d.recipient, d.state FROM deliveries d
WHERE d.message IN (SELECT value FROM json_each(:ids)) ORDER BY d.message, d.recipient;

-- agent --
-- What the story of an agent needs beside its summary.
SELECT a.name, a.attended, a.instance, a.lost_at, a.inbox_messages, a.inbox_bytes,
       (SELECT count(*) FROM asks k WHERE k.asker = a.name AND k.state = 'open') AS asked,
       (SELECT count(*) FROM asks k WHERE k.target = a.name AND k.state = 'open') AS to_answer,
       (SELECT count(*) FROM reminders r WHERE r.agent = a.name AND r.state IN ('pending', 'parked')) AS reminders,
       (SELECT min(r.due_at) FROM reminders r WHERE r.agent = a.name AND r.state IN ('pending', 'parked')) AS next_reminder
FROM agents a WHERE a.name = :name AND a.role <> 'operator';

-- waiting --
-- The ready mail of :name: which stands first, how much a turn could lease now, and when the first back-off ends.
SELECT (SELECT d.message FROM deliveries d WHERE d.recipient = :name AND d.state = 'ready' AND d.rides = 0
        ORDER BY d.rank, d.place LIMIT 1) AS first,
       (SELECT count(*) FROM deliveries d WHERE d.recipient = :name AND d.state = 'ready' AND d.ready_at <= :now
        AND d.rides = 0 AND NOT (d.in_order = 1 AND EXISTS (
            SELECT 1 FROM deliveries b INDEXED BY deliveries_backing_off
            WHERE b.state = 'ready' AND b.ready_at > 0 AND b.ready_at > :now
            AND b.recipient = d.recipient AND b.sender = d.sender AND b.place < d.place))) AS eligible,
       b.message AS resting, b.ready_at AS rests_until
FROM agents a LEFT JOIN deliveries b ON b.id = (
    SELECT r.id FROM deliveries r WHERE r.recipient = :name AND r.state = 'ready' AND r.ready_at > :now
    ORDER BY r.ready_at LIMIT 1)
WHERE a.name = :name;

-- agent_turns --
-- The last turns of an agent, newest first.
SELECT id, state, outcome, reason, attended, messages, opened_at, closed_at FROM turns
WHERE agent = :name ORDER BY id DESC LIMIT :limit;

-- agent_audit --
-- What was done to an agent lately, newest first.
SELECT at, principal, action, detail FROM audit WHERE subject = :name ORDER BY id DESC LIMIT :limit;

-- sqlite --
-- The release of SQLite that runs this.
SELECT sqlite_version() AS version;

-- oldest_ready --
-- When the oldest ready mail of :name was sent.
SELECT m.sent_at FROM deliveries d JOIN messages m ON m.id = d.message
WHERE d.recipient = :name AND d.state = 'ready' ORDER BY d.message LIMIT 1;
