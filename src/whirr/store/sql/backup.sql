-- name: adopt_attempts
-- Where the folder of a job is ahead of a database that was brought back: its attempts are counted from there on.
UPDATE jobs SET attempt = :attempt WHERE id = :id AND attempt < :attempt;

-- name: last_job
SELECT COALESCE(MAX(id), 0) AS id FROM jobs;
