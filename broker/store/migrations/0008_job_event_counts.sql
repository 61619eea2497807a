-- How many events were recorded of a job: counting them for every watcher of every event grows with the job.

ALTER TABLE jobs ADD COLUMN events INTEGER NOT NULL DEFAULT 0;  -- ever; retention takes none off

UPDATE jobs SET events = (SELECT count(*) FROM job_events e WHERE e.job = jobs.id);
