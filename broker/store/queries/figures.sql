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

-- jobs --
-- Jobs that ended since :since, by state, and all that wait or run.
SELECT state AS label, count(*) AS n FROM jobs WHERE ended_at >= :since GROUP BY state
UNION ALL
SELECT state, count(*) FROM jobs WHERE state IN ('pending', 'running') GROUP BY state
ORDER BY 1;

-- events --
-- Events of jobs recorded since :since, by what was made of them; and all that was refused since :since or before, by
-- the newest refusal of its kind.
SELECT verdict AS label, count(*) AS n FROM job_events WHERE received_at >= :since GROUP BY verdict
UNION ALL
SELECT 'refused', sum(times) FROM quarantine WHERE last_at >= :since HAVING count(*) > 0
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
