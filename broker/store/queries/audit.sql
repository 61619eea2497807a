-- add --
-- Write down who changed what.
INSERT INTO audit (at, principal, action, subject, detail) VALUES (:now, :principal, :action, :subject, :detail);

-- of --
-- What was done to one subject, oldest first.
SELECT at, principal, action, detail FROM audit WHERE subject = :subject ORDER BY id;

-- newest --
-- The last time that somebody did :action to :subject.
SELECT id, detail FROM audit WHERE subject = :subject AND action = :action ORDER BY id DESC LIMIT 1;
