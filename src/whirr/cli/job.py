"""All about one job, as ``whirr status ID`` shows it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whirr import clock, fleet
from whirr.about import ran_s
from whirr.cli.board import metric_words, progress_words, status_cell
from whirr.cli.common import age, duration
from whirr.cli.gpus import GpuNames
from whirr.cli.queue import as_json, command_of, environment_of, why_ended
from whirr.cli.report import pairs
from whirr.cli.screen import STATUS_STYLES, Screen, clean, size
from whirr.cli.table import Cell, Column, render
from whirr.errors import NotFound
from whirr.folder import ATTEMPTS, OUTPUT, attempt_folder
from whirr.hub import Hub
from whirr.model import Attempt, Job, JobStatus
from whirr.overview import running
from whirr.waiting import why

SHOWN_CHANGES = 10
OUTCOME_STYLES = {**STATUS_STYLES, "requeued": "yellow", "lost": "red"}


def document(hub: Hub, job: Job) -> dict[str, Any]:
    """The job as ``--json`` gives it."""
    found = as_json(hub, job)
    found["why"] = why(hub, job) or None
    found["dependencies"] = [{"job_id": need.id, "status": str(need.status)} for need in hub.dependencies(job.id)]
    kept = _kept(hub, job) or set()
    found["attempts"] = [_attempt_document(hub, job, attempt, kept) for attempt in hub.attempts(job.id)]
    found["code_changes"] = _code_changes(hub, job)
    if job.status.active:
        view = running(hub, job, fleet.look(hub))
        found["progress"] = view.progress.as_dict()
        found["elapsed_seconds"] = round(view.elapsed_s, 3)
    return found


def _attempt_document(hub: Hub, job: Job, attempt: Attempt, kept: set[int]) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "worker": attempt.worker,
        "gpus": list(attempt.gpus),
        "started_at": attempt.started_at,
        "finished_at": attempt.finished_at,
        "outcome": attempt.outcome,
        "cause": attempt.cause.as_dict() if attempt.cause else None,
        "usage": dict(attempt.usage),
        "output": os.fspath(_output(hub, job, attempt.number, kept)),
    }


def report(hub: Hub, job: Job, screen: Screen) -> list[str]:
    """The lines about a job."""
    attempts = hub.attempts(job.id)
    name = f"  {clean(job.spec.name)}" if job.spec.name else ""
    parts = [
        [screen.paint(f"job {job.id}{name}", "bold"), *pairs(list(_facts(hub, job, screen)), screen, indent="")],
        _attempts(attempts, hub.now(), screen),
        _changes(_code_changes(hub, job), screen),
    ]
    lines: list[str] = []
    for part in filter(None, parts):
        lines += ["", *part] if lines else part
    return lines


def _facts(hub: Hub, job: Job, screen: Screen) -> Iterator[tuple[str, str]]:
    status = status_cell(job, screen)
    yield "status", screen.paint(status.text, status.style)
    if cause := why_ended(hub, job):
        yield "cause", screen.paint(cause, STATUS_STYLES[job.status] if job.status.terminal else "")
    if reason := why(hub, job):
        yield "waits", reason
    yield from _needs(hub, job)
    if job.status.active:
        yield from _progress(hub, job, screen)
    yield "command", command_of(job)
    yield "in", clean(job.spec.workdir) + (" (a checkout of the submitted files)" if job.spec.snapshot else "")
    for variable, value in environment_of(job).items():
        yield "env", clean(f"{variable}={value}")
    yield from _limits(job)
    yield from _times(hub, job)
    yield from _recorded(job)
    yield from _files(hub, job)


def _needs(hub: Hub, job: Job) -> Iterator[tuple[str, str]]:
    needs = hub.dependencies(job.id)
    after_any = set(job.spec.after_any) - set(job.spec.after)
    if needs:
        words = [f"{need.id}{' (any end)' if need.id in after_any else ''} {need.status}" for need in needs]
        yield "after", ", ".join(words)


def _progress(hub: Hub, job: Job, screen: Screen) -> Iterator[tuple[str, str]]:
    view = running(hub, job, fleet.look(hub))
    if view.worker is not None:
        health = "" if view.worker.health is fleet.Health.ALIVE else f" ({view.worker.health})"
        yield "worker", clean(f"{view.worker.worker.name} on {view.worker.worker.host}") + health
    if view.gpus:
        yield "GPU", ", ".join(map(GpuNames(), view.gpus))
    yield "elapsed", duration(view.elapsed_s)
    if progress := progress_words(view.progress, screen):
        yield "progress", progress
    if metrics := metric_words(view.progress.latest, most=6):
        yield "metrics", metrics


def _limits(job: Job) -> Iterator[tuple[str, str]]:
    spec = job.spec
    if spec.tags:
        yield "tags", clean(", ".join(spec.tags))
    words = [
        f"priority {spec.priority}" if spec.priority else "",
        f"{spec.gpus} GPU{'s' * (spec.gpus != 1)}" if spec.gpus is not None else "",
        f"time limit {clock.format_duration(spec.timeout_s)}" if spec.timeout_s is not None else "",
        f"{spec.retries} {'retries' if spec.retries > 1 else 'retry'}" if spec.retries else "",
    ]
    if any(words):
        yield "asks for", ", ".join(filter(None, words))
    if job.failures and spec.retries:
        yield "failed", f"{job.failures} time{'s' * (job.failures > 1)}"
    if job.crashes:  # with their worker or supervisor
        yield "lost", f"{job.crashes} attempt{'s' * (job.crashes > 1)}"


def _times(hub: Hub, job: Job) -> Iterator[tuple[str, str]]:
    now = hub.now()
    by = f"  by {clean(job.spec.submitted_by)}" if job.spec.submitted_by else ""
    for label, stamp, more in (
        ("submitted", job.submitted_at, by),
        ("started", job.started_at, ""),
        ("ended", job.finished_at, ""),
    ):
        if stamp:
            yield label, f"{clean(stamp[:19].replace('T', ' '))} UTC  ({age(stamp, now)}){more}"
    if job.status.terminal and (seconds := ran_s(hub, job)) is not None:
        yield "ran", duration(seconds)


def _recorded(job: Job) -> Iterator[tuple[str, str]]:
    """The code as it was at submission."""
    tree = job.spec.submitted.get("tree")
    if isinstance(tree, dict):
        words = [
            str(tree.get("commit") or "no commit")[:10],
            tree.get("branch"),
            "uncommitted changes" if tree.get("dirty") else "clean",
            f"tree {str(tree.get('tree'))[:10]}",
        ]
        yield "code", clean(", ".join(str(word) for word in words if word))


def _files(hub: Hub, job: Job) -> Iterator[tuple[str, str]]:
    run_dir = hub.run_dir(job.id)
    kept = _kept(hub, job)
    yield "run", clean(os.fspath(run_dir)) + ("  (missing)" if kept is None else "")
    if kept:
        yield "earlier", f"{clean(os.fspath(run_dir / ATTEMPTS))}: {', '.join(map(str, sorted(kept)))}"


def _kept(hub: Hub, job: Job) -> set[int] | None:
    """The attempts whose files were set aside; None where the job has no folder."""
    try:
        paths = [file.path.split("/") for file in hub.runs.files(job.run_id)]
    except NotFound:
        return None
    return {int(path[1]) for path in paths if path[0] == ATTEMPTS and len(path) > 2 and path[1].isdecimal()}


def _output(hub: Hub, job: Job, number: int, kept: set[int]) -> Path:
    run_dir = hub.run_dir(job.id)
    return (attempt_folder(run_dir, number) if number < job.attempt or number in kept else run_dir) / OUTPUT


def _code_changes(hub: Hub, job: Job) -> dict[str, Any] | None:
    try:
        return hub.runs.code_changes(job.run_id)
    except NotFound:
        return None


def _attempts(attempts: list[Attempt], now: float, screen: Screen) -> list[str]:
    if not attempts:
        return []
    names = GpuNames()
    columns = [
        Column("attempt", [Cell(str(one.number)) for one in attempts], right=True),
        Column("outcome", [_outcome(one) for one in attempts]),
        Column("ran", [Cell(duration(_ran_s(one, now))) for one in attempts], right=True),
        Column("started", [Cell(age(one.started_at, now), "dim") for one in attempts], rank=3),
        Column("worker", [Cell(_worker(one.worker)) for one in attempts], least=8, rank=2),
        Column("GPU", [Cell(",".join(map(names, one.gpus))) for one in attempts], rank=1),
        Column("CPU time", [Cell(duration(one.usage.get("cpu_s"))) for one in attempts], right=True, rank=5),
        Column("memory", [Cell(_memory(one)) for one in attempts], right=True, rank=4),
        Column("cause", [Cell(clean(one.cause.message) if one.cause else "") for one in attempts], least=16, most=80),
    ]
    inner = screen._replace(width=screen.width - 2)
    filled = [column for column in columns if any(cell.text for cell in column.cells)]
    return [screen.paint("attempts", "bold"), *(f"  {line}" for line in render(filled, inner))]


def _outcome(attempt: Attempt) -> Cell:
    word = attempt.outcome or JobStatus.RUNNING
    return Cell(word, OUTCOME_STYLES.get(word, ""))


def _worker(label: str) -> str:
    name, _, host = label.rpartition("@")
    return clean(host if name == host else label)


def _ran_s(attempt: Attempt, now: float) -> float:
    until = clock.epoch(attempt.finished_at) if attempt.finished_at else now
    return max(until - clock.epoch(attempt.started_at), 0.0)


def _memory(attempt: Attempt) -> str:
    peak = attempt.usage.get("max_rss_bytes")
    return size(peak) if isinstance(peak, int | float) and peak else ""


def _changes(changes: dict[str, Any] | None, screen: Screen) -> list[str]:
    if changes is None:
        return []
    count = changes["count"]
    lines = [f"  {letter}  {clean(str(name))}" for letter, name in changes["names"][:SHOWN_CHANGES]]
    if count > len(lines):
        lines.append(f"  and {count - len(lines)} more")
    for key, words in (("unknown", "not known: "), ("note", ""), ("damaged", "cannot be read: ")):
        if changes.get(key):
            lines.append(f"  {words}{clean(str(changes[key]))}")
    title = "code that had changed since the submission when the job started"
    return [screen.paint(title, "bold"), *(screen.paint(line, "yellow") for line in lines)]
