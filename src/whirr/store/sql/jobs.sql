-- name: insert_job
INSERT INTO jobs
    (status, previous_status, spec, workdir, snapshot, submission, priority, gpus, blocked, submitted_at)
VALUES ('queued', '', :spec, :workdir, :snapshot, :submission, :priority, :gpus, :blocked, :submitted_at)
RETURNING *;

-- name: job_of_submission
SELECT * FROM jobs WHERE submission = :submission;

-- name: delete_job
-- Only for a number that turned out to be taken, before anybody has seen it.
DELETE FROM jobs WHERE id = :id;

-- name: skip_ids
-- The next job gets a higher number than this.
{skip_ids} :id {skipped_ids};

-- name: insert_tag
INSERT INTO job_tags (job_id, tag) VALUES (:job_id, :tag);

-- name: insert_dependency
INSERT INTO dependencies (job_id, needs, what) VALUES (:job_id, :needs, :what);

-- name: job
SELECT * FROM jobs WHERE id = :id;

-- name: lock_job
SELECT * FROM jobs WHERE id = :id {for_update};

-- name: jobs
SELECT * FROM jobs WHERE id < :before ORDER BY id DESC LIMIT :limit;

-- name: jobs_by_status
SELECT * FROM jobs WHERE status = :status AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: jobs_by_end
SELECT * FROM jobs WHERE status = :status AND finished_at IS NOT NULL ORDER BY finished_at DESC, id DESC LIMIT :limit;

-- name: jobs_by_tag
SELECT jobs.* FROM job_tags JOIN jobs ON jobs.id = job_tags.job_id
WHERE job_tags.tag = :tag AND job_tags.job_id < :before AND (:status = '' OR jobs.status = :status)
ORDER BY job_tags.job_id DESC LIMIT :limit;

-- name: next_jobs
SELECT * FROM jobs WHERE status = 'queued' AND blocked = 0 ORDER BY priority DESC, id LIMIT :limit;

-- name: ready_jobs
-- Those of them that could be started now.
SELECT id, attempt FROM jobs
WHERE status = 'queued' AND blocked = 0 AND (not_before IS NULL OR not_before <= :now OR era <> :era)
ORDER BY priority DESC, id LIMIT :limit;

-- name: stopping_jobs
SELECT id, attempt, worker FROM jobs WHERE status = 'cancelling' ORDER BY id;

-- name: blocked_jobs
SELECT * FROM jobs WHERE status = 'queued' AND blocked > 0 ORDER BY priority DESC, id LIMIT :limit;

-- name: count_jobs
SELECT status, COUNT(*) AS count FROM jobs GROUP BY status;

-- name: count_ahead
SELECT COUNT(*) AS count FROM jobs
WHERE status = 'queued' AND blocked = 0 AND (priority > :priority OR (priority = :priority AND id < :id));

-- name: count_left
-- Queued jobs that fit a worker; those that wait for others count while there are others to wait for.
SELECT COUNT(*) AS count FROM jobs
WHERE status = 'queued' AND COALESCE(gpus, :usual_gpus) <= :most_gpus
  AND (:anywhere = 1 OR jobs.snapshot = 1 OR EXISTS (
         SELECT 1 FROM worker_folders
         WHERE worker_folders.worker = :worker AND worker_folders.workdir = jobs.workdir AND worker_folders.there = 1))
  AND (blocked = 0
       OR EXISTS (SELECT 1 FROM jobs AS other WHERE other.status IN ('running', 'cancelling'))
       OR EXISTS (SELECT 1 FROM jobs AS other WHERE other.status = 'queued' AND other.blocked = 0
                  AND COALESCE(other.gpus, :usual_gpus) <= :most_gpus));

-- name: needs_of
SELECT jobs.* FROM dependencies JOIN jobs ON jobs.id = dependencies.needs
WHERE dependencies.job_id = :job_id ORDER BY jobs.id;

-- name: unmet_needs
-- What a job still waits for; a need that has failed or was cancelled can no longer be met.
SELECT jobs.id, jobs.status FROM dependencies JOIN jobs ON jobs.id = dependencies.needs
WHERE dependencies.job_id = :job_id
  AND NOT (jobs.status = 'completed'
           OR (dependencies.what = 'ended' AND jobs.status IN ('failed', 'cancelled')))
ORDER BY jobs.id;

-- name: dependents_of
-- The jobs that wait for this one, and those that would if they were queued again.
SELECT jobs.id FROM dependencies JOIN jobs ON jobs.id = dependencies.job_id
WHERE dependencies.needs = :needs AND jobs.status IN ('queued', 'running', 'cancelling') ORDER BY jobs.id;

-- name: set_blocked
UPDATE jobs SET blocked = :blocked WHERE id = :id;

-- name: cancel_queued
UPDATE jobs
SET previous_status = status, status = 'cancelled', finished_at = :now_at, cause = :cause, cancelled_by = :by
WHERE id = :id AND status = 'queued';

-- name: cancel_running
UPDATE jobs
SET previous_status = status, status = 'cancelling', cancelled_by = :by
WHERE id = :id AND status = 'running';

-- name: fail_dependent
UPDATE jobs
SET previous_status = status, status = 'failed', finished_at = :now_at, cause = :cause
WHERE id = :id AND status = 'queued';

-- name: reprioritise_job
UPDATE jobs SET priority = :priority, spec = :spec WHERE id = :id AND status = 'queued';

-- name: retry_job
UPDATE jobs
SET previous_status = status, status = 'queued', failures = 0, crashes = 0, not_before = NULL,
    finished_at = NULL, cause = NULL, cancelled_by = NULL
WHERE id = :id AND status IN ('failed', 'cancelled');
