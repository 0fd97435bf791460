-- name: insert_worker
INSERT INTO workers (id, name, process, slots, gpus, lease_s, started_at, seen_at)
VALUES (:id, :name, :process, :slots, :gpus, :lease_s, :started_at, :started_at);

-- name: workers
SELECT * FROM workers ORDER BY started_at, id;

-- name: see_worker
UPDATE workers SET seen_at = :now_at WHERE id = :id;

-- name: delete_worker
DELETE FROM workers WHERE id = :id;
