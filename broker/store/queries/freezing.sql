-- fleet --
-- Whether everybody is frozen, agents that come later too.
SELECT frozen AS everybody FROM fleet WHERE id = 1;

-- names --
-- Every agent, :removed ones too or not.
SELECT name FROM agents WHERE role <> 'operator' AND (:removed OR state <> 'removed');

-- agents --
-- Every agent that is part of the fleet or is marked, with its holder and what it has open.
SELECT a.name, a.state, a.frozen, a.instance, a.epoch,
       (SELECT t.id FROM turns t WHERE t.agent = a.name AND t.state = 'open') AS turn,
       EXISTS (SELECT 1 FROM turns l WHERE l.agent = a.name AND l.state = 'lapsed') AS has_lapsed
FROM agents a WHERE a.role <> 'operator' AND (a.state <> 'removed' OR a.frozen = 1) ORDER BY a.name;

-- mark_everybody --
-- Freeze or thaw the fleet as a whole.
UPDATE fleet SET frozen = :everybody WHERE id = 1 AND frozen <> :everybody;

-- mark_agents --
-- Mark the agents in the JSON list :names as frozen, and no other.
UPDATE agents SET frozen = (name IN (SELECT value FROM json_each(:names)))
WHERE role <> 'operator' AND frozen <> (name IN (SELECT value FROM json_each(:names)));
