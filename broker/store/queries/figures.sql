-- messages --
-- Messages since :since, by kind.
SELECT kind AS label, count(*) AS n FROM messages WHERE sent_at >= :since GROUP BY kind ORDER BY kind;

-- deliveries --
-- All deliveries there are, by state.
SELECT state AS label, count(*) AS n FROM deliveries GROUP BY state ORDER BY state;

-- turns --
-- Turns that ended since :since, by outcome.
SELECT outcome AS label, count(*) AS n FROM turns
WHERE state = 'closed' AND closed_at >= :since GROUP BY outcome ORDER BY outcome;

-- turn_lengths --
-- How long turns took that ended since :since: the middle one, and the one that 95 of 100 do not exceed.
SELECT max(CASE WHEN place = (total + 1) / 2 THEN ms END) AS p50,
       max(CASE WHEN place = (95 * total + 99) / 100 THEN ms END) AS p95
FROM (SELECT t.closed_at - t.opened_at AS ms, count(*) OVER () AS total,
             row_number() OVER (ORDER BY t.closed_at - t.opened_at) AS place
      FROM turns t WHERE t.state = 'closed' AND t.closed_at >= :since);

-- asks --
-- Asks that ended since :since, by state, and all that are open.
SELECT state AS label, count(*) AS n FROM asks WHERE state <> 'open' AND ended_at >= :since GROUP BY state
UNION ALL
SELECT 'open', count(*) FROM asks WHERE state = 'open'
ORDER BY 1;

-- firings --
-- Reminders that fired since :since.
SELECT count(*) AS n FROM firings WHERE fired_at >= :since;

-- probed --
-- The number of the last probe.
SELECT probed_at FROM fleet WHERE id = 1;

-- probe --
-- Write the number of a probe.
UPDATE fleet SET probed_at = probed_at + 1 WHERE id = 1;
