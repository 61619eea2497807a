-- ask --
-- One ask, with what has to be known of both sides. Texts as bytes: a damaged one may be no text.
SELECT k.id, k.kind, k.asker, k.target, CAST(k.question AS BLOB) AS question, k.question_sha256,
       CAST(k.options AS BLOB) AS options, k.multi, k.state, CAST(k.answer AS BLOB) AS answer, k.answered_by, k.turn,
       k.message, k.answer_message, k.asked_at, k.deadline_at, k.ended_at, k.about, k.job, a.state AS asker_state,
       t.role AS target_role
FROM asks k JOIN agents a ON a.name = k.asker JOIN agents t ON t.name = k.target
WHERE k.id = :ask;

-- count_open_by --
-- How many questions of :asker are open.
SELECT count(*) AS n FROM asks WHERE asker = :asker AND state = 'open' AND kind = 'question' AND about IS NULL
  AND job IS NULL;

-- counts_of --
-- How many questions of :name wait for an answer, and how many asks for an answer of :name.
SELECT (SELECT count(*) FROM asks WHERE asker = :name AND state = 'open' AND kind = 'question' AND about IS NULL) AS asked,
       (SELECT count(*) FROM asks WHERE target = :name AND state = 'open') AS to_answer;

-- same_permission --
-- The open permission that asks the same of the same; one is enough, however often it is wanted.
SELECT id, deadline_at FROM asks
WHERE asker = :asker AND state = 'open' AND kind = 'permission' AND target = :target AND question_sha256 = :question_sha256
ORDER BY id LIMIT 1;

-- add --
-- Write an ask down.
INSERT INTO asks (kind, asker, target, question, question_sha256, options, multi, turn, asked_at, deadline_at)
VALUES (:kind, :asker, :target, :question, :question_sha256, :options, :multi, :turn, :now, :deadline_at);

-- put_by --
-- Note the mail that puts an ask to its target.
UPDATE asks SET message = :message WHERE id = :ask;

-- answer --
-- The first answer wins.
UPDATE asks SET state = 'answered', answer = :answer, answered_by = :answered_by, answer_message = :message, ended_at = :now
WHERE id = :ask AND state = 'open';

-- cancel --
-- Withdraw one ask.
UPDATE asks SET state = 'cancelled', ended_at = :now WHERE id = :ask AND state = 'open';

-- cancel_of_turn --
-- The permissions that were asked in :turn end with it.
UPDATE asks SET state = 'cancelled', ended_at = :now
WHERE turn = :turn AND state = 'open' AND kind = 'permission'
RETURNING id, kind, asker, target, message, job;

-- cancel_of_job --
-- What a program outside the fleet has asked for :job ends with it; a permission ends with its turn.
UPDATE asks SET state = 'cancelled', ended_at = :now
WHERE job = :job AND state = 'open' AND kind = 'question'
RETURNING id, kind, asker, target, message, job;

-- cancel_of_lapsed --
-- The same for the turns of an agent that lapsed and are not taken back.
UPDATE asks SET state = 'cancelled', ended_at = :now
WHERE turn IN (SELECT id FROM turns WHERE agent = :agent AND state = 'lapsed') AND state = 'open' AND kind = 'permission'
RETURNING id, kind, asker, target, message, job;

-- cancel_of_agent --
-- What :agent asked and was asked ends when it is removed.
UPDATE asks SET state = 'cancelled', ended_at = :now
WHERE state = 'open' AND id IN (
    SELECT id FROM asks WHERE asker = :agent AND state = 'open'
    UNION SELECT id FROM asks WHERE target = :agent AND state = 'open')
RETURNING id, kind, asker, target, message, job;

-- expire --
-- Close the first :limit asks whose deadline has passed.
UPDATE asks SET state = 'expired', ended_at = :now
WHERE state = 'open' AND id IN (
    SELECT id FROM asks WHERE state = 'open' AND deadline_at <= :now ORDER BY deadline_at LIMIT :limit)
RETURNING id, kind, asker, target, message, about, job;

-- waiting_mail --
-- Copies of the messages in the JSON list :messages that no turn holds and none has handled.
SELECT id, recipient, bytes, state FROM deliveries
WHERE message IN (SELECT value FROM json_each(:messages)) AND state IN ('ready', 'scheduled', 'held');

-- unanswered --
-- Asks to :target whose mail was handled or lost without an answer, the most urgent first. What waits in its inbox or is
-- in a turn speaks for itself.
SELECT k.id, k.kind, k.asker, CAST(k.question AS BLOB) AS question, k.question_sha256, CAST(k.options AS BLOB) AS options,
       CAST(k.answer AS BLOB) AS answer, k.deadline_at
FROM asks k LEFT JOIN deliveries d ON d.message = k.message AND d.recipient = k.target
WHERE k.target = :target AND k.state = 'open' AND (d.state IS NULL OR d.state IN ('acked', 'dead', 'expired'))
ORDER BY k.deadline_at, k.id LIMIT :limit;

-- list --
-- Asks behind :after, oldest first: of all or one asker, to all or one target, with all or one agent on either side.
SELECT id, kind, asker, target, CAST(question AS BLOB) AS question, question_sha256, CAST(options AS BLOB) AS options, multi,
       state, CAST(answer AS BLOB) AS answer, answered_by, turn, message, answer_message, asked_at, deadline_at, ended_at
FROM asks
WHERE id > :after AND (:all OR state = 'open') AND (:asker IS NULL OR asker = :asker)
AND (:target IS NULL OR target = :target) AND (:agent IS NULL OR asker = :agent OR target = :agent)
ORDER BY id LIMIT :limit;

-- shift_deadlines --
-- The clock was set by :step: what is left of each deadline stays as it was, and none is later than :latest.
UPDATE asks SET deadline_at = max(min(deadline_at + :step, :latest), 1) WHERE state = 'open' AND deadline_at > 0;

-- clamp_deadlines --
-- The clock may have been set back while nobody looked: no deadline is later than :latest.
UPDATE asks SET deadline_at = :latest WHERE state = 'open' AND deadline_at > :latest;
