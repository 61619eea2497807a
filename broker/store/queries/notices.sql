-- last --
-- When :recipient was told of :cause last, and what waits since.
SELECT told_at, waiting, due_at FROM merged_notices WHERE recipient = :recipient AND cause = :cause;

-- told --
-- Write down that :recipient was told of :cause now; nothing waits.
INSERT INTO merged_notices (recipient, cause, told_at) VALUES (:recipient, :cause, :now)
ON CONFLICT (recipient, cause) DO UPDATE SET told_at = excluded.told_at, waiting = '[]', due_at = NULL;

-- wait --
-- Let notices of :cause wait until :due_at.
UPDATE merged_notices SET waiting = :waiting, due_at = :due_at WHERE recipient = :recipient AND cause = :cause;

-- due --
-- Notices whose minute is over, with the state of their reader.
SELECT n.recipient, n.cause, n.waiting, a.state FROM merged_notices n LEFT JOIN agents a ON a.name = n.recipient
WHERE n.due_at IS NOT NULL AND n.due_at <= :now ORDER BY n.due_at LIMIT 100;

-- drop --
-- Forget a cause of :recipient.
DELETE FROM merged_notices WHERE recipient = :recipient AND cause = :cause;

-- clamp --
-- The clock may have been set back while nobody looked: nothing was told later than :now or waits beyond :latest.
UPDATE merged_notices SET told_at = min(told_at, :now), due_at = min(due_at, :latest) WHERE told_at > :now;

-- shift --
-- The clock was set by :step: what waits waits as long as it would have.
UPDATE merged_notices SET told_at = min(told_at + :step, :now), due_at = max(min(due_at + :step, :latest), 1);
