-- traffic --
-- Causal mail since :window and since :day: of each pair of :sender and a name in the JSON list :recipients, both ways
-- (whole = 0). Where :sender's own side of one of them reaches :warm or :warm_day, all pairs of the fleet follow
-- (whole = 1), as a circle may have closed: those of the window, and those of the day that are busy enough for one.
WITH pair AS MATERIALIZED (
    SELECT f.sender, f.recipient, total(f.n) FILTER (WHERE f.at > :window) AS recent, total(f.n) AS day
    FROM json_each(:recipients) j CROSS JOIN flows f ON f.sender = :sender AND f.recipient = j.value
    WHERE f.at > :day AND f.at <= :now GROUP BY f.recipient
    UNION ALL
    SELECT f.sender, f.recipient, total(f.n) FILTER (WHERE f.at > :window), total(f.n)
    FROM json_each(:recipients) j CROSS JOIN flows f ON f.sender = j.value AND f.recipient = :sender
    WHERE f.at > :day AND f.at <= :now GROUP BY f.sender
), own (recent, day) AS (
    SELECT max(recent), max(day) FROM pair WHERE sender = :sender
), over AS MATERIALIZED (
    SELECT f.sender, f.recipient, sum(f.n) AS n FROM own CROSS JOIN flows f INDEXED BY flows_by_time ON f.at <= :day
    WHERE own.day >= :warm_day GROUP BY f.sender, f.recipient
)
SELECT 0 AS whole, sender, recipient, CAST(recent AS INTEGER) AS recent, CAST(day AS INTEGER) AS day FROM pair
UNION ALL
SELECT * FROM (
    SELECT 1, f.sender, f.recipient, sum(f.n), 0
    FROM own CROSS JOIN flows f INDEXED BY flows_by_time ON f.at > :window AND f.at <= :now
    WHERE own.recent >= :warm GROUP BY f.sender, f.recipient HAVING sum(f.n) > 1 LIMIT :most
)
UNION ALL
SELECT * FROM (
    SELECT 1, t.sender, t.recipient, 0, t.n - coalesce(o.n, 0)
    FROM own CROSS JOIN flow_totals t LEFT JOIN over o ON o.sender = t.sender AND o.recipient = t.recipient
    WHERE own.day >= :warm_day AND t.n > 1 AND t.n >= :warm_day AND t.n - coalesce(o.n, 0) > 1 LIMIT :most
);

-- count --
-- One causal message more from :sender to each name in the JSON list :recipients, in the step that begins at :at.
INSERT INTO flows (sender, recipient, at, n) SELECT :sender, j.value, :at, 1 FROM json_each(:recipients) j WHERE 1
ON CONFLICT (sender, recipient, at) DO UPDATE SET n = n + 1;

-- forgive --
-- Forget the causal mail to and from each name in the JSON list :names: a person looked after them.
DELETE FROM flows WHERE sender IN (SELECT value FROM json_each(:names)) OR recipient IN (SELECT value FROM json_each(:names));

-- forgive_pair --
-- Forget the causal mail between two agents.
DELETE FROM flows WHERE (sender = :one AND recipient = :other) OR (sender = :other AND recipient = :one);

-- forget_ahead --
-- Drop what lies ahead because the clock was set back: it would count when its time comes.
DELETE FROM flows WHERE at > :now;

-- add_held --
-- A held delivery for each name in the JSON object :held, with the reason that stands there.
INSERT INTO deliveries (message, recipient, sender, bytes, rank, in_order, place, state, reason)
SELECT :message, j.key, :sender, :bytes, 1, 1,
       1 + coalesce((SELECT max(d.place) FROM deliveries d WHERE d.recipient = j.key), 0), 'held', j.value
FROM json_each(:held) j;

-- pairs_held --
-- With whom of the JSON list :names an earlier storm of :name still waits for the operator.
SELECT d.sender AS name FROM deliveries d
WHERE d.state = 'held' AND d.recipient = :name AND d.sender IN (SELECT value FROM json_each(:names)) AND d.reason LIKE 'storm:%'
UNION
SELECT d.recipient FROM json_each(:names) j CROSS JOIN deliveries d ON d.recipient = j.value
WHERE d.state = 'held' AND d.sender = :name AND d.reason LIKE 'storm:%';
