"""Claiming from a long queue, against claiming from a short one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.measure import Effort, Row, ratio, scratch
from whirr import clock, process
from whirr.connect import open_hub
from whirr.local import LocalHub
from whirr.model import Job, JobSpec, Outcome, Verdict, WorkerInfo

SHORT = 10
FIRST = JobSpec(("true",), "/", priority=3)


def rows(effort: Effort) -> Iterator[Row]:
    """Each claim and finish, in turns, so that both meet the same noise."""
    with scratch() as folder:
        short, long = _queue(folder / "short", 0), _queue(folder / "long", effort.queued - SHORT)
        times: dict[str, list[float]] = {"short": [], "long": []}
        for _ in range(effort.repeats * 4):
            times["short"].append(_claim_s(*short))
            times["long"].append(_claim_s(*long))
    limit, ours = (median(times[name]) * 1000 for name in ("short", "long"))
    yield ratio(f"claim with {effort.queued:,} jobs queued; limit: with {SHORT}", "ms", limit, ours, 1.25)


def _queue(folder: Path, further: int) -> tuple[LocalHub, WorkerInfo]:
    """A queue with some jobs that come first, whose folders are there, and so many behind them."""
    folder.mkdir()
    hub = open_hub(folder / ".whirr")
    now = clock.stamp()
    worker = WorkerInfo("w-1", "w", process.identity(), 1, (), None, now, now)
    hub.register(worker)
    _fill(hub, further)
    for _ in range(SHORT):
        hub.submit(FIRST)
    return hub, worker


def _fill(hub: LocalHub, count: int) -> None:
    """Rows only: a hundred thousand run folders would take minutes, and no claim looks at another job's."""
    from whirr.store.rows import spec_text

    with hub.database.transaction() as tx:
        for number in range(count):
            columns = {"spec": spec_text(FIRST), "priority": number % 3, "gpus": None, "blocked": 0}
            columns |= {"workdir": FIRST.workdir, "snapshot": 0, "submission": None}
            tx.run("insert_job", submitted_at=clock.stamp(), **columns)


def _claim_s(hub: LocalHub, worker: WorkerInfo) -> float:
    since = perf_counter()
    claim = hub.claim(worker)
    elapsed = perf_counter() - since
    assert claim is not None
    job: Job = hub.finish(claim.lease, Outcome(Verdict.COMPLETED, None, 0.0, clock.stamp()))
    assert job.status.terminal
    hub.submit(FIRST)
    return elapsed
