"""The queue as its page shows it: jobs in plain values, without secrets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from whirr import about, resubmission
from whirr.errors import NotFound
from whirr.fleet import Fleet, Seen, look
from whirr.folder import OUTPUT
from whirr.hub import Hub
from whirr.model import BACKOFF_MOST_S, Job, JobStatus
from whirr.overview import Running, running
from whirr.progress import Progress
from whirr.waiting import Reasons

LINE_TAIL = 4096
LINE_MOST = 300
LATEST_MOST = 8
ENDED = tuple(status for status in JobStatus if status.terminal)
SEARCHED_ENDED = 1000
"""So many of the jobs that ended last are looked through for the words of a filter."""

STUCK = ("no worker", "needs ")
"""How a reason begins that does not go away by itself: somebody has to do something."""

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def queue_of(hub: Hub, limit: int, words: str = "") -> dict[str, Any]:
    """The queue now.

    Args:
        limit: so many waiting jobs and so many ended ones at most.
        words: only jobs in which each of these is found: in the name, command, tags, number, in who submitted it;
            ``tag:x`` is exactly that tag.
    """
    wanted, fleet, now = words.lower().split(), look(hub), hub.now()
    active = [running(hub, job, fleet) for job in fleet.active]
    waiting = [(job, place) for job, place in _placed(hub.upcoming(0 if wanted else limit)) if _fits(job, wanted)]
    ended = [job for job in hub.ended(ENDED, SEARCHED_ENDED if wanted else limit) if _fits(job, wanted)]
    return {
        "now": now,
        "counts": {str(status): count for status, count in hub.counts().items()},
        "matching": {"waiting": len(waiting), "ended": len(ended)} if wanted else None,
        "workers": room_of(fleet),
        "start": start_of(hub),
        "running": [_running(hub, each, now) for each in active if _fits(each.job, wanted, _worker(each))],
        "waiting": _waiting(hub, waiting[:limit], fleet, now),
        "recent": [_ended(hub, job) for job in ended[:limit]],
    }


def start_of(hub: Hub) -> str:
    """The command that starts a worker on the machine where the folder lies."""
    return f"whirr worker --dir {shlex.quote(str(hub.root.parent))}"


def room_of(fleet: Fleet) -> dict[str, Any]:
    """How many workers may take a job, and what of their GPUs and slots is idle."""
    gpus, slots = fleet.idle_gpus(), fleet.idle_slots()
    return {
        "living": len(fleet.living),
        "gpus": {"idle": gpus[0], "all": gpus[1]},
        "slots": {"idle": slots[0], "all": slots[1]},
    }


def _placed(jobs: Iterable[Job]) -> Iterator[tuple[Job, int | None]]:
    """Each with its place in the order; one that waits for others has none."""
    place = 0
    for job in jobs:
        place += not job.blocked
        yield job, None if job.blocked else place


def _fits(job: Job, wanted: list[str], more: str = "") -> bool:
    if not wanted:
        return True
    spec = job.spec
    tags = [tag.lower() for tag in spec.tags]
    words = [word for word in wanted if not (word.startswith("tag:") and word[4:] in tags)]
    if any(word.startswith("tag:") for word in words):
        return False
    text = " ".join([job.run_id, f"#{job.id}", spec.name or "", *tags, spec.submitted_by, more]).lower()
    left = [word for word in words if word not in text]
    # What is hidden cannot be guessed by searching; looking for secrets takes long, and few commands hold the word.
    return all(word in " ".join(spec.argv).lower() for word in left) and (
        not left or all(word in " ".join(resubmission.shown(spec).argv).lower() for word in left)
    )


def job_of(hub: Hub, job: Job) -> dict[str, Any]:
    """What every list says of a job."""
    spec = resubmission.shown(job.spec)
    return {
        "id": job.id,
        "run_id": job.run_id,
        "name": about.name_of(hub, job),
        "command": resubmission.written(spec.argv),
        "status": str(job.status),
        "tags": list(spec.tags),
        "priority": spec.priority,
        "gpus": spec.gpus,
        "attempt": job.attempt,
        "failures": job.failures,
        "retries": spec.retries,
        "submitted_at": job.submitted_at,
        "submitted_by": spec.submitted_by,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "again_of": spec.submitted.get(resubmission.AGAIN_OF),
    }


def _worker(each: Running) -> str:
    return each.worker.worker.name if each.worker else ""


def _running(hub: Hub, each: Running, now: float) -> dict[str, Any]:
    progress = each.progress
    part = part_of(progress)
    return {
        **job_of(hub, each.job),
        "worker": seen_of(each.worker) if each.worker else None,
        "gpu_ids": list(each.gpus),
        "elapsed_s": each.elapsed_s,
        "timeout_s": each.job.spec.timeout_s,
        "progress": {**progress.as_dict(), "latest": _latest(progress.as_dict()["latest"])},
        "part": part,
        # An attempt after the first may have gone on from a checkpoint: then the time says nothing of the pace.
        "ends_at": now + each.elapsed_s * (1 / part - 1) if part and each.job.attempt == 1 else None,
        "line": last_line(hub, each.job.run_id),
    }


def part_of(progress: Progress) -> float | None:
    """How much of a run is done, from 0 to 1; None where it does not say how much there is to do."""
    return progress.done / progress.total if progress.done is not None and progress.total else None


def _latest(values: dict[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in values.items() if isinstance(value, int | float | str)}
    return dict(list(plain.items())[:LATEST_MOST])


def seen_of(seen: Seen) -> dict[str, Any]:
    """Which worker it is, and whether it is there."""
    return {"id": seen.worker.id, "name": seen.worker.name, "host": seen.worker.host, "health": str(seen.health)}


def _waiting(hub: Hub, jobs: list[tuple[Job, int | None]], fleet: Fleet, now: float) -> list[dict[str, Any]]:
    at = hub.clock() if any(job.not_before is not None for job, _ in jobs) else 0.0
    reasons = Reasons(hub, fleet)
    found = []
    for job, place in jobs:
        why = reasons.why(job, (place or 1) - 1)
        about_it = {
            "why": why,
            "stuck": why.startswith(STUCK),
            "position": place,
            "starts_at": _after_wait(job, at, now),
            "needs": _needs(hub, job) if job.blocked else [],
            "last_cause": job.cause.message if job.cause else "",
        }
        found.append(job_of(hub, job) | about_it)
    return found


def _after_wait(job: Job, at: float, now: float) -> float | None:
    """When a job that failed may be tried again, in seconds since 1970; None where it may at once."""
    left = (job.not_before or 0.0) - at
    return now + left if 0 < left <= BACKOFF_MOST_S else None


def _needs(hub: Hub, job: Job) -> list[dict[str, Any]]:
    return [{"id": need.id, "status": str(need.status)} for need in hub.dependencies(job.id)]


def _ended(hub: Hub, job: Job) -> dict[str, Any]:
    kind = str(job.cause.kind) if job.cause and job.status is not JobStatus.COMPLETED else None
    cause = {"kind": kind, "text": about.why_ended(hub, job)}
    return {**job_of(hub, job), "cause": cause, "ran_s": about.ran_s(hub, job)}


def last_line(hub: Hub, run_id: str) -> str:
    """The last line that a job has written, as plain text; empty where it wrote none."""
    try:
        with closing(hub.runs.open(run_id, OUTPUT)) as file:
            size = file.seek(0, 2)
            file.seek(max(size - LINE_TAIL, 0))
            block = file.read(LINE_TAIL)
    except (NotFound, OSError):
        return ""
    for line in reversed(block.decode("utf-8", "replace").splitlines() if size else []):
        shown = [plain for part in line.split("\r") if (plain := CONTROLS.sub("", ESCAPES.sub("", part)).strip())]
        if shown:
            return shown[-1][:LINE_MOST]
    return ""
