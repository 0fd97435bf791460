-- name: insert_token
INSERT INTO tokens (id, name, role, hash, created_at, expires_at)
VALUES (:id, :name, :role, :hash, :created_at, :expires_at);

-- name: token
SELECT * FROM tokens WHERE id = :id;

-- name: token_of_name
SELECT * FROM tokens WHERE name = :name {for_update};

-- name: tokens
SELECT * FROM tokens ORDER BY created_at, id;

-- name: good_tokens
SELECT id FROM tokens WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now_at);

-- name: revoke_token
UPDATE tokens SET revoked_at = :now_at WHERE name = :name AND revoked_at IS NULL;

-- name: forget_token
-- Its name may be given to another.
DELETE FROM tokens WHERE name = :name AND revoked_at IS NOT NULL;

-- name: keep_fact
INSERT INTO facts (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING;

-- name: fact
SELECT value FROM facts WHERE name = :name;

-- name: forget_fact
DELETE FROM facts WHERE name = :name;
