-- add --
-- Register a job.
INSERT INTO jobs (id, topic, prompt, prompt_sha256, made_by, assigned, message, notify, replay, timeout_ms, freshness_ms,
                  secret, registered_at, imported)
VALUES (:id, :topic, :prompt, :prompt_sha256, :made_by, :assigned, :message, :notify, :replay, :timeout_ms, :freshness_ms,
        :secret, :now, :imported);

-- count_open_by --
-- How many jobs an agent has registered that have not ended.
SELECT count(*) AS n FROM jobs WHERE made_by = :agent AND state IN ('pending', 'running');

-- mark_mail --
-- Note on a letter which job it carries.
UPDATE messages SET about = :about WHERE id = :message;

-- job --
-- One job with its newest event. The prompt as bytes: a damaged one may be no text. Never the secret.
SELECT j.number, j.id, j.topic, j.state, CAST(j.prompt AS BLOB) AS prompt, j.prompt_sha256, j.made_by, j.assigned, j.message,
       j.notify, j.replay, j.timeout_ms, j.freshness_ms, j.claimed_by, j.turn, j.epoch, j.registered_at, j.claimed_at,
       j.heard_at, j.due_at, j.overdue, j.ended_at, j.ended_by, j.imported, j.events,
       CAST((SELECT e.detail FROM job_events e WHERE e.number = coalesce(j.ended_by,
             (SELECT max(l.number) FROM job_events l WHERE l.job = j.id))) AS BLOB) AS detail
FROM jobs j WHERE j.id = :id;

-- guard --
-- What decides on an event of a job: its secret, its claim, its window.
SELECT id, state, secret, made_by, assigned, notify, replay, timeout_ms, freshness_ms, claimed_by, turn, epoch, highest, seen,
       stale_highest, stale, ended_at
FROM jobs WHERE id = :id;

-- oldest --
-- The oldest job that nobody was given.
SELECT id FROM jobs WHERE state = 'pending' AND assigned IS NULL ORDER BY number LIMIT 1;

-- claim --
-- Give a job to a claimant: a new epoch, empty windows. Nothing happens to one that has ended.
UPDATE jobs SET state = 'running', claimed_by = :claimant, turn = :turn, epoch = epoch + 1, highest = 0, seen = x'',
                stale_highest = 0, stale = x'', claimed_at = :now, heard_at = :now, due_at = :now + timeout_ms, overdue = 0
WHERE id = :id AND state IN ('pending', 'running');

-- heard --
-- An event was taken: it counts, the window moves, and the time-out begins anew.
UPDATE jobs SET events = events + 1, highest = :highest, seen = :seen, heard_at = :now, overdue = 0,
                due_at = CASE WHEN state = 'running' THEN :now + timeout_ms END
WHERE id = :id;

-- not_fresh --
-- A number was refused as not fresh. It is not taken, and no time-out begins anew.
UPDATE jobs SET stale_highest = :highest, stale = :seen WHERE id = :id;

-- end --
-- The end of a job, once.
UPDATE jobs SET state = :state, ended_at = :now, ended_by = :event, due_at = NULL, overdue = 0
WHERE id = :id AND state IN ('pending', 'running');

-- keep_end --
-- The bytes of the event that ended a job; how often they are said again is counted from here.
UPDATE jobs SET end_payload = :payload, resaid = 0 WHERE id = :id;

-- kept_end --
-- What has to be retained of a job, and how often it was said again.
SELECT end_payload, resaid FROM jobs WHERE id = :id;

-- resay --
-- It is said once more.
UPDATE jobs SET resaid = resaid + 1 WHERE id = :id;

-- fence --
-- Take a job away from its claimant: what that signed is of an older epoch from now on, whose first event is ours.
UPDATE jobs SET epoch = epoch + 1, highest = 1, seen = x'01', events = events + 1 WHERE id = :id;

-- add_event --
-- Record a verified event.
INSERT INTO job_events (job, epoch, seq, event, verdict, sha256, said_at, detail, data, received_at)
VALUES (:job, :epoch, :seq, :event, :verdict, :sha256, :said_at, :detail, :data, :now);

-- event --
-- The event that has a number.
SELECT sha256, verdict FROM job_events WHERE job = :job AND epoch = :epoch AND seq = :seq;

-- events --
-- What was recorded of a job behind a number. Texts as bytes: a damaged one may be no text.
SELECT number, job, event, epoch, seq, verdict, said_at, received_at, CAST(detail AS BLOB) AS detail,
       CAST(data AS BLOB) AS data
FROM job_events WHERE job = :job AND number > :after ORDER BY number LIMIT :limit;

-- list --
-- Jobs, the newest first.
SELECT j.number, j.id, j.topic, j.state, CAST(j.prompt AS BLOB) AS prompt, j.prompt_sha256, j.made_by, j.assigned, j.message,
       j.notify, j.replay, j.timeout_ms, j.freshness_ms, j.claimed_by, j.turn, j.epoch, j.registered_at, j.claimed_at,
       j.heard_at, j.due_at, j.overdue, j.ended_at, j.ended_by, j.imported, j.events,
       CAST((SELECT e.detail FROM job_events e WHERE e.number = coalesce(j.ended_by,
             (SELECT max(l.number) FROM job_events l WHERE l.job = j.id))) AS BLOB) AS detail
FROM jobs j
WHERE j.number < :before AND (:state IS NULL OR j.state = :state)
  AND (:all OR :state IS NOT NULL OR j.state IN ('pending', 'running'))
  AND (:agent IS NULL OR j.made_by = :agent OR j.assigned = :agent OR j.claimed_by = :agent)
ORDER BY j.number DESC LIMIT :limit;

-- begin_session --
-- Somebody works on a job from now on.
INSERT INTO sessions (job, epoch, claimed_by, turn, process, started_at)
VALUES (:job, :epoch, :claimant, :turn, :process, :now);

-- end_sessions --
-- Nobody works on a job any more.
UPDATE sessions SET state = :state, reason = :reason, ended_at = :now WHERE job = :job AND state = 'running';

-- quarantine --
-- Count what was refused; of its content only the digest is kept.
INSERT INTO quarantine (topic, reason, times, bytes, sha256, first_at, last_at)
VALUES (:topic, :reason, 1, :bytes, :sha256, :now, :now)
ON CONFLICT (topic, reason) DO UPDATE SET times = times + 1, bytes = excluded.bytes, sha256 = excluded.sha256,
                                          last_at = excluded.last_at;

-- quarantined --
-- What was refused, the newest first.
SELECT CAST(topic AS BLOB) AS topic, reason, times, bytes, sha256, first_at, last_at FROM quarantine
ORDER BY last_at DESC LIMIT :limit;

-- quarantine_rows --
-- How many kinds of refusals there are; none where this is one of them.
SELECT count(*) AS n FROM quarantine
WHERE NOT EXISTS (SELECT 1 FROM quarantine WHERE topic = :topic AND reason = :reason);

-- post --
-- Something that the broker has to publish itself.
INSERT INTO job_posts (topic, payload, retain) VALUES (:topic, :payload, :retain);

-- open_or_said --
-- Whether there is a job that may say something, or something to be said.
SELECT 1 FROM jobs WHERE state IN ('pending', 'running') UNION ALL SELECT 1 FROM job_posts LIMIT 1;

-- posts --
-- What it has to publish, in order.
SELECT number, topic, payload, retain FROM job_posts ORDER BY number LIMIT :limit;

-- posted --
-- It was published.
DELETE FROM job_posts WHERE number = :number;

-- forget_events --
-- Events that have been kept long enough; what ended a job stays with it.
DELETE FROM job_events WHERE number IN (
    SELECT e.number FROM job_events e WHERE e.received_at < :before
      AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = e.job AND j.ended_by = e.number)
    ORDER BY e.received_at LIMIT :limit);

-- forget_secrets --
-- Jobs that ended long enough ago: nothing that was signed for them is taken any more.
UPDATE jobs SET secret = NULL WHERE id IN (
    SELECT id FROM jobs WHERE ended_at < :before AND secret IS NOT NULL LIMIT :limit);

-- put_off --
-- Events have been heard for :heard_for ms only: a job is not called silent before that is its time-out, or :grace.
UPDATE jobs SET due_at = :now + min(timeout_ms, :grace) - :heard_for
WHERE due_at <= :now AND min(timeout_ms, :grace) > :heard_for;

-- overdue --
-- Running jobs that were silent for longer than they may be.
SELECT id, made_by, assigned, claimed_by, heard_at FROM jobs WHERE due_at <= :now ORDER BY due_at, number;

-- shift_clock --
-- The clock was set by :step: what is left of each time-out stays as it was, and is no longer than it.
UPDATE jobs SET due_at = min(max(due_at + :step, 1), :now + timeout_ms), heard_at = heard_at + :step
WHERE due_at IS NOT NULL;

-- clamp_clock --
-- The clock may have been set back while the broker was away: no time-out is longer than it is.
UPDATE jobs SET due_at = :now + timeout_ms, heard_at = min(heard_at, :now) WHERE due_at > :now + timeout_ms;

-- mark_overdue --
-- The operator was told.
UPDATE jobs SET overdue = 1, due_at = NULL WHERE id = :id;

-- abandoned --
-- Running jobs whose turn has ended without saying their end, and that no later turn has claimed.
SELECT j.id, j.made_by, j.notify, j.claimed_by, s.turn, t.outcome
FROM sessions s JOIN jobs j ON j.id = s.job JOIN turns t ON t.id = s.turn
WHERE s.state = 'running' AND j.state = 'running' AND t.state = 'closed' AND t.closed_at < :before ORDER BY s.number LIMIT :limit;

-- archive_sessions --
-- Sessions that ended long ago.
UPDATE sessions SET state = 'archived' WHERE number IN (
    SELECT number FROM sessions WHERE ended_at < :before AND state IN ('stopped', 'terminated') LIMIT :limit);

-- close_sessions --
-- Sessions that still run though their job has ended: none, unless something went wrong.
UPDATE sessions SET state = 'stopped', reason = 'its job has ended', ended_at = :now WHERE number IN (
    SELECT s.number FROM sessions s JOIN jobs j ON j.id = s.job
    WHERE s.state = 'running' AND j.state NOT IN ('pending', 'running') LIMIT :limit);

-- session --
-- One session of a job.
SELECT s.number, s.state, s.process, s.claimed_by, j.state AS job_state, j.made_by, j.notify
FROM sessions s JOIN jobs j ON j.id = s.job WHERE s.job = :job AND s.epoch = :epoch;

-- process_ended --
-- What ran outside the fleet for a session has ended, and so has the session, if it ran.
UPDATE sessions SET process = NULL, reason = CASE state WHEN 'running' THEN :reason ELSE reason END,
                    ended_at = CASE state WHEN 'running' THEN :now ELSE ended_at END,
                    state = CASE state WHEN 'running' THEN 'terminated' ELSE state END
WHERE number = :number;

-- sessions --
-- Who worked on jobs, the newest first; of one job, or those that may still have something running.
SELECT s.number, s.job, s.epoch, s.claimed_by, s.turn, s.state, s.reason, s.started_at, s.ended_at, s.process,
       j.state AS job_state, j.epoch = s.epoch AS newest, j.overdue, coalesce(t.state <> 'closed', 0) AS turn_open
FROM sessions s JOIN jobs j ON j.id = s.job LEFT JOIN turns t ON t.id = s.turn
WHERE s.number < :before AND (:job IS NULL OR s.job = :job)
  AND (NOT :live OR s.state = 'running' OR s.process IS NOT NULL OR (j.state = 'running' AND j.epoch = s.epoch)
       OR (t.state <> 'closed' AND j.state NOT IN ('pending', 'running')))
ORDER BY s.number DESC LIMIT :limit;

-- refused_of --
-- What was refused of a job's topic, the most frequent first.
SELECT reason, times FROM quarantine WHERE topic = :topic ORDER BY times DESC, reason LIMIT 20;

-- counts --
-- Jobs that have not ended, by state, and those among them that are silent for too long.
SELECT state AS label, count(*) AS n FROM jobs WHERE state IN ('pending', 'running') GROUP BY state
UNION ALL
SELECT 'overdue', count(*) FROM jobs WHERE state IN ('pending', 'running') AND overdue = 1 HAVING count(*) > 0;

-- old --
-- Jobs that ended long ago; not before events of theirs that came later, which go first, some at a time.
SELECT id, topic FROM jobs WHERE ended_at < :before
  AND NOT EXISTS (SELECT 1 FROM job_events e WHERE e.job = jobs.id AND e.number IS NOT jobs.ended_by)
ORDER BY ended_at LIMIT :limit;

-- drop_events --
-- What is left of what was recorded of a job: its end.
DELETE FROM job_events WHERE job = :id;

-- drop_sessions --
-- Who worked on it.
DELETE FROM sessions WHERE job = :id;

-- drop --
-- The job itself.
DELETE FROM jobs WHERE id = :id;

-- drop_quarantine --
-- Refusals that were not repeated for long.
DELETE FROM quarantine WHERE last_at < :before;

-- asks_of --
-- What was asked for a job, the newest hundred of it.
SELECT * FROM (SELECT k.id, k.kind, k.asker, k.target, CAST(k.question AS BLOB) AS question, k.question_sha256,
       CAST(k.options AS BLOB) AS options, k.multi, k.state, CAST(k.answer AS BLOB) AS answer, k.answered_by, k.turn,
       k.message, k.answer_message, k.asked_at, k.deadline_at, k.ended_at
FROM asks k WHERE k.job = :id ORDER BY k.id DESC LIMIT 100) ORDER BY id;

-- link_ask --
-- Note for which job an ask was put.
UPDATE asks SET job = :job WHERE id = :ask;

-- imported --
-- The job that was taken over from an older registry under this id.
SELECT id FROM jobs WHERE imported = :old;

-- import --
-- Take a job over as it is.
INSERT INTO jobs (id, topic, state, prompt, prompt_sha256, made_by, replay, timeout_ms, secret, registered_at, ended_at, imported)
VALUES (:id, :topic, :state, :prompt, :prompt_sha256, :made_by, 'window', :timeout_ms, :secret, :registered, :ended, :old);

-- open_asks_of --
-- Asks for a job that nobody has answered.
SELECT id, question_sha256 FROM asks WHERE job = :job AND state = 'open' AND kind = 'question';

-- link_own_ask --
-- The same for a permission that an agent's harness has put in the turn of its job.
UPDATE asks SET job = :job WHERE id = :ask AND asker = :agent AND turn = :turn AND kind = 'permission' AND job IS NULL;
