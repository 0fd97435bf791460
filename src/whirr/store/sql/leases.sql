-- name: next_job
-- The first job in order that this worker could ever run, whether or not it fits now.
SELECT id, COALESCE(gpus, :usual_gpus) AS gpus FROM jobs
WHERE status = 'queued' AND blocked = 0
  AND (not_before IS NULL OR not_before <= :now OR era <> :era)
  AND COALESCE(gpus, :usual_gpus) <= :most_gpus
  AND (:anywhere = 1 OR jobs.snapshot = 1 OR EXISTS (
         SELECT 1 FROM worker_folders
         WHERE worker_folders.worker = :worker AND worker_folders.workdir = jobs.workdir AND worker_folders.there = 1))
ORDER BY priority DESC, id LIMIT 1 {for_update_skip_locked};

-- name: claim_job
UPDATE jobs
SET previous_status = status, status = 'running', attempt = attempt + 1, worker = :worker,
    lease_until = :lease_until, era = :era, not_before = NULL, started_at = :now_at
WHERE id = :id AND status = 'queued'
RETURNING *;

-- name: postpone_job
UPDATE jobs SET not_before = :not_before, era = :era WHERE id = :id AND status = 'queued';

-- name: insert_attempt
INSERT INTO attempts (job_id, number, worker, worker_id, gpus, started_at)
VALUES (:job_id, :number, :worker, :worker_id, :gpus, :started_at);

-- name: expired
-- Jobs under way whose lease ran out, or whose clock stopped with a reboot; only a server says so of a remote worker's.
SELECT * FROM jobs
WHERE lease_until IS NOT NULL AND (lease_until < :now OR era <> :era)
  AND (:serving = 1 OR NOT EXISTS (SELECT 1 FROM workers WHERE workers.id = jobs.worker AND workers.remote = 1))
ORDER BY id {for_update_skip_locked};

-- name: renew
UPDATE jobs SET lease_until = :lease_until, era = :era
WHERE worker = :worker AND status IN ('running', 'cancelling') AND (lease_until >= :now AND era = :era);

-- name: hold_leases
-- As a server starts: the time in which none ran does not count.
UPDATE jobs SET era = :era, lease_until = :now + (
    SELECT workers.lease_s FROM workers WHERE workers.id = jobs.worker)
WHERE lease_until IS NOT NULL AND worker IN (SELECT id FROM workers WHERE remote = 1);

-- name: leases_of
SELECT id, attempt, status FROM jobs WHERE worker = :worker ORDER BY id;

-- name: valid_leases_of
SELECT id, attempt, status FROM jobs
WHERE worker = :worker AND (lease_until IS NULL OR (lease_until >= :now AND era = :era)) ORDER BY id;

-- name: end_attempt_of_job
-- Only the attempt that holds the lease changes a job: any other changes 0 rows.
UPDATE jobs
SET previous_status = status, status = :status, worker = NULL, lease_until = NULL, not_before = :not_before,
    era = :era, failures = :failures, crashes = :crashes, finished_at = :finished_at, cause = :cause
WHERE id = :id AND attempt = :attempt AND worker = :worker AND status IN ('running', 'cancelling')
RETURNING *;

-- name: end_attempt
UPDATE attempts
SET finished_at = :finished_at, outcome = :outcome, cause = :cause, usage = :usage, reported = :reported
WHERE job_id = :job_id AND number = :number AND outcome IS NULL;

-- name: reported_by
-- The attempt, if this worker has reported its end.
SELECT number FROM attempts
WHERE job_id = :job_id AND number = :number AND worker_id = :worker AND reported = 1;

-- name: attempt_of_worker
SELECT number FROM attempts WHERE job_id = :job_id AND number = :number AND worker_id = :worker;

-- name: attempts_of
SELECT * FROM attempts WHERE job_id = :job_id ORDER BY number;

-- name: gpus_in_use
SELECT gpu FROM gpus_in_use WHERE machine = :machine;

-- name: take_gpu
INSERT INTO gpus_in_use (machine, gpu, job_id) VALUES (:machine, :gpu, :job_id)
ON CONFLICT DO NOTHING;

-- name: free_gpus
DELETE FROM gpus_in_use WHERE job_id = :job_id;
