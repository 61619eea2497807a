-- to_count --
-- Closed turns that have no row of figures yet, the oldest first, with how much was sent in them.
SELECT t.id AS turn, t.agent, t.closed_at AS at, t.outcome, max(t.closed_at - t.opened_at, 0) AS ms, t.messages, t.inbox,
       CAST(t.usage AS BLOB) AS usage, (SELECT count(*) FROM messages s WHERE s.turn = t.id) AS sent
FROM turns t WHERE t.state = 'closed' AND t.counted = 0 ORDER BY t.id LIMIT :limit;

-- received --
-- What was handed over in the turns of the JSON list :ids, by kind.
SELECT l.turn, m.kind, count(*) AS n
FROM json_each(:ids) j JOIN leases l ON l.turn = j.value
JOIN deliveries d ON d.id = l.delivery JOIN messages m ON m.id = d.message
WHERE l.given_back = 0 GROUP BY l.turn, m.kind;

-- add --
-- The figures of one turn.
INSERT OR IGNORE INTO turn_statistics (turn, agent, at, outcome, ms, messages, received_peer, received_manager,
    received_operator, received_system, received_reminder, received_external, sent, inbox, input_tokens, output_tokens,
    cost_usd, tool_calls, tools, notes_bytes)
VALUES (:turn, :agent, :at, :outcome, :ms, :messages, :received_peer, :received_manager,
    :received_operator, :received_system, :received_reminder, :received_external, :sent, :inbox, :input_tokens,
    :output_tokens, :cost_usd, :tool_calls, :tools, :notes_bytes);

-- counted --
-- The turns in the JSON list :ids have their row.
UPDATE turns SET counted = 1 WHERE id IN (SELECT value FROM json_each(:ids));

-- drop --
-- Delete figures of turns that ended before :before.
DELETE FROM turn_statistics WHERE turn IN (
    SELECT s.turn FROM turn_statistics s WHERE s.at < :before ORDER BY s.at LIMIT :limit);

-- agents --
-- Agents by name behind :after, or one of them, removed ones only if asked for by name: inbox, last turn, notes.
SELECT a.name, a.inbox_messages AS inbox,
       (SELECT t.closed_at FROM turns t WHERE t.agent = a.name AND t.state = 'closed'
        ORDER BY t.id DESC LIMIT 1) AS last_turn_at,
       (SELECT s.notes_bytes FROM turn_statistics s WHERE s.agent = a.name AND s.notes_bytes IS NOT NULL
        ORDER BY s.at DESC LIMIT 1) AS notes_bytes
FROM agents a
WHERE a.role <> 'operator' AND a.name > :after AND CASE WHEN :agent IS NULL THEN a.state <> 'removed' ELSE a.name = :agent END
ORDER BY a.name LIMIT :limit;

-- oldest --
-- When the oldest of the newest :most turns ended that have figures.
SELECT min(at) AS at FROM (SELECT s.at FROM turn_statistics s ORDER BY s.at DESC LIMIT :most);

-- oldest_of --
-- The same of one agent.
SELECT min(at) AS at FROM (SELECT s.at FROM turn_statistics s WHERE s.agent = :agent ORDER BY s.at DESC LIMIT :most);

-- totals --
-- What each of the agents in the JSON list :names did since :since.
SELECT s.agent, count(*) AS turns, sum(s.messages) AS messages, sum(s.received_peer) AS peer,
       sum(s.received_manager) AS manager, sum(s.received_operator) AS operator, sum(s.received_system) AS system,
       sum(s.received_reminder) AS reminder, sum(s.received_external) AS external, sum(s.sent) AS sent,
       max(s.inbox) AS inbox_max, sum(s.input_tokens) AS input_tokens, sum(s.output_tokens) AS output_tokens,
       sum(s.cost_usd) AS cost_usd, sum(s.tool_calls) AS tool_calls
FROM turn_statistics s WHERE s.agent IN (SELECT value FROM json_each(:names)) AND s.at >= :since GROUP BY s.agent;

-- outcomes --
-- How the turns of the agents in the JSON list :names ended since :since.
SELECT s.agent, s.outcome AS label, count(*) AS n FROM turn_statistics s
WHERE s.agent IN (SELECT value FROM json_each(:names)) AND s.at >= :since
GROUP BY s.agent, s.outcome ORDER BY s.agent, s.outcome;

-- tools --
-- How often the agents in the JSON list :names called each tool since :since, the most used first.
SELECT s.agent, j.key AS label, sum(j.value) AS n
FROM turn_statistics s, json_each(CASE WHEN json_valid(s.tools) THEN s.tools ELSE '{}' END) j
WHERE s.agent IN (SELECT value FROM json_each(:names)) AND s.at >= :since
GROUP BY s.agent, j.key ORDER BY s.agent, sum(j.value) DESC, j.key;

-- lengths --
-- How long turns of the agents in the JSON list :names took since :since: the middle one, and the one that 95 of 100
-- do not exceed.
SELECT agent, max(CASE WHEN place = (total + 1) / 2 THEN ms END) AS p50,
       max(CASE WHEN place = (95 * total + 99) / 100 THEN ms END) AS p95
FROM (SELECT s.agent, s.ms, count(*) OVER (PARTITION BY s.agent) AS total,
             row_number() OVER (PARTITION BY s.agent ORDER BY s.ms) AS place
      FROM turn_statistics s WHERE s.agent IN (SELECT value FROM json_each(:names)) AND s.at >= :since)
GROUP BY agent;

-- buckets --
-- The same in pieces of :width milliseconds from :since on, the last of them :last; only those with a turn in them.
SELECT agent, bucket, count(*) AS turns, sum(failed) AS failed,
       max(CASE WHEN place = (total + 1) / 2 THEN ms END) AS ms_p50,
       max(CASE WHEN place = (95 * total + 99) / 100 THEN ms END) AS ms_p95,
       sum(received) AS received, sum(sent) AS sent, max(inbox) AS inbox_max, sum(tool_calls) AS tool_calls,
       sum(tokens) AS tokens, sum(cost_usd) AS cost_usd, max(notes_bytes) AS notes_bytes
FROM (SELECT b.*, count(*) OVER (PARTITION BY b.agent, b.bucket) AS total,
             row_number() OVER (PARTITION BY b.agent, b.bucket ORDER BY b.ms) AS place
      FROM (SELECT s.agent, min((s.at - :since) / :width, :last) AS bucket, s.ms, s.outcome <> 'completed' AS failed,
                   s.messages AS received, s.sent, s.inbox, s.tool_calls, s.cost_usd, s.notes_bytes,
                   coalesce(s.input_tokens, 0) + coalesce(s.output_tokens, 0) AS tokens
            FROM turn_statistics s
            WHERE s.agent IN (SELECT value FROM json_each(:names)) AND s.at >= :since) b)
GROUP BY agent, bucket;
