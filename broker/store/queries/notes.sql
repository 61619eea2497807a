-- add_turn --
-- A closed turn without mail: it stands for a session beside the turns of :agent, so that its cost is counted.
INSERT INTO turns (agent, epoch, attended, state, outcome, begun, lease_until, opened_at, closed_at, reason, usage, inbox)
SELECT name, epoch, 0, 'closed', :outcome, 1, :now, :opened_at, :now, :reason, :usage, inbox_messages
FROM agents WHERE name = :agent;
