"""The schema of the queue: what the database itself refuses, how it is searched, opened and upgraded."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hubs import STAMP, Ticker, outcome, spec, worker

from whirr.connect import open_hub
from whirr.errors import SchemaTooNew, StoreError
from whirr.local import LocalHub
from whirr.model import TRANSITIONS, JobStatus, Verdict
from whirr.store.database import SQL_FOLDER, Database
from whirr.store.migrate import migrate, migrations
from whirr.store.postgres import PostgresDatabase
from whirr.store.queries import POSTGRESQL, SQLITE, Statements
from whirr.store.sqlite import SqliteDatabase

DATA = Path(__file__).parent.parent / "data"

FORCED = """
-- name: force
UPDATE jobs SET previous_status = :old, status = :new, worker = :worker, finished_at = :finished_at WHERE id = :id;
-- name: transitions
SELECT old, new FROM transitions;
-- name: force_blocked
UPDATE jobs SET blocked = :blocked WHERE id = :id;
-- name: force_lease
UPDATE jobs SET lease_until = :lease_until WHERE id = :id;
-- name: force_gpu
INSERT INTO gpus_in_use (machine, gpu, job_id) VALUES (:machine, :gpu, :job_id);
"""


@pytest.fixture
def hub(tmp_path: Path, database_url: str) -> Iterator[LocalHub]:
    """A hub whose statements include some that ask for what must not be; it has a worker "w" and a queued job 1."""
    folder = tmp_path / "sql"
    shutil.copytree(SQL_FOLDER, folder)
    (folder / "forced.sql").write_text(FORCED)
    kind = PostgresDatabase if database_url.startswith("postgresql:") else SqliteDatabase
    database: Database = kind(database_url, sql_folder=str(folder))
    migrate(database)
    (tmp_path / ".whirr" / "runs").mkdir(parents=True)
    hub = LocalHub(tmp_path / ".whirr", database)
    info = worker()
    hub.register(info)
    hub.submit(spec("true"))
    yield hub
    hub.close()


def force(hub: LocalHub, status: JobStatus, old: str | None = None, **about: object) -> None:
    """Put job 1 into a state, with all that the state needs unless it is given."""
    [info] = hub.workers()
    needed = {
        "worker": info.id if status.active else None,
        "finished_at": STAMP if status.terminal else None,
        "old": str(hub.job(1).status) if old is None else old,
    }
    with hub.database.transaction() as tx:
        assert tx.run("force", id=1, new=str(status), **{**needed, **about}) == 1


WAYS = {
    JobStatus.QUEUED: [],
    JobStatus.RUNNING: [JobStatus.RUNNING],
    JobStatus.CANCELLING: [JobStatus.RUNNING, JobStatus.CANCELLING],
    JobStatus.COMPLETED: [JobStatus.RUNNING, JobStatus.COMPLETED],
    JobStatus.FAILED: [JobStatus.FAILED],
    JobStatus.CANCELLED: [JobStatus.CANCELLED],
}
"""How a queued job comes into each state."""


def test_the_table_of_transitions_is_the_models(hub: LocalHub) -> None:
    with hub.database.snapshot() as tx:
        found = {(row["old"], row["new"]) for row in tx.all("transitions")}
    assert found == {("", "queued")} | {(old, new) for old, all_new in TRANSITIONS.items() for new in all_new}


@pytest.mark.parametrize("old", JobStatus)
def test_the_database_refuses_every_other_change_of_state(hub: LocalHub, old: JobStatus) -> None:
    for status in WAYS[old]:
        force(hub, status)
    for new in JobStatus:
        if new in TRANSITIONS[old]:
            continue
        with pytest.raises(StoreError):
            force(hub, new)
        assert hub.job(1).status is old
    for new in TRANSITIONS[old]:
        force(hub, new)
        assert hub.job(1).status is new
        break


@pytest.mark.parametrize("old", ["nonsense", "", "completed"])
def test_no_other_past_can_be_made_up(hub: LocalHub, old: str) -> None:
    with pytest.raises(StoreError):
        force(hub, JobStatus.RUNNING, old=old)


@pytest.mark.parametrize(
    ("status", "wrong"),
    [
        (JobStatus.RUNNING, {"worker": None}),
        (JobStatus.RUNNING, {"worker": "nobody"}),
        (JobStatus.RUNNING, {"finished_at": STAMP}),
        (JobStatus.FAILED, {"finished_at": None}),
        (JobStatus.CANCELLED, {"finished_at": None}),
    ],
)
def test_a_state_without_what_belongs_to_it_is_refused(
    hub: LocalHub, status: JobStatus, wrong: dict[str, object]
) -> None:
    with pytest.raises(StoreError):
        force(hub, status, **wrong)
    assert hub.job(1).status is JobStatus.QUEUED
    force(hub, status)


def test_only_a_worker_has_a_lease(hub: LocalHub) -> None:
    with pytest.raises(StoreError), hub.database.transaction() as tx:
        tx.run("force_lease", id=1, lease_until=1.0)


def test_an_ended_job_has_no_worker(hub: LocalHub) -> None:
    [info] = hub.workers()
    with pytest.raises(StoreError):
        force(hub, JobStatus.FAILED, worker=info.id)


def test_a_gpu_is_given_out_once_on_its_machine(hub: LocalHub) -> None:
    hub.submit(spec("true"))

    def give(machine: str, gpu: str, job_id: int) -> None:
        with hub.database.transaction() as tx:
            tx.run("force_gpu", machine=machine, gpu=gpu, job_id=job_id)

    give("here", "A", 1)
    for job_id in (1, 2):
        with pytest.raises(StoreError):
            give("here", "A", job_id)
    give("here", "B", 2)
    give("there", "A", 2)
    with pytest.raises(StoreError):
        give("here", "C", 77)


def test_nobody_waits_for_fewer_than_no_jobs(hub: LocalHub) -> None:
    with pytest.raises(StoreError), hub.database.transaction() as tx:
        tx.run("force_blocked", id=1, blocked=-1)


def test_a_worker_that_has_a_job_cannot_leave(hub: LocalHub) -> None:
    [info] = hub.workers()
    claim = hub.claim(info)
    assert claim is not None
    with pytest.raises(StoreError):
        hub.leave(info.id)
    hub.finish(claim.lease, outcome(Verdict.COMPLETED))
    hub.leave(info.id)
    assert hub.workers() == []


# A long queue

MANY = 100_000
COLUMNS = "(status, previous_status, spec, workdir, snapshot, priority, gpus, blocked, submitted_at)"
VALUES = "'queued', '', '{}', '/w' || (n %% 50), 0, n %% 3, CASE n %% 2 WHEN 0 THEN 1 END, 0, ''"
ASKED = {
    "next_job": {"most_gpus": 0, "usual_gpus": 0, "now": 0.0, "era": "", "worker": "w", "anywhere": 0},
    "has_files": {"worker": "w"},
    "unknown_folders": {"worker": "w", "limit": 20},
    "lacked_folders": {"worker": "w"},
    "full_workers": {},
    "ready_jobs": {"now": 0.0, "era": "", "limit": 20},
    "stopping_jobs": {},
    "expired": {"now": 0.0, "era": "", "serving": 1},
    "hold_leases": {"now": 0.0, "era": ""},
    "leases_of": {"worker": "w"},
    "valid_leases_of": {"worker": "w", "now": 0.0, "era": ""},
    "renew": {"worker": "w", "now": 0.0, "era": "", "lease_until": 1.0},
    "dependents_of": {"needs": 1},
    "unmet_needs": {"job_id": 1},
    "jobs": {"before": MANY, "limit": 20},
    "jobs_by_status": {"status": "running", "before": MANY, "limit": 20},
    "jobs_by_tag": {"tag": "a", "status": "", "before": MANY, "limit": 20},
    "jobs_by_end": {"status": "failed", "limit": 20},
    "job_of_submission": {"submission": "k"},
    "next_jobs": {"limit": 20},
}
"""What must not take longer where many jobs are queued."""
LONG = ("SCAN jobs", "SCAN job_tags", "SCAN attempts", "SCAN dependencies", "SCAN worker_folders")
FEW = ("dependents_of", "unmet_needs")
"""They sort the needs of one job."""


@pytest.fixture(scope="module")
def long_queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("long") / ".whirr"
    open_hub(path).close()
    connection = sqlite3.connect(path / "queue" / "queue.db", isolation_level=None)
    counted = f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {MANY})"
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute(f"{counted} INSERT INTO jobs {COLUMNS} SELECT {VALUES} FROM c".replace("%%", "%"))
    yield connection
    connection.close()


@pytest.mark.parametrize("name", ASKED)
def test_a_long_queue_is_never_read_whole_on_sqlite(long_queue: sqlite3.Connection, name: str) -> None:
    sql = Statements(SQL_FOLDER, SQLITE).get(name).sql
    for analyzed in (False, True):
        if analyzed:
            long_queue.execute("ANALYZE")
        steps = [row[3] for row in long_queue.execute(f"EXPLAIN QUERY PLAN {sql}", ASKED[name])]
        plan = "\n".join(steps)
        # `jobs` begins at the end and stops; the index of leases holds what runs.
        whole = [step for step in steps if step.startswith(LONG) and "jobs_with_lease" not in step]
        assert not whole or name == "jobs", plan
        assert "TEMP B-TREE" not in plan or name in FEW, plan
    long_queue.execute("DROP TABLE sqlite_stat1")


def test_a_long_queue_is_never_read_whole_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    open_hub(tmp_path / ".whirr", postgres_url).close()
    statements = Statements(SQL_FOLDER, POSTGRESQL)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        rows = f"INSERT INTO jobs {COLUMNS} SELECT {VALUES} FROM generate_series(1, {MANY}) AS n".replace("%%", "%")
        connection.execute(rows.encode())
        connection.execute("ANALYZE")
        for name, values in ASKED.items():
            lines = connection.execute(f"EXPLAIN {statements.get(name).sql}".encode(), values).fetchall()
            plan = "\n".join(row[0] for row in lines)
            assert "Seq Scan on jobs" not in plan, plan
            assert "Sort" not in plan or name not in ("next_job", "jobs", "next_jobs"), plan


# Opening

SUBMIT = """
import sys
from pathlib import Path
from whirr.connect import open_hub
from hubs import spec
print("ready", flush=True)
sys.stdin.readline()
hub = open_hub(Path(sys.argv[1]), sys.argv[2] or None)
print(hub.submit(spec("true", name=sys.argv[3])).id)
hub.close()
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_eight_processes_open_an_empty_folder_at_once(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = str(request.getfixturevalue("postgres_url")) if kind == "postgresql" else ""
    root, tests = tmp_path / ".whirr", str(Path(__file__).parent.parent)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SUBMIT, str(root), url, f"n{number}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": tests},
        )
        for number in range(8)
    ]  # fmt: skip
    try:
        for each in started:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in started:
            assert each.stdin is not None
            each.stdin.write("\n")
            each.stdin.flush()
        ids = [int(each.communicate(timeout=120)[0]) for each in started]
    finally:
        for each in started:
            each.kill()
            each.communicate()
    assert sorted(ids) == list(range(1, 9))
    hub = open_hub(root, url or None)
    assert {job.id: job.spec.name for job in hub.jobs()} == {ids[number]: f"n{number}" for number in range(8)}
    assert sorted(path.name for path in (root / "runs").iterdir()) == [f"job-{number}" for number in range(1, 9)]
    hub.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    open_hub(tmp_path / ".whirr").close()
    path = tmp_path / ".whirr" / "queue" / "queue.db"
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO schema_version VALUES (99, 'future', '')")
    connection.close()
    with pytest.raises(SchemaTooNew, match="schema 99") as refused:
        open_hub(tmp_path / ".whirr")
    assert "update" in str(refused.value.hint)


# Kept databases

KEPT = sorted(DATA.glob("queue-schema-*.db"))


def test_a_database_of_every_released_schema_is_kept() -> None:
    assert [path.name for path in KEPT] == [f"queue-schema-{each.version}.db" for each in migrations()]


def test_a_migration_is_never_changed_once_a_database_of_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    for migration, kept in zip(migrations(), KEPT, strict=True):
        database = SqliteDatabase(str(path))
        database.apply(migration.version, migration.name, migration.statements(database.kind))
        database.close()
        assert schema_of(path) == schema_of(kept)


def schema_of(path: Path) -> dict[str, str]:
    connection = sqlite3.connect(path)
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    connection.close()
    return found


@pytest.fixture(params=KEPT, ids=lambda path: path.stem)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[LocalHub, Ticker]]:
    """A hub over a copy of a kept database; nothing but the database was kept."""
    path = tmp_path / ".whirr" / "queue" / "queue.db"
    path.parent.mkdir(parents=True)
    shutil.copy(request.param, path)
    clock = Ticker()
    hub = open_hub(tmp_path / ".whirr", now=clock)
    yield hub, clock
    hub.close()


def test_a_kept_database_is_upgraded_and_understood(kept: tuple[LocalHub, Ticker]) -> None:
    hub, _ = kept
    assert hub.database.schema_version() == migrations()[-1].version
    assert {job.id: str(job.status) for job in hub.jobs()} == {
        1: "completed", 2: "failed", 3: "failed", 4: "cancelled", 5: "failed", 6: "running", 7: "running",
        8: "cancelling", 9: "queued", 10: "queued", 11: "queued", 12: "queued",
    }  # fmt: skip
    first = hub.job(1)
    assert (first.spec.name, first.spec.config, first.spec.tags) == ("first", {"lr": 0.1}, ("sweep", "night"))
    kinds = {job.id: str(job.cause.kind) for job in hub.jobs() if job.cause}
    assert kinds == {2: "exit", 3: "dependency-failed", 4: "cancelled", 5: "worker-lost", 9: "exit"}
    assert [each.outcome for each in hub.attempts(5)] == ["lost"] * 3
    assert hub.attempts(7)[0].gpus == ("GPU-a", "GPU-b")
    assert [job.id for job in hub.jobs(tag="sweep")] == [2, 1]
    assert [job.id for job in hub.dependencies(10)] == [6, 7, 8]
    assert (hub.job(10).blocked, hub.job(6).spec.env, hub.job(12).spec.submitted_by) == (3, {"KEY": "é"}, "ada@lab")


def test_a_kept_database_works_on(kept: tuple[LocalHub, Ticker]) -> None:
    hub, clock = kept
    locked, timed = hub.workers()
    seven, eight = hub.leases(locked.id)
    assert hub.cancelling(locked.id) == [eight]
    assert hub.claim(locked) is not None  # 12: its GPUs are taken, 9 has to wait
    assert hub.finish(eight, outcome(Verdict.COMPLETED)).status is JobStatus.CANCELLED
    hub.finish(seven, outcome(Verdict.COMPLETED))
    widest = hub.claim(locked)
    assert widest is not None
    assert (widest.job.id, widest.gpus) == (11, ("GPU-a",))
    clock.seconds += 61  # the timed lease runs out
    given = [claim.job.id for claim in iter(lambda: hub.claim(timed), None)]
    assert given == [6, 9]
    assert hub.job(6).attempt == 2
    hub.finish(hub.leases(timed.id)[0], outcome(Verdict.COMPLETED))
    last = hub.claim(timed)
    assert last is not None
    assert last.job.id == 10
    assert hub.retry(2).status is JobStatus.QUEUED
    assert hub.submit(spec("true")).id == 13
    assert Counter(job.status for job in hub.jobs())[JobStatus.QUEUED] == 2
