-- The queue: jobs, attempts, workers, GPUs given out.

-- The legal changes of a job's state. Every UPDATE of a status also sets previous_status = status; the foreign
-- key of jobs then refuses a change that does not stand here. '' is the state before the first.
CREATE TABLE transitions (
    old TEXT NOT NULL,
    new TEXT NOT NULL,
    PRIMARY KEY (old, new)
);

INSERT INTO transitions (old, new) VALUES
    ('', 'queued'),
    ('queued', 'running'),
    ('queued', 'cancelled'),
    ('queued', 'failed'),
    ('running', 'completed'),
    ('running', 'failed'),
    ('running', 'cancelling'),
    ('running', 'queued'),
    ('cancelling', 'cancelled'),
    ('failed', 'queued'),
    ('cancelled', 'queued');

CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    process TEXT NOT NULL,
    slots INTEGER NOT NULL,
    gpus TEXT NOT NULL,
    lease_s {real},
    remote INTEGER NOT NULL,
    finishing INTEGER NOT NULL DEFAULT 0,
    started_at TEXT NOT NULL,
    seen_at TEXT NOT NULL
);

-- What a worker found out about the work folders of jobs: it takes only jobs whose folder it has.
CREATE TABLE worker_folders (
    worker TEXT NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    workdir TEXT NOT NULL,
    there INTEGER NOT NULL,
    PRIMARY KEY (worker, workdir)
);

-- workdir: where it runs unless it brings its files as a snapshot. submission: the key by which a submission that is
-- sent again is known.
-- era: which clock lease_until and not_before were read from (the boot of the machine on SQLite).
CREATE TABLE jobs (
    id {identity},
    status TEXT NOT NULL,
    previous_status TEXT NOT NULL,
    spec TEXT NOT NULL,
    workdir TEXT NOT NULL,
    snapshot INTEGER NOT NULL,
    submission TEXT UNIQUE,
    priority INTEGER NOT NULL,
    gpus INTEGER,
    blocked INTEGER NOT NULL CHECK (blocked >= 0),
    not_before {real},
    era TEXT NOT NULL DEFAULT '',
    attempt INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    worker TEXT REFERENCES workers (id),
    lease_until {real},
    submitted_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT,
    cause TEXT,
    cancelled_by TEXT,
    FOREIGN KEY (previous_status, status) REFERENCES transitions (old, new),
    CHECK ((worker IS NOT NULL) = (status IN ('running', 'cancelling'))),
    CHECK (lease_until IS NULL OR worker IS NOT NULL),
    CHECK ((finished_at IS NOT NULL) = (status IN ('completed', 'failed', 'cancelled')))
);

CREATE INDEX jobs_in_order ON jobs (status, blocked, priority DESC, id);
CREATE INDEX jobs_by_status ON jobs (status, id);
CREATE INDEX jobs_by_end ON jobs (status, finished_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_by_worker ON jobs (worker) WHERE worker IS NOT NULL;
CREATE INDEX queued_folders ON jobs (snapshot, workdir) WHERE status = 'queued';
CREATE INDEX jobs_with_lease ON jobs (id) WHERE lease_until IS NOT NULL;

CREATE TABLE job_tags (
    job_id {bigint} NOT NULL REFERENCES jobs (id),
    tag TEXT NOT NULL,
    PRIMARY KEY (tag, job_id)
);

-- what: 'completed' waits for success, 'ended' for any end.
CREATE TABLE dependencies (
    job_id {bigint} NOT NULL REFERENCES jobs (id),
    needs {bigint} NOT NULL REFERENCES jobs (id),
    what TEXT NOT NULL CHECK (what IN ('completed', 'ended')),
    PRIMARY KEY (job_id, needs)
);

CREATE INDEX dependencies_by_need ON dependencies (needs);

-- worker: its name and host, for people. reported: its own worker said how it ended.
CREATE TABLE attempts (
    job_id {bigint} NOT NULL REFERENCES jobs (id),
    number INTEGER NOT NULL,
    worker TEXT NOT NULL,
    worker_id TEXT NOT NULL,
    reported INTEGER NOT NULL DEFAULT 0,
    gpus TEXT NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT,
    outcome TEXT,
    cause TEXT,
    usage TEXT,
    PRIMARY KEY (job_id, number)
);

-- A GPU is given out once on its machine, whichever worker does it.
CREATE TABLE gpus_in_use (
    machine TEXT NOT NULL,
    gpu TEXT NOT NULL,
    job_id {bigint} NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (machine, gpu)
);

CREATE INDEX gpus_by_job ON gpus_in_use (job_id);

-- Who may do what at a server. hash: of the secret part of a token, which itself is kept nowhere.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('read', 'submit', 'worker', 'admin')),
    hash TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT
);

-- What is true of the whole database, such as the id of its server.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
