-- spend --
-- Add what a turn cost to the day of its agent.
INSERT INTO spending (agent, day, tokens, cost_usd) VALUES (:agent, :day, :tokens, :cost_usd)
ON CONFLICT (agent, day) DO UPDATE SET
    tokens = CASE WHEN excluded.tokens IS NULL THEN tokens ELSE coalesce(tokens, 0) + excluded.tokens END,
    cost_usd = CASE WHEN excluded.cost_usd IS NULL THEN cost_usd ELSE coalesce(cost_usd, 0) + excluded.cost_usd END;

-- today --
-- An agent, what it spent on :day, and the ask about its budget that is open.
SELECT a.name, a.settings, a.state, a.budget_until, s.tokens, s.cost_usd, coalesce(s.factor, 1) AS factor,
       coalesce(s.unlimited, 0) AS unlimited, coalesce(s.told, 0) AS told, s.ask,
       (SELECT k.id FROM asks k WHERE k.asker = a.name AND k.state = 'open' AND k.about = 'budget') AS open_ask,
       (SELECT m.name FROM agents m WHERE m.role = 'manager' AND m.state <> 'removed') AS manager
FROM agents a LEFT JOIN spending s ON s.agent = a.name AND s.day = :day
WHERE a.name = :agent;

-- bar --
-- Open no turn for :agent before :until; NULL: whenever it has mail.
UPDATE agents SET budget_until = :until, budget_reason = :reason WHERE name = :agent;

-- told --
-- The end of the budget of this day was told.
UPDATE spending SET told = 1 WHERE agent = :agent AND day = :day;

-- ask --
-- Put it to the operator.
INSERT INTO asks (kind, asker, target, question, question_sha256, options, multi, turn, asked_at, deadline_at, about)
VALUES ('question', :agent, 'operator', :question, :question_sha256, :options, 0, NULL, :now, :deadline_at, 'budget');

-- asked --
-- The ask of this day.
UPDATE spending SET ask = :ask WHERE agent = :agent AND day = :day;

-- anew --
-- The budget of this day is larger now: its end will be told and asked about again.
UPDATE spending SET ask = NULL, told = 0 WHERE agent = :agent AND day = :day;

-- move_ask --
-- The day ends at another instant, by a clock that was set.
UPDATE asks SET deadline_at = :deadline_at WHERE id = :ask AND state = 'open' AND deadline_at <> :deadline_at;

-- raise --
-- Raise the budget of the day that :ask is about, if it is still :day.
UPDATE spending SET factor = factor + :more, unlimited = max(unlimited, :unlimited)
WHERE agent = :agent AND day = :day AND ask = :ask;

-- over --
-- Agents for which the day has ended.
SELECT name FROM agents WHERE budget_until IS NOT NULL AND budget_until <= :now;

-- concerned --
-- Agents that may have a budget to be judged anew: kept from turns, or with something spent on :day.
SELECT name FROM agents WHERE budget_until IS NOT NULL UNION SELECT agent FROM spending WHERE day = :day;

-- drop --
-- Delete what was spent on days that ended before :before.
DELETE FROM spending WHERE (agent, day) IN (
    SELECT s.agent, s.day FROM spending s WHERE s.day < :before / 86400000 LIMIT :limit);
