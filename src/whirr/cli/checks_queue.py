"""What ``whirr doctor`` looks at of a queue: database, workers, stale jobs, what was left behind."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from whirr import clock
from whirr.cli.finding import Finding, ok, problem, remark
from whirr.cli.queue import what_becomes, worker_command
from whirr.cli.screen import size
from whirr.connect import DATABASE
from whirr.errors import FolderError
from whirr.executors.sweep import clear, find_all
from whirr.fleet import Fleet, Health, Seen
from whirr.folder import CODE, OUTPUT, QUEUE, RUNS
from whirr.hub import Hub
from whirr.index import RunIndex
from whirr.local import LocalHub
from whirr.locks import WORKERS, attempt_lock, is_dead, is_held
from whirr.model import JobStatus
from whirr.submitting import STAGING
from whirr.worker.reaper import leftovers, reap
from whirr.worker.task import prefix

ABANDONED_S = 3600.0
"""Seconds after which a submission that did not come to its end is abandoned."""

FRESH_S = 60.0
NAMED = 10
"""So many jobs are named."""

LOOK_S = 2.0
"""How long the size of checkouts is counted at most."""


def database(hub: LocalHub) -> Iterator[Finding]:
    """What the queue is kept in, and whether that is sound."""
    base = hub.database
    version = base.schema_version()
    if base.kind != "sqlite":
        yield ok("database", f"{base.url}, schema {version}")
        return
    import sqlite3

    from whirr.store.sqlite import wal_is_safe

    why = "" if wal_is_safe() else ", since this SQLite has the WAL-reset bug (mended in 3.51.3)"
    yield ok("database", f"schema {version}, SQLite {sqlite3.sqlite_version}, journal {base.journal_mode}{why}")
    path = hub.root / QUEUE / DATABASE
    wrong = _quick_check(path)
    if wrong:
        advice = f"stop the workers, move {path} away and submit again; the runs are not touched"
        yield problem("database", f"it is damaged: {wrong}", advice)
    else:
        yield ok("database", f"its content is sound ({size(path.stat().st_size)})")


def _quick_check(path: Path) -> str:
    import sqlite3

    try:
        connection = sqlite3.connect(path, timeout=10)
        try:
            found = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
        finally:
            connection.close()
    except sqlite3.Error as error:
        return str(error)
    return "" if found == ["ok"] else "; ".join(found)


def workers(hub: Hub, fleet: Fleet) -> Iterator[Finding]:
    """Whether workers and the jobs they hold are alive."""
    queued = hub.counts().get(JobStatus.QUEUED, 0)
    if not fleet.living:
        text = ("none takes more jobs" if fleet.finishing else "none is running") + (
            f", and {queued} job{'s wait' if queued > 1 else ' waits'}" if queued else ""
        )
        yield remark("workers", text, f"{worker_command(hub)} starts one")
    gone = [seen.worker.id for seen in fleet.workers if seen.long_gone and not _is_here(hub, seen)]
    if gone:
        text = f"{len(gone)} worker{'s' * (len(gone) > 1)} without a job, not seen for a week or longer"
        yield remark(
            "workers", text, "a running queue forgets them; so does whirr doctor --fix", partial(_leave, hub, gone)
        )
    for seen in fleet.workers:
        if seen.worker.id in gone:
            continue
        about = f"{seen.worker.name} on {seen.worker.host}, pid {seen.worker.process.get('pid')}"
        jobs = f"holds job {', '.join(str(job.id) for job in seen.jobs)}" if seen.jobs else "idle"
        if seen.health is Health.ALIVE:
            yield ok("workers", f"{about}: alive, {jobs}" + (", finishing" if seen.worker.finishing else ""))
        elif seen.health is Health.DEAD:
            advice = "any worker of this machine, or whirr doctor --fix, ends what it left and queues its jobs again"
            mend = None if hub.locks is None else partial(_reap, hub, hub.locks)
            yield problem("workers", f"{about}: dead, {jobs}", advice, mend)
        else:
            silent = clock.format_duration(seen.silent_s)
            advice = f"{what_becomes(seen.worker)}: is it stopped, or its machine down?"
            yield problem("workers", f"{about}: not seen for {silent}, {jobs}", advice)
    unknown = [job.id for job in fleet.active if fleet.worker_of(job) is None]
    if unknown:
        yield problem("jobs", f"running without a worker: {', '.join(map(str, unknown))}", "whirr status ID tells more")


def _is_here(hub: Hub, seen: Seen) -> bool:
    """Whether a worker's lock can be looked at from here: it is only stopped, or dead and seen to by the reaper."""
    return hub.locks is not None and is_dead(seen.worker, hub.locks) is not None


def _leave(hub: Hub, gone: list[str]) -> str:
    for worker in gone:
        hub.leave(worker)
    return "forgotten"


def _reap(hub: Hub, locks: Path) -> str:
    done: list[str] = []
    reap(hub, locks, done.append)
    return "; ".join(done) or "their supervisors are still ending their jobs: look again in a moment"


def folders(hub: LocalHub) -> Iterator[Finding]:
    """Whether the run folders of jobs say what the queue does."""
    behind = hub.behind()
    if behind:
        named = ", ".join(map(str, behind[:NAMED])) + (f" and {len(behind) - NAMED} more" * (len(behind) > NAMED))
        text = f"meta.json says another state than the queue, which could not write it: job {named}"
        advice = f"see that {hub.run_dir(behind[0])} can be written, then whirr doctor --fix brings it up to date"
        yield problem("jobs", text, advice, partial(_catch_up, hub, behind))


def _catch_up(hub: LocalHub, behind: list[int]) -> str:
    troubles: list[FolderError] = []
    for number in behind:
        try:
            hub.catch_up(number)
        except FolderError as error:  # of this one job
            troubles.append(error)
    if troubles:
        raise troubles[0]
    return "brought up to date"


def runs(root: Path) -> Iterator[Finding]:
    """Whether the documents of the runs can be read; their metrics are not looked at."""
    entries = RunIndex(root).runs()
    damaged = [entry.id for entry in entries if entry.record["problems"]]
    if damaged:
        text = f"{len(damaged)} of {len(entries)} have damaged or missing files, such as {damaged[0]}"
        yield problem("runs", text, f"whirr show {damaged[0]} tells which")
    elif entries:
        yield ok("runs", f"the documents of {len(entries)} run{'s' * (len(entries) > 1)} can be read")


def left_behind(hub: Hub, fleet: Fleet) -> Iterator[Finding]:
    """Processes, locks and folders that nobody needs any more."""
    yield from _processes(hub)
    yield from _locks(hub, fleet)
    yield from _staging(hub.root)
    yield from _checkouts(hub.root)


def _processes(hub: Hub) -> Iterator[Finding]:
    queue = hub.root / QUEUE
    found = 0
    for mark, pids in find_all(prefix(queue) + ":").items():
        job, attempt = (int(part) for part in mark.split(":")[1:])
        if is_held(attempt_lock(queue, job, attempt)):
            continue
        found += 1
        text = f"job {job}, attempt {attempt}, has ended, but not process {', '.join(map(str, pids))}"
        mend = partial(_clear, mark, hub.run_dir(job) / OUTPUT if hub.job(job).attempt == attempt else None)
        yield problem("left over", text, "whirr doctor --fix ends them", mend)
    if not found:
        yield ok("left over", "no process of an ended attempt is left")


def _clear(mark: str, output: Path | None) -> str:
    count = clear(mark, output)
    return f"{count} process{'es' * (count != 1)} ended"


def _locks(hub: Hub, fleet: Fleet) -> Iterator[Finding]:
    """Locks that nobody holds, of attempts and workers that are no more."""
    queue = hub.root / QUEUE
    in_use = {attempt_lock(queue, job.id, job.attempt) for job in fleet.active}
    stale = [path for path in leftovers(queue) if path not in in_use]
    known = {f"{seen.worker.id}.lock" for seen in fleet.workers}
    folder = queue / WORKERS
    names = os.listdir(folder) if folder.is_dir() else []
    stale += [folder / name for name in names if name not in known and not is_held(folder / name)]
    stale = [path for path in stale if _age_s(path) > FRESH_S]  # a worker makes its lock just before it holds it
    if stale:
        text = f"{len(stale)} lock{'s' * (len(stale) > 1)} that nobody holds"
        yield remark("left over", text, "whirr doctor --fix removes them", partial(_unlink, stale))


def _unlink(paths: list[Path]) -> str:
    for path in paths:
        if not is_held(path):
            path.unlink(missing_ok=True)
    return f"{len(paths)} locks removed"


def _staging(root: Path) -> Iterator[Finding]:
    runs = root / RUNS
    names = os.listdir(runs) if runs.is_dir() else []
    old = [runs / name for name in names if name.startswith(STAGING) and _age_s(runs / name) > ABANDONED_S]
    if old:
        text = f"{len(old)} submission{'s' * (len(old) > 1)} that did not come to an end"
        yield remark("left over", text, "whirr doctor --fix deletes their folders", partial(_delete, old))


def _delete(folders: list[Path]) -> str:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return f"{len(folders)} folders deleted"


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _checkouts(root: Path) -> Iterator[Finding]:
    until = time.monotonic() + LOOK_S
    count = total = 0
    for folder in sorted((root / RUNS).glob(f"*/{CODE}")):
        count += 1
        for place, _, names in os.walk(folder):
            if time.monotonic() > until:
                break
            total += sum(_size(os.path.join(place, name)) for name in names)
    if count:
        more = "at least " if time.monotonic() > until else ""
        text = f"{count} checkout{'s' * (count > 1)} of submitted code, {more}{size(total)}"
        yield remark("checkouts", text, f"{root / RUNS}/*/{CODE} of jobs that have ended may be deleted")


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0
