-- name: insert_worker
INSERT INTO workers (id, name, process, slots, gpus, lease_s, remote, finishing, started_at, seen_at)
VALUES (:id, :name, :process, :slots, :gpus, :lease_s, :remote, :finishing, :started_at, :seen_at)
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, finishing = excluded.finishing;

-- name: workers
SELECT * FROM workers ORDER BY started_at, id;

-- name: idle_workers_unseen_since
SELECT * FROM workers
WHERE seen_at < :before AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.worker = workers.id) {for_update};

-- name: see_worker
UPDATE workers SET seen_at = :now_at WHERE id = :id;

-- name: delete_worker
DELETE FROM workers WHERE id = :id;

-- name: unknown_folders
-- Step by step through the index: its cost is the number of folders, not of jobs.
WITH RECURSIVE folders (workdir) AS (
    SELECT (SELECT workdir FROM jobs WHERE status = 'queued' AND snapshot = 0 ORDER BY workdir LIMIT 1)
    UNION ALL
    SELECT (SELECT jobs.workdir FROM jobs
            WHERE jobs.status = 'queued' AND jobs.snapshot = 0 AND jobs.workdir > folders.workdir
            ORDER BY jobs.workdir LIMIT 1)
    FROM folders WHERE folders.workdir IS NOT NULL
)
SELECT workdir FROM folders
WHERE workdir IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM worker_folders
    WHERE worker_folders.worker = :worker AND worker_folders.workdir = folders.workdir)
LIMIT :limit;

-- name: has_files
-- Whether some queued job brings its files or is to run in a folder that this worker has.
SELECT 1 AS found
WHERE (SELECT workdir FROM jobs WHERE status = 'queued' AND snapshot = 1 ORDER BY workdir LIMIT 1) IS NOT NULL
   OR EXISTS (SELECT 1 FROM worker_folders
              WHERE worker = :worker AND there = 1
                AND EXISTS (SELECT 1 FROM jobs WHERE jobs.status = 'queued' AND jobs.snapshot = 0
                            AND jobs.workdir = worker_folders.workdir));

-- name: full_workers
SELECT id FROM workers WHERE slots <= (SELECT COUNT(*) FROM jobs WHERE jobs.worker = workers.id);

-- name: tell_folder
INSERT INTO worker_folders (worker, workdir, there) VALUES (:worker, :workdir, :there)
ON CONFLICT (worker, workdir) DO UPDATE SET there = excluded.there;

-- name: lacked_folders
-- The work folders of queued jobs of which a worker has said that it lacks them.
SELECT workdir FROM worker_folders
WHERE worker = :worker AND there = 0
  AND EXISTS (SELECT 1 FROM jobs
              WHERE jobs.status = 'queued' AND jobs.snapshot = 0 AND jobs.workdir = worker_folders.workdir)
ORDER BY workdir;

-- name: forget_folders
-- Where a job is queued in one again, the workers are asked again.
DELETE FROM worker_folders
WHERE NOT EXISTS (SELECT 1 FROM jobs
                  WHERE jobs.status = 'queued' AND jobs.snapshot = 0 AND jobs.workdir = worker_folders.workdir);

-- name: lacking
SELECT worker FROM worker_folders WHERE workdir = :workdir AND there = 0 ORDER BY worker;
