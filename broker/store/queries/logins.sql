-- before --
-- The settings of :agent, and how the last turn but :turn ended of those that say whether its login works: its own, and
-- those of the agents that log in as it does.
SELECT a.settings,
       (SELECT last.outcome FROM turns last
        WHERE last.id = (
            SELECT max((SELECT t.id FROM turns t
                        WHERE t.agent = o.name AND t.id <> :turn AND t.outcome IN ('completed', 'auth')
                        ORDER BY t.id DESC LIMIT 1))
            FROM agents o
            WHERE o.name = a.name
               OR (json_extract(o.settings, '$.backend') = json_extract(a.settings, '$.backend')
                   AND json_extract(o.settings, '$.account') IS json_extract(a.settings, '$.account')
                   AND (json_extract(a.settings, '$.account') IS NOT NULL
                        OR coalesce(json_extract(o.settings, '$.env_file'), json_extract(a.settings, '$.env_file'))
                           IS NULL)))) AS outcome
FROM agents a
WHERE a.name = :agent;
