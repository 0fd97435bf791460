"""The queue as ``whirr status`` and ``whirr watch`` show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from whirr.about import ran_s
from whirr.cli.common import age, duration
from whirr.cli.queue import command_of, name_of, why_ended, worker_command
from whirr.cli.report import interest
from whirr.cli.screen import STATUS_STYLES, Screen, clean, number, short
from whirr.cli.table import Cell, Column, cut, render
from whirr.fleet import Fleet, Health, Seen
from whirr.hub import Hub
from whirr.model import Job, JobStatus
from whirr.overview import Overview, Running
from whirr.progress import Progress
from whirr.values import revive

BAR = 8
METRIC_RANKS = (3, 5, 6)
COUNTERS = ("epoch", "global_step")
TOLD = (JobStatus.RUNNING, JobStatus.CANCELLING, JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELLED)

GpuName = Callable[[str], str]


def board(hub: Hub, view: Overview, screen: Screen, gpu_name: GpuName, rest: str = "--all") -> list[str]:
    """The lines about a queue: what runs, what waits, what has ended, which workers are missing.

    Args:
        gpu_name: gives the short name of a GPU by its UUID.
        rest: what shows the jobs for which there is no room.
    """
    parts = [
        _running(hub, view.running, screen, gpu_name),
        _queued(hub, view, screen, rest),
        _ended(hub, view, screen, rest),
        _troubles(view.fleet, screen),
    ]
    lines: list[str] = []
    for part in filter(None, parts):
        lines += ["", *part] if lines else part
    return lines


def summary(hub: Hub, view: Overview, screen: Screen) -> list[str]:
    """How many jobs are in each state, and who works; on one line where there is room."""
    told = [status for status in (*TOLD, JobStatus.COMPLETED) if view.counts.get(status)]
    words = [f"{view.counts[status]} {status}" for status in told]
    styles = [STATUS_STYLES.get(status, "") for status in told]
    counts = ", ".join(screen.paint(text, style) for text, style in zip(words, styles, strict=True)) or "no jobs"
    workers = fleet_words(hub, view.fleet)
    if screen.fixed and len(", ".join(words)) + 3 + len(workers) > screen.width:
        return [counts, screen.paint(workers, "dim")]
    return [f"{counts}   {screen.paint(workers, 'dim')}"]


def fleet_words(hub: Hub, fleet: Fleet) -> str:
    """How many workers there are and what of them is free: ``2 workers, 1 of 4 GPUs idle, 1 more finishing``."""
    living, finishing = len(fleet.living), len(fleet.finishing)
    if not living:
        last = f"{finishing} worker{'s' * (finishing > 1)} finishing, no other"
        return f"{last if finishing else 'no worker'} is running: {worker_command(hub)}"
    idle, there = fleet.idle_gpus()
    what = "GPU"
    if not there:
        (idle, there), what = fleet.idle_slots(), "slot"
    more = f", {finishing} more finishing" if finishing else ""
    return f"{living} worker{'s' * (living > 1)}, {idle} of {there} {what}{'s' * (there > 1)} idle{more}"


def progress_words(progress: Progress, screen: Screen) -> str:
    """How far a run has come: ``37/100 ▇▇▇▁▁``, or the step where no total is known."""
    if progress.done is None or not progress.total:
        return "" if progress.step is None else f"step {number(progress.step)}"
    total = number(progress.total)
    filled = min(int(progress.done / progress.total * BAR), BAR)
    full, empty = ("▇", "▁") if screen.unicode else ("#", ".")
    return f"{number(progress.done):>{len(total)}}/{total} {full * filled}{empty * (BAR - filled)}"


def metric_words(latest: Mapping[str, Any], most: int) -> str:
    """The last values of the metrics one looks at first."""
    names = sorted((name for name in latest if name not in COUNTERS), key=interest)[:most]
    return "  ".join(f"{clean(name)} {short(revive(latest[name]))}" for name in names)


def status_cell(job: Job, screen: Screen, more: str = "") -> Cell:
    """The state of a job, with a dot in its colour."""
    dot = ("● " if screen.unicode else "* ") if screen.color else ""
    return Cell(dot + job.status + more, STATUS_STYLES.get(job.status, ""))


def _running(hub: Hub, running: tuple[Running, ...], screen: Screen, gpu_name: GpuName) -> list[str]:
    jobs = [each.job for each in running]
    gpus = [",".join(map(gpu_name, each.gpus)) for each in running]
    return _table(
        screen,
        *_heads(hub, jobs),
        Column("state", [status_cell(job, screen, _attempt(job)) for job in jobs]),
        Column("progress", [Cell(progress_words(each.progress, screen)) for each in running], rank=1),
        Column("GPU", [Cell(text) for text in gpus], rank=2),
        Column("elapsed", [Cell(duration(each.elapsed_s)) for each in running], right=True),
        *_metrics([each.progress.latest for each in running]),
        Column("worker", [_worker(each.worker) for each in running], least=8, rank=4),
    )


def _metrics(latest: list[dict[str, Any]]) -> list[Column]:
    """A column for each of the metrics that most runs have and one looks at first."""
    counts = Counter(name for metrics in latest for name in metrics if name not in COUNTERS)
    names = sorted(counts, key=lambda name: (-counts[name], interest(name)))[: len(METRIC_RANKS)]
    return [
        Column(clean(name), [Cell(_value(metrics, name)) for metrics in latest], right=True, rank=rank, most=20)
        for name, rank in zip(names, METRIC_RANKS, strict=False)
    ]


def _value(metrics: Mapping[str, Any], name: str) -> str:
    return short(revive(metrics[name])) if name in metrics else ""


def _attempt(job: Job) -> str:
    return f" (attempt {job.attempt})" if job.attempt > 1 else ""


def _worker(seen: Seen | None) -> Cell:
    if seen is None:
        return Cell("")
    if seen.health is Health.ALIVE:
        return Cell(clean(seen.worker.name) + (" (finishing)" if seen.worker.finishing else ""))
    return Cell(f"{clean(seen.worker.name)} ({seen.health})", "red")


def _queued(hub: Hub, view: Overview, screen: Screen, rest: str) -> list[str]:
    jobs = [job for job, _ in view.queued]
    priorities = [Cell(str(job.spec.priority or "")) for job in jobs]
    lines = _table(
        screen,
        *_heads(hub, jobs),
        Column("state", [status_cell(job, screen, _attempt(job)) for job in jobs]),
        Column("priority", priorities, right=True, rank=2),
        Column("waiting", [Cell(_age(job.submitted_at, view.now), "dim") for job in jobs], right=True, rank=3),
        Column("why", [Cell(why) for _, why in view.queued], least=16, rank=1, most=60),
    )
    return _more(lines, view.counts.get(JobStatus.QUEUED, 0) - len(jobs), f"queued ({rest})", screen)


def _ended(hub: Hub, view: Overview, screen: Screen, rest: str) -> list[str]:
    jobs = list(view.ended)
    causes = [Cell(why_ended(hub, job), STATUS_STYLES[job.status]) for job in jobs]
    lines = _table(
        screen,
        *_heads(hub, jobs),
        Column("state", [status_cell(job, screen) for job in jobs]),
        Column("ran", [Cell(duration(ran_s(hub, job))) for job in jobs], right=True, rank=2),
        Column("ended", [Cell(_age(job.finished_at, view.now, " ago"), "dim") for job in jobs], right=True, rank=3),
        Column("cause", causes, least=16, rank=1, most=80),
    )
    ended = sum(count for status, count in view.counts.items() if status.terminal)
    return _more(lines, ended - len(jobs), f"ended ({rest})", screen)


def _heads(hub: Hub, jobs: list[Job]) -> list[Column]:
    """Number and name, or the command where there is no name."""
    found = [(name_of(hub, job), job) for job in jobs]
    names = [Cell(name, "bold") if name else Cell(command_of(job)) for name, job in found]
    return [
        Column("id", [Cell(str(job.id)) for job in jobs], right=True),
        Column("name", names, least=10),
    ]


def _table(screen: Screen, *columns: Column) -> list[str]:
    """A table without the columns that hold nothing; no lines where there are no rows."""
    filled = [column for column in columns if any(cell.text for cell in column.cells)]
    return render(filled, screen) if filled else []


def _more(lines: list[str], count: int, what: str, screen: Screen) -> list[str]:
    return [*lines, screen.paint(f"and {count} more {what}", "dim")] if lines and count > 0 else lines


def _age(stamp: str | None, now: float, suffix: str = "") -> str:
    if stamp is None:
        return ""
    return age(stamp, now).removesuffix(" ago") + suffix


def _troubles(fleet: Fleet, screen: Screen) -> list[str]:
    """A line for each worker that is not there as it should be."""
    lines = []
    for seen in fleet.shown:
        if seen.health is Health.ALIVE:
            continue
        dead = seen.health is Health.DEAD
        what = "dead worker" if dead else f"worker not seen for {duration(seen.silent_s)}"
        jobs = ", ".join(str(job.id) for job in seen.jobs)
        holds = f", with job{'s' * (len(seen.jobs) > 1)} {jobs}" if jobs else ""
        hint = "; whirr doctor --fix clears up, as does any worker" if dead else ""
        text = f"{what}{holds}: {clean(seen.worker.name)} on {clean(seen.worker.host)}{hint}"
        fitting = cut(text, screen.width, screen.ellipsis) if screen.fixed else text
        lines.append(screen.paint(fitting, "red" if dead else "yellow"))
    return lines
